//! Reading a stream of server-sent events.

use std::time::Duration;

use cbr_env::Clock;

use super::error::ApiError;

/// The service says something at least every 15 seconds.
const SILENCE: Duration = Duration::from_secs(45);
/// No event is longer.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// An open stream.
#[derive(Debug)]
pub(crate) struct EventStream {
    response: reqwest::Response,
    pending: Pending,
    silent_since_micros: u64,
}

/// An event.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Event {
    /// What a reader that comes back has to say.
    pub(crate) id: String,
    /// What kind of event.
    pub(crate) name: String,
    /// Its content.
    pub(crate) data: String,
}

/// What a wait came to.
#[derive(Debug)]
pub(crate) enum Heard {
    /// An event.
    Event(Event),
    /// Nothing within the time that was given.
    Nothing,
    /// The stream is over, or broken.
    End,
}

impl EventStream {
    pub(crate) fn new(response: reqwest::Response, clock: &dyn Clock) -> Self {
        let silent_since_micros = clock.monotonic_micros();
        Self { response, pending: Pending::default(), silent_since_micros }
    }

    /// The next event, if one comes within `patience`.
    pub(crate) async fn next(&mut self, clock: &dyn Clock, patience: Duration) -> Heard {
        loop {
            if let Some(event) = self.pending.take() {
                return Heard::Event(event);
            }
            let chunk = tokio::select! {
                chunk = self.response.chunk() => chunk,
                () = clock.sleep(patience) => {
                    let silent = clock.monotonic_micros().saturating_sub(self.silent_since_micros);
                    let is_dead = u128::from(silent) > SILENCE.as_micros();
                    return if is_dead { Heard::End } else { Heard::Nothing };
                }
            };
            // Broken off or ended: who wants more comes back.
            let Ok(Some(bytes)) = chunk else { return Heard::End };
            self.silent_since_micros = clock.monotonic_micros();
            if !self.pending.push(&bytes) {
                return Heard::End;
            }
        }
    }
}

/// What has arrived and is no whole event yet.
#[derive(Debug, Default)]
struct Pending(Vec<u8>);

impl Pending {
    /// Adds what arrived; false: it is more than an event can be.
    fn push(&mut self, bytes: &[u8]) -> bool {
        self.0.extend_from_slice(bytes);
        self.0.len() <= EVENT_BYTES_MAX
    }

    /// The first whole event. Comments are no events.
    fn take(&mut self) -> Option<Event> {
        loop {
            let end = self.0.windows(2).position(|pair| pair == b"\n\n")?;
            let block: Vec<u8> = self.0.drain(..end + 2).collect();
            let event = parsed(&String::from_utf8_lossy(&block));
            if event.is_some() {
                return event;
            }
        }
    }
}

/// An event; none where there is neither a name nor data.
fn parsed(block: &str) -> Option<Event> {
    let mut event = Event::default();
    let mut data = Vec::new();
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => value.clone_into(&mut event.id),
            "event" => value.clone_into(&mut event.name),
            "data" => data.push(value),
            _ => {}
        }
    }
    event.data = data.join("\n");
    (!event.name.is_empty() || !data.is_empty()).then_some(event)
}

/// What opening a stream came to.
#[derive(Debug)]
pub(crate) enum Opened {
    /// There is something to hear.
    Stream(EventStream),
    /// There is nothing that is not known already.
    Nothing,
    /// The service has no such streams, or none to spare.
    NotHere,
    /// It did not work.
    Failed(ApiError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_put_together_from_pieces_and_comments_are_none() {
        let mut pending = Pending::default();
        let text = b":\n\nid: 1\nevent: a\ndata: {\"x\":\ndata: 1}\n\n: beat\n\nevent:end\ndata:{}\n\nid: 2";
        let mut events = Vec::new();
        for byte in text {
            assert!(pending.push(&[*byte]));
            events.extend(pending.take());
        }
        let event = |id: &str, name: &str, data: &str| Event {
            id: id.into(),
            name: name.into(),
            data: data.into(),
        };
        assert_eq!(events, [event("1", "a", "{\"x\":\n1}"), event("", "end", "{}")]);
        assert_eq!(pending.0, b"id: 2", "what is not whole waits");
    }

    #[test]
    fn an_event_without_end_is_not_gathered_for_ever() {
        let mut pending = Pending::default();
        assert!(pending.push(&vec![b'x'; EVENT_BYTES_MAX]));
        assert!(!pending.push(b"x"));
    }
}
