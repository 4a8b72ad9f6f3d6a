//! Deleting where the chains of a tenant share blocks.
//!
//! What a slot is needed for follows from the logs of all chains of the domain: `books.rs` reads
//! them, `ledger.rs` (pure) keeps the references to slots that are borrowed by anybody. A slot that
//! nobody borrows is counted as in a chain alone (`chain/lifetime.rs`).
//!
//! Removing (`sweep.rs`) is clock-free: dead slots are *retired* first, and only those go that every
//! unfinished session knows to be retired (`dedup/retired.rs`).

mod account;
mod books;
mod ledger;
mod sweep;

pub(crate) use account::prediction;
pub(crate) use books::{Books, Shares};
pub(crate) use sweep::DomainSweep;
