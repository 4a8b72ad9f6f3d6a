//! Sharing blocks between the chains of a tenant: finding a block that is stored already, and the
//! log that says what nobody may borrow any more.
//!
//! What is found is a *hint*: it saves space and is never needed to read. A block that is not
//! found is stored again. Before anything is borrowed its whole id is compared with the identity
//! table of the pack, read after the session's claim was durable (P5).
//!
//! Everything in memory is taken from one [`Budget`] (`Options::dedup_ram_bytes`, P24).
//!
//! Not here: what borrowing means for deletions (`delete/shared/`).

mod borrower;
mod budget;
mod domain;
mod hint;
mod local;
pub(crate) mod retired;
mod table;

pub(crate) use borrower::{Borrower, Found, Recent};
pub(crate) use domain::Domains;
pub(crate) use retired::{RetireLog, Retired};
