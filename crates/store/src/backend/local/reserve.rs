//! A file that only takes up room, to be given up when the disk is full.
//!
//! Records are small, and without them neither a delete nor an abort can be
//! written down, so a full disk could not be emptied again (P19).

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

const NAME: &str = ".reserve";
/// The reserve takes at most this part of the file system.
const PART_OF_DISK: u64 = 64;

#[derive(Debug)]
pub(super) struct Reserve {
    root: PathBuf,
    bytes: u64,
}

impl Reserve {
    pub(super) fn new(root: &Path, bytes: u64) -> Self {
        Self { root: root.to_owned(), bytes }
    }

    /// Gives the room free. False if there was none.
    pub(super) fn release(&self) -> bool {
        let is_released = std::fs::remove_file(self.root.join(NAME)).is_ok();
        if is_released {
            tracing::warn!(root = %self.root.display(), "the disk is full; the reserve is in use");
        }
        is_released
    }

    /// Takes the room again, if it was given up and there is twice as much by now.
    ///
    /// Failing is no error: the reserve is a second line.
    pub(super) fn refill(&self) {
        let path = self.root.join(NAME);
        if self.bytes == 0 || path.symlink_metadata().is_ok() {
            return;
        }
        let Ok(disk) = statvfs(&self.root) else { return };
        let wanted = self.bytes.min(disk.f_blocks.saturating_mul(disk.f_frsize) / PART_OF_DISK);
        if wanted == 0 || disk.f_bavail.saturating_mul(disk.f_frsize) < wanted.saturating_mul(2) {
            return;
        }
        if let Err(error) = allocate(&path, wanted) {
            tracing::warn!(path = %path.display(), %error, "cannot reserve space");
            // A file that reserves nothing would only look like a reserve.
            let _ = std::fs::remove_file(&path);
        }
    }
}

fn allocate(path: &Path, bytes: u64) -> std::io::Result<()> {
    let file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    fallocate(&file, FallocateFlags::empty(), 0, bytes)?;
    Ok(())
}
