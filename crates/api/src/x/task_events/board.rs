//! Which states a reader of a stream has.

use aws_lc_rs::digest::{SHA256, digest};
use cbr_model::operation::OperationLog as Log;

use crate::v3::operation_logs::wire::OperationLog;

/// Bytes of a state's mark: enough that no other state of a task has it.
const MARK_BYTES: usize = 8;

/// Which states of the tasks, in their order, a reader has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Board {
    marks: Vec<Option<String>>,
}

/// An event: one state that a reader did not have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct News {
    /// What the reader has with it.
    pub(super) id: String,
    /// The state, as JSON.
    pub(super) data: String,
}

impl Board {
    /// Of a reader that says it has the states of the event `last`. An id that is not one of a stream of
    /// `count` tasks says nothing: all states are sent again.
    pub(super) fn read(last: Option<&str>, count: usize) -> Self {
        let is_mark = |mark: &str| {
            mark.len() == 2 * MARK_BYTES && mark.chars().all(|c| c.is_ascii_hexdigit())
        };
        let said = last.unwrap_or_default().split('.').take(count + 1);
        let marks: Vec<Option<String>> =
            said.map(|mark| is_mark(mark).then(|| mark.to_owned())).collect();
        if marks.len() == count { Self { marks } } else { Self { marks: vec![None; count] } }
    }

    /// What the reader does not have of these states, and notes that it has it then. A task that there
    /// is no more (`None`) has no news.
    pub(super) fn news(&mut self, logs: &[Option<Log>]) -> Result<Vec<News>, serde_json::Error> {
        let mut news = Vec::new();
        for (index, log) in logs.iter().enumerate() {
            let Some(log) = log else { continue };
            let state = serde_json::json!({ "operation_log": OperationLog::from(log.clone()) });
            let data = serde_json::to_string(&state)?;
            let mark = Some(mark(&data));
            if self.marks[index] != mark {
                self.marks[index] = mark;
                news.push(News { id: self.id(), data });
            }
        }
        Ok(news)
    }

    /// The id of an event after which its reader has all that was sent.
    fn id(&self) -> String {
        let marks: Vec<&str> =
            self.marks.iter().map(|mark| mark.as_deref().unwrap_or("-")).collect();
        marks.join(".")
    }
}

/// Whether nothing will change any more: every task has ended, or is kept no more.
pub(super) fn are_over(logs: &[Option<Log>]) -> bool {
    logs.iter().flatten().all(|log| log.status.is_final())
}

fn mark(data: &str) -> String {
    let digest = digest(&SHA256, data.as_bytes());
    hex::encode(&digest.as_ref()[..MARK_BYTES])
}
