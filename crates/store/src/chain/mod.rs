//! The log of a chain: who claimed which version, what became of it, what was deleted.
//!
//! A version is valid if its claim and a commit of the same nonce exist and no delete record
//! has it gone or in the trash. All three are put-if-absent, so there is exactly one verdict on every session,
//! whoever gives it. Claims and verdicts are never removed: numbers have no gaps, so a listing
//! that lacks records cannot pass for a shorter log (P4, P10).

pub(crate) mod deletions;
pub(crate) mod fold;
mod folds;
pub(crate) mod history;
pub(crate) mod lifetime;
pub(crate) mod lists;
pub(crate) mod log;
mod usage;

pub(crate) use history::{History, Verdict};
pub(crate) use lifetime::Lineage;
pub(crate) use lists::{KnownLists, read_list};
pub(crate) use log::ChainLog;
pub use usage::Usage;
