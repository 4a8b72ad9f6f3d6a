//! Restoring and reading versions.

use std::sync::Arc;

use super::Repository;
use crate::error::{Error, Result};
use crate::format::record::Commit;
use crate::job::{Job, Meter};
use crate::map::MapReader;
use crate::packs::Packs;
use crate::restore::{DiskReader, Restore};
use crate::target::BlockTarget;
use crate::version::{RestoreStats, VersionRef};

impl Repository {
    /// Writes a version to `target`, flushes it, and returns only if every byte is there.
    ///
    /// Bytes of the target beyond the version's disk are left alone.
    ///
    /// # Errors
    /// [`Error::Incomplete`] names the byte ranges that could not be read; everything else was
    /// restored. [`Error::Target`] stops at the first write that fails.
    pub fn restore(
        &self,
        version: &VersionRef,
        target: &dyn BlockTarget,
        job: &Job,
    ) -> Result<RestoreStats> {
        let (packs, commit) = self.live_version(version)?;
        if target.size_bytes() < commit.disk_bytes {
            return Err(Error::Invalid {
                what: format!(
                    "the target has {} bytes, the backed-up disk {}",
                    target.size_bytes(),
                    commit.disk_bytes
                ),
            });
        }
        let meter = Meter::new(job, commit.used_bytes);
        meter.add(0, 0);
        let map = MapReader::new(Arc::clone(&packs), commit.root, commit.disk_bytes);
        Restore::new(&packs, &map, target, &meter, self.options.threads).run()
    }

    /// Opens a version for reading any part of it.
    pub fn open_disk(&self, version: &VersionRef) -> Result<DiskReader> {
        let (packs, commit) = self.live_version(version)?;
        let map = MapReader::new(Arc::clone(&packs), commit.root, commit.disk_bytes);
        Ok(DiskReader::new(packs, map, Arc::clone(&self.reads)))
    }

    /// A version that exists and is neither deleted nor in the trash. Damage to other versions does not matter (P5).
    pub(crate) fn live_version(&self, version: &VersionRef) -> Result<(Arc<Packs>, Commit)> {
        let missing =
            || Error::NoSuchVersion { chain: version.chain.to_string(), seq: version.seq };
        let log = self.log(&version.chain)?.ok_or_else(missing)?;
        let (_, committed) = log.read_version(version.seq)?.ok_or_else(missing)?;
        let deletions = log.read_deletions()?;
        if deletions.is_gone(version.seq) {
            return Err(missing());
        }
        if deletions.is_trashed(version.seq) {
            return Err(Error::InTrash { chain: version.chain.to_string(), seq: version.seq });
        }
        Ok((self.packs(&log), committed.commit))
    }
}
