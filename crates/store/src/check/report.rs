//! What a check found.

use std::ops::Range;

use crate::backend::Key;
use crate::error::Error;
use crate::format::id::DomainId;
use crate::heal::Spot;
use crate::version::VersionRef;

/// The result of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Versions that were looked at: live ones and those in the trash.
    pub versions: u64,
    /// Objects that were looked at.
    pub objects: u64,
    /// Bytes that were read and verified as whole objects.
    pub read_bytes: u64,
    /// Bytes of objects nobody needs, left behind by interrupted sessions; a reclaim removes them.
    pub leftover_bytes: u64,
    /// Objects whose names are not of this format. They are left alone.
    pub unknown_objects: u64,
    /// Damaged things that are whole again because what they had lost is elsewhere too.
    pub healed: u64,
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
    /// The name to give to [`crate::Session::distrust`]; none if it is no pack.
    pub spot: Option<Spot>,
    /// The domain it lies in, if it is known.
    pub domain: Option<DomainId>,
    /// The versions that cannot be restored completely because of it, also those in the trash. Empty if none is.
    pub affected: Vec<Affected>,
}

impl Problem {
    /// A descriptor or a key is damaged. Whom that hurts shows when it is used.
    pub(super) fn of_key(key: &Key, error: &Error) -> Self {
        let (object, what) = (key.to_string(), error.to_string());
        Self { object, what, spot: None, domain: None, affected: Vec::new() }
    }
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
