//! Removing what no version needs any more.
//!
//! Deciding is pure (`account.rs`, `plan.rs`), seeing is `look.rs`, doing `sweep.rs`; what it is about
//! to do is a value (`reclaim.rs`), and nothing goes that a map still points to (`proof.rs`), of which a process remembers what it
//! read (`memory.rs`) and leaves it for the next one (`kept/`). A chain
//! alone is a domain with one chain; what others borrow is in `shared/`. A sweep may be repeated at any
//! time and finishes what an interrupted one began. It looks at the packs first and at the claims
//! after that, so a session that begins meanwhile is either seen or has written nothing seen; and
//! whatever does not fit together stops it before the first removal (P10).

pub(crate) mod account;
mod compact;
mod kept;
mod look;
mod memory;
mod needed;
mod patches;
pub(crate) mod plan;
mod proof;
mod reclaim;
pub(crate) mod shared;
mod shrink;
mod sweep;

pub(crate) use kept::KeptMaps;
pub(crate) use look::list_packs;
pub(crate) use memory::KnownMaps;
pub use reclaim::{
    ChainReclaim, ReclaimAction, ReclaimPlan, ReclaimReason, ReclaimStep, Unexplained,
};
pub(crate) use sweep::{Sweep, remove_session};

#[cfg(test)]
mod tests;
