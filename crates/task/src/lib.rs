//! Durable tasks: work that survives the process.
//!
//! A task kind is an enum of stages ([`Task`]). The engine claims a row with a
//! lease and a fencing number, runs the [step](Task::step) of its stage, saves
//! the next stage together with what [entering](Task::enter) it writes into the
//! database, and goes on. After a crash another claim repeats the step that was
//! not saved. Why stages and not a graph: `docs/adr/0004-tasks-are-stage-enums.md`.
//!
//! ```text
//!   enqueue          claim                     step, save, step, save …
//!   ───────▶ waiting ─────▶ running (lease) ──────────────────────────▶ success │ failed │ timeout │ skipped
//!                              ▲    │ retry, wait, shutdown, lease lost
//!                              └────┘
//! ```
//!
//! This crate knows no kind of task; `cbr-service` has them.

mod context;
mod engine;
mod enqueue;
mod error;
#[cfg(feature = "harness")]
pub mod harness;
mod heartbeat;
mod kind;
mod options;
mod task;
mod wake;
mod work;

pub use context::TaskContext;
pub use engine::Engine;
pub use enqueue::new_task;
pub use error::TaskError;
pub use options::Options;
pub use task::{Cause, Failure, Outcome, StepError, Task};
pub use wake::Wake;
