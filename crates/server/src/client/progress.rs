//! States of tasks as they change: told by the service, or asked for where it does not tell.

use std::time::Duration;

use serde_json::Value;

use super::error::ApiError;
use super::events::{EventStream, Heard, Opened};
use super::transport::{Client, Query};
use super::wire;

/// How often it asks.
const POLL: Duration = Duration::from_millis(300);
/// How long it listens before it lets others look at the time.
const LISTEN: Duration = Duration::from_secs(1);
/// Most tasks of one stream; more are asked for.
const STREAM_TASKS_MAX: usize = 50;

/// Where states come from.
#[derive(Debug)]
enum Source {
    /// They are asked for.
    Asking,
    /// They are told, once a stream is open.
    Telling(Option<EventStream>),
}

/// The states of tasks as they change.
pub(crate) struct Progress<'a> {
    client: &'a Client,
    ids: &'a [String],
    source: Source,
    /// What the service has to know to tell only what is new.
    last_event_id: Option<String>,
    is_first: bool,
}

impl<'a> Progress<'a> {
    /// Asks every now and then.
    pub(crate) const fn asked(client: &'a Client, ids: &'a [String]) -> Self {
        Self { client, ids, source: Source::Asking, last_event_id: None, is_first: true }
    }

    /// Listens, where the service tells.
    pub(crate) const fn told(client: &'a Client, ids: &'a [String]) -> Self {
        let source =
            if ids.len() <= STREAM_TASKS_MAX { Source::Telling(None) } else { Source::Asking };
        Self { client, ids, source, last_event_id: None, is_first: true }
    }

    /// What is new, after a while: states of the tasks that had not ended when `open` was true of them.
    /// Nothing is new when the list is empty.
    pub(crate) async fn next(
        &mut self,
        open: impl Fn(usize) -> bool,
    ) -> Result<Vec<(usize, Value)>, ApiError> {
        let is_first = std::mem::take(&mut self.is_first);
        if let Source::Telling(stream) = &mut self.source {
            if let Some(stream) = stream.as_mut() {
                match stream.next(self.client.clock(), LISTEN).await {
                    Heard::Event(event) if event.name == "operation-log" => {
                        let told: Value = serde_json::from_str(&event.data).unwrap_or_default();
                        let log = &told["operation_log"];
                        self.last_event_id = Some(event.id);
                        let told = wire::text(log, "/id");
                        let of = self.ids.iter().enumerate().filter(|(_, id)| **id == told);
                        return Ok(of.map(|(index, _)| (index, log.clone())).collect());
                    }
                    Heard::Event(_) | Heard::Nothing => return Ok(vec![]),
                    Heard::End => {}
                }
                self.source = Source::Telling(None);
            }
            // Who is sent away at once does not come back at once.
            if !is_first {
                self.client.clock().sleep(POLL).await;
            }
            match self.client.task_events(self.ids, self.last_event_id.as_deref()).await {
                Opened::Stream(stream) => {
                    self.source = Source::Telling(Some(stream));
                    return Ok(vec![]);
                }
                Opened::Failed(error) => return Err(error),
                Opened::Nothing | Opened::NotHere => self.source = Source::Asking,
            }
        } else if !is_first {
            self.client.clock().sleep(POLL).await;
        }
        let mut news = Vec::new();
        for (index, id) in self.ids.iter().enumerate().filter(|(index, _)| open(*index)) {
            let path = self.client.cbr(&format!("operation-logs/{id}"));
            let body = self.client.get(&path, Query::new()).await?;
            news.push((index, body["operation_log"].clone()));
        }
        Ok(news)
    }
}
