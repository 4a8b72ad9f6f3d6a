//! The audit: nothing is changed for somebody without a record in the same transaction (AUD-01).
//!
//! [`Change`] is the transaction of such a change: it ends with a record or not at all. The records
//! of an account form a chain of digests (`chain`), so that none can be altered or taken out unseen.

mod chain;
mod change;
mod entry;
mod refused;
mod service;
mod system;

pub use chain::{Broken, Head};
pub(crate) use change::{Change, Subject};
pub(crate) use refused::Refusals;
pub use refused::Refused;
pub use service::{Audit, Kept, Verified};
pub(crate) use system::{record_for_account, record_system};
