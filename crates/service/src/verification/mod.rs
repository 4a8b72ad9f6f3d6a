//! Verification: reading what is stored again, on a schedule and on demand, and keeping what is known.
//!
//! What is damaged is known by the store's names (`damaged_spots`); who is hurt by it stands beside the
//! backup (`backup_integrity`). Both are replaced, domain by domain, by what the store says now, so a
//! backup that was healed is whole again here too. All of it can be found out again from the
//! repository; nothing here is believed when something is restored.

mod apply;
mod budget;
mod service;

pub use budget::VerifyOptions;
pub use service::Verification;

pub(crate) use apply::{Finding, apply_domain};
