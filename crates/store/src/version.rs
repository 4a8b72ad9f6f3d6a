//! The names of chains and versions, and what a caller learns about a version.

use std::fmt;

use crate::format::id::{ChainRef, DomainId, Scope};

impl fmt::Display for ChainRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, scope, epoch, chain } = self;
        match scope {
            Scope::Volume => write!(f, "{tenant}/{chain}.{epoch}"),
            Scope::Tenant => write!(f, "{tenant}/shared/{chain}.{epoch}"),
        }
    }
}

impl fmt::Display for DomainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}.{}", self.tenant, self.scope.letter(), self.sharer, self.epoch)
    }
}

/// One committed state of a disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VersionRef {
    /// The chain it belongs to.
    pub chain: ChainRef,
    /// Its number within the chain, from 1.
    pub seq: u64,
}

impl fmt::Display for VersionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.chain, self.seq)
    }
}

/// What is known about a committed version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VersionInfo {
    /// Its name.
    pub version: VersionRef,
    /// The version it was compared with; it may have been deleted since.
    pub parent: Option<u64>,
    /// Who made it, as given to [`crate::Repository::begin`].
    pub owner: String,
    /// The disk's size.
    pub disk_bytes: u64,
    /// What the tenant sees as the size of this backup: the used blocks of a first version, the
    /// changed blocks of a later one (BAK-31, BAK-32).
    pub logical_bytes: u64,
    /// Blocks that are not holes.
    pub used_bytes: u64,
    /// Bytes this version added to the repository: compressed, sealed, with its map.
    pub added_bytes: u64,
    /// The caller's own record, as given to [`crate::Session::commit`].
    pub card: Vec<u8>,
}

/// What a live version costs. The stored bytes it needs are `unique_bytes + shared_bytes`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VersionSizes {
    /// Its name.
    pub version: VersionRef,
    /// The disk's size.
    pub disk_bytes: u64,
    /// Blocks that are not holes.
    pub used_bytes: u64,
    /// What the tenant sees: the used blocks of a first version, the changed blocks of a later one
    /// (BAK-31, BAK-32).
    pub logical_bytes: u64,
    /// Whether it was compared with no other version.
    pub is_first: bool,
    /// What it added when it was made: compressed, sealed, with its map.
    pub stored_bytes: u64,
    /// Stored bytes that only it needs: what deleting it alone would free, once that is for good.
    pub unique_bytes: u64,
    /// Stored bytes that it and other versions of its chain need, those in the trash too.
    pub shared_bytes: u64,
}

/// What [`crate::Session::write`] did.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct WriteStats {
    /// Bytes read from the source.
    pub read_bytes: u64,
    /// Blocks that differ from the parent and are not zero, in bytes.
    pub changed_bytes: u64,
    /// Blocks of the new version that are not holes, in bytes.
    pub used_bytes: u64,
    /// Bytes stored, compressed and sealed, with the map.
    pub stored_bytes: u64,
    /// Blocks that earlier versions had lost to damage and have again, in bytes.
    pub healed_bytes: u64,
    /// Of the changed blocks those that were stored already, by another disk or elsewhere on this
    /// one, in bytes.
    pub borrowed_bytes: u64,
}

/// What [`crate::Repository::restore`] did.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct RestoreStats {
    /// Bytes written to the target, without holes.
    pub written_bytes: u64,
    /// Bytes fetched from the backend.
    pub fetched_bytes: u64,
}

/// What a deletion or a reclaim set free.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Freed {
    /// Stored bytes that no version needs any more because of this call; what
    /// [`crate::Repository::preview_delete`] said before.
    pub freed_bytes: u64,
    /// Bytes of objects removed from the backend, less what had to be written again. May come
    /// later than `freed_bytes`: a pack is rewritten only when much of it is dead.
    pub removed_object_bytes: u64,
    /// Packs that the bookkeeping gave up and a version still needs: they stay, and each is a defect
    /// to report.
    pub rescued_packs: u64,
}

/// What a deletion will do.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Prediction {
    /// Stored bytes that no version will need any more.
    pub freed_bytes: u64,
    /// Stored bytes that these versions need and others do too, of other disks: they stay.
    pub kept_bytes: u64,
    /// How many other disks keep them.
    pub kept_by: u64,
}

/// How much [`crate::Repository::check`] reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CheckDepth {
    /// Lists everything, reads every record and map, compares sizes.
    Structure,
    /// Also reads every byte of every object, decodes every slot and compares every block id.
    ReadData,
}
