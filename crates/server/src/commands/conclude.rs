//! How a command ends that has started tasks: waiting for them, or naming them.

use serde_json::{Value, json};

use super::session::Session;
use crate::client::wait::{self, WaitArgs};
use crate::failure::Failure;
use crate::output::Output;

/// Names the tasks that were started, one per line.
pub(super) fn started(output: Output, tasks: &[String]) -> Result<(), Failure> {
    if output.is_json() {
        output.json(&json!({"task_ids": tasks}))
    } else {
        tasks.iter().try_for_each(|task| output.line(task))
    }
}

/// Waits for the tasks unless told not to, then says what is done.
pub(super) async fn conclude(
    session: &Session,
    tasks: &[String],
    args: WaitArgs,
    done: &str,
) -> Result<(), Failure> {
    if args.no_wait {
        return started(session.output, tasks);
    }
    let logs = wait::tasks(&session.client, session.output, tasks, args).await?;
    if session.output.is_json() {
        session.output.json(&Value::from(logs))
    } else {
        session.output.line(done)
    }
}
