//! What is needed where the chains of a tenant share blocks.
//!
//! It follows from the logs of all chains of the domain: `books.rs` reads them, `ledger.rs` (pure)
//! keeps the references to slots that are borrowed by anybody. A slot that nobody borrows is counted
//! as in a chain alone (`chain/lifetime.rs`).
//!
//! Removing is the same for both (`../sweep.rs`), but that dead slots are *retired* first, and only
//! those go that every unfinished session knows to be retired (`dedup/retired.rs`, `retire.rs`).

pub(super) mod books;
pub(super) mod ledger;
pub(super) mod retire;

pub(crate) use books::{Books, Shares};
