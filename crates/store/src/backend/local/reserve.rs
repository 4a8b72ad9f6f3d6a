//! A file that only takes up room, to be given up bit by bit when the disk is full.
//!
//! Records are small, and without them neither a delete nor an abort can be
//! written down, so a full disk could not be emptied again (P19). It is given
//! up in small steps, because whoever filled the disk takes what becomes free.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

const NAME: &str = ".reserve";
/// The reserve takes at most this part of the file system.
const PART_OF_DISK: u64 = 64;
/// One step is at least this part of the reserve.
const STEPS: u64 = 64;
/// A directory and a file take a few blocks besides the content.
const OVERHEAD_BYTES: u64 = 32 * 1024;

#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    root: PathBuf,
    bytes: u64,
}

impl Reserve {
    pub(super) fn new(root: &Path, bytes: u64) -> Self {
        Self { path: root.join(NAME), root: root.to_owned(), bytes }
    }

    /// Makes room for an object of this size. False if nothing was left to give.
    pub(super) fn give(&self, object_bytes: u64) -> bool {
        let left = self.left();
        let step = (left / STEPS).max(object_bytes.saturating_add(OVERHEAD_BYTES));
        let is_given = left > 0 && self.shrink_to(left.saturating_sub(step)).is_ok();
        if is_given {
            tracing::warn!(root = %self.root.display(), "the disk is full; the reserve is in use");
        }
        is_given
    }

    /// Takes the room again that was given up, if there is twice as much by now.
    ///
    /// Failing is no error: the reserve is a second line.
    pub(super) fn refill(&self) {
        if self.bytes == 0 {
            return;
        }
        let Ok(disk) = statvfs(&self.root) else { return };
        let wanted = self.bytes.min(disk.f_blocks.saturating_mul(disk.f_frsize) / PART_OF_DISK);
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let missing = wanted.saturating_sub(self.left());
        if missing == 0 || free < missing.saturating_mul(2) {
            return;
        }
        if let Err(error) = self.allocate(wanted) {
            tracing::warn!(path = %self.path.display(), %error, "cannot reserve space");
        }
    }

    fn left(&self) -> u64 {
        self.path.symlink_metadata().map_or(0, |about| about.len())
    }

    fn shrink_to(&self, bytes: u64) -> io::Result<()> {
        if bytes == 0 {
            return std::fs::remove_file(&self.path);
        }
        OpenOptions::new().write(true).open(&self.path)?.set_len(bytes)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(&self.path)?;
        fallocate(&file, FallocateFlags::empty(), 0, bytes)?;
        Ok(())
    }
}
