//! Packs: many sealed slots in one object, with tables at its end.
//!
//! A *logical* pack has a random name, a random key and numbered slots. An
//! object holds those of its slots that are still needed; a later generation
//! holds fewer of them, moved verbatim under the same numbers.

mod builder;
mod index;
mod patch;
mod salvage;
mod tables;

pub use builder::{PackBuilder, SealedPack};
pub use index::PackIndex;
pub use patch::{Patch, PatchBuilder, Present};
pub use salvage::salvage;
pub use tables::SlotEntry;
