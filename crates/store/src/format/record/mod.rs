//! Records: small objects with one section each.

mod claim;
mod delete;
mod descriptor;
mod domain;
mod fold;
mod interface;
mod maintenance_ring;
mod note;
mod outcome;
mod retire;
mod retire_fold;
mod shredded;
mod tenant_key;

pub use claim::Claim;
pub use delete::{Deed, Delete};
pub use descriptor::{Descriptor, Probe};
pub use domain::Domain;
pub use fold::{Fold, FoldedMove, FoldedSession};
pub use interface::{Record, TEXT_BYTES_MAX};
pub use note::{NOTE_BYTES_MAX, Note};
pub use outcome::{Abort, Borrowed, CARD_BYTES_MAX, Commit, Lender, Outcome, PackSummary, Root};
pub use retire::{Retire, RetiredSlots};
pub use retire_fold::{FoldedPack, RetireFold};
pub use shredded::Shredded;
