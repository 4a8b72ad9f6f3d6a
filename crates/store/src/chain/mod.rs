//! The log of a chain: who claimed which version, what became of it, what was deleted.
//!
//! A version is valid if its claim and a commit of the same nonce exist and no delete record
//! names it. All three are put-if-absent, so there is exactly one verdict on every session,
//! whoever gives it.

pub(crate) mod history;
pub(crate) mod lifetime;
pub(crate) mod log;

pub(crate) use history::{History, Verdict};
pub(crate) use lifetime::Lineage;
pub(crate) use log::ChainLog;
