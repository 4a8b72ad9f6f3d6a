//! Checking a repository: is everything there that a version needs, and is it what was written?
//!
//! The result is a value: which object, what is wrong with it, and which versions are affected in
//! which bytes (P4, P5). Nothing is repaired or removed here.

mod affected;
mod chains;
mod found;
mod notes;
mod packs;
mod patches;
mod references;
mod report;
mod scrub;
mod verify;

pub use report::{Affected, CheckReport, Problem};
pub use scrub::{InvalidCursor, ScrubBudget, ScrubCursor, ScrubLevel, ScrubStep, ScrubbedObject};
pub use verify::Verified;
