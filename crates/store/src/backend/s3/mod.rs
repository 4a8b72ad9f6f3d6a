//! Objects in a bucket of an S3-compatible store.
//!
//! ```text
//! caller's thread ─ backend ─▶ calls (slots, retries, waiting) ─▶ own runtime ─▶ client ─▶ watch ─▶ network
//! ```
//!
//! - Every object is **one** `PUT` with `If-None-Match: *`: atomic, and nothing half-uploaded can be
//!   left behind, because there are no multipart uploads at all. The largest object
//!   ([`OBJECT_BYTES_MAX`](super::OBJECT_BYTES_MAX)) is far below the 5 GiB a single put may have.
//! - What the store answered is read from the answer itself (`watch.rs`): only a 404 that says
//!   `NoSuchKey` is absence, only a 412 is "existed", and everything after which the request may have
//!   taken effect is [`Put::Unknown`](super::Put::Unknown) (P21).
//! - Threads, concurrent requests, retries and waiting have limits with names (P24).
//!
//! Real waiting happens in two places: between attempts through [`cbr_env::Clock::sleep`], and for the
//! network through the timeouts of one attempt, which are the runtime's own.
//!
//! Not here: stores that ignore conditions (`layer/arbitrated.rs`), and whether a store can be trusted
//! at all (`probe.rs`).

mod answer;
mod ask;
mod backend;
mod budget;
mod calls;
mod client;
mod gate;
mod options;
mod watch;

pub use backend::S3Backend;
pub use options::{S3Credentials, S3Options};
