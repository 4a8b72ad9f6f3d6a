//! Sharing backups with other projects: offering, accepting, taking back (SHR-01 … SHR-14).
//!
//! A share is a row and no copy. The content stays in the owner's chain under the owner's keys; the
//! row lets another project see the backup, counts it in that project's vault, and lets its disks be
//! made. Whoever reads it works as a task on the backup, and no backup is deleted under a task
//! (contract C30): so the owner's deletion and a recipient's reading never meet.

mod error;
mod requests;
mod service;

pub use error::ShareError;
pub use requests::{Decision, MemberFilter, MemberSort, MemberSortKey, Recipients};
pub use service::Sharing;
