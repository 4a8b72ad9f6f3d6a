//! Progress of tasks as server-sent events (extension).
//!
//! What is sent are states and no steps: every event is a whole operation log, and the id of an event
//! names the states that its reader has by then. Who comes back with the last id (`Last-Event-ID`)
//! gets what differs, whichever node answers and however long it was away; nothing is kept for it.

mod board;
mod follow;
mod open;

pub(crate) use open::{OPERATION, places};
