//! Making damage undone: from the next backup of the same source, or from the repository itself.
//!
//! What is lost of a slot is stored again in a *patch* beside its pack (`format::pack::Patch`),
//! after it was compared with the id the pack has of it. So the versions that need it become whole
//! again without being touched, and nothing damaged is overwritten or removed (P5).

mod nodes;
mod patches;
mod repair;
mod rewrite;
mod spot;
mod wanted;

pub use repair::{PastRepair, RepairPlan, Repaired};
pub use spot::{InvalidSpot, Spot};

pub(crate) use nodes::{Source, lost_nodes};
pub(crate) use patches::{Patches, reseal_patch};
pub(crate) use rewrite::is_by_repair;
pub(crate) use wanted::{Healer, Wanted, bad_ranges, lost_blocks, reference};
