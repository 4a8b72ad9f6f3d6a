//! Policies at work: what is due is found, started, and written down, once.
//!
//! ```text
//!   vault_policies.next_run_at ──▶ sweep ──▶ due (rules/occurrences) ──▶ start ──▶ a run's backups
//!        ▲                                        │                        │
//!        └── the next one ────────────────────────┴── policy_runs ◀────────┘     one transaction
//! ```
//! The row of an occurrence is unique, and is written in the transaction that starts its backups and
//! plans the next one. So it makes no difference how many nodes sweep, when they stop, and what their
//! clocks do (P16).

mod ahead;
mod plan;
mod service;
mod start;
mod views;

pub(crate) use plan::{give_up, plan_bound, replan};
pub use service::Schedules;
