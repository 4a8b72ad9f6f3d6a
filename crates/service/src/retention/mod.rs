//! Retention at work: which backups go by themselves, and when (RET-13 … RET-18).
//!
//! ```text
//!   a backup is complete ──▶ check ──▶ expired_backups      the logical end by number, exact
//!   expired_at comes ──────────────────────┐                the logical end by time, exact
//!                                          ▼
//!   sweep, in the window ──▶ deletable ──▶ the task that deletes a backup
//! ```
//! What the plan says is decided anew each time: a policy that was switched off meanwhile, a hold, a lock
//! keep what was already at its end. A clock decides when something may be deleted at last, never that
//! something may which no rule has given up.

mod check;
mod clock;
mod holds;
mod rule;
mod sweep;
mod window;

pub(crate) use check::check;
pub(crate) use clock::{Trust, trust};
pub use holds::RetentionOf;
pub(crate) use rule::{bound_policy, candidate};
pub use sweep::Expiry;
pub use window::Cleanup;
