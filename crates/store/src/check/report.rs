//! What a check found.

use std::ops::Range;

use crate::version::VersionRef;

/// The result of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Live versions that were looked at.
    pub versions: u64,
    /// Objects that were looked at.
    pub objects: u64,
    /// Bytes that were read and verified as whole objects.
    pub read_bytes: u64,
    /// Bytes of objects nobody needs, left behind by interrupted sessions; a reclaim removes them.
    pub leftover_bytes: u64,
    /// Objects whose names are not of this format. They are left alone.
    pub unknown_objects: u64,
    /// What is wrong, in the order it was found.
    pub problems: Vec<Problem>,
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Something that is wrong with one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The object's key.
    pub object: String,
    /// What is wrong with it.
    pub what: String,
    /// The live versions that cannot be restored completely because of it. Empty if none is.
    pub affected: Vec<Affected>,
}

/// A version that is damaged, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affected {
    /// The version.
    pub version: VersionRef,
    /// The byte ranges of its disk that cannot be read; the whole disk if that is all that is
    /// known.
    pub ranges: Vec<Range<u64>>,
}
