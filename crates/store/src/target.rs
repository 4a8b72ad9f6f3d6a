//! Where a restore writes to.
//!
//! Writes arrive out of order and from several threads. A file restore is
//! written under `<name>.partial` and gets its name only when every byte is
//! there and flushed, so that a failed restore never looks finished (P1).

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use cbr_directio::DirectFile;
use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek};
use rustix::io::Errno;

use crate::partial::PartialFile;

/// Zeros written where a target cannot punch holes.
static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

/// A disk that a restore fills.
pub trait BlockTarget: Send + Sync {
    /// The size in bytes; must be at least the version's disk size.
    fn size_bytes(&self) -> u64;
    /// Whether every byte reads as zero before the restore begins, so that holes need no work.
    fn is_known_zero(&self) -> bool;
    /// Writes `data` at `offset`. Calls never overlap. Whole blocks begin where a page of memory
    /// begins, so that they can be written past the page cache.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;
    /// Makes `range` read as zeros, by a hole if possible.
    fn zero(&self, range: Range<u64>) -> io::Result<()>;
    /// Returns when everything written so far will survive a power cut.
    fn flush(&self) -> io::Result<()>;
}

/// An existing raw image or block device, overwritten in place.
#[derive(Debug)]
pub struct FileTarget {
    file: DirectFile,
    size_bytes: u64,
    is_known_zero: bool,
}

impl FileTarget {
    /// Opens what is at `path` for overwriting.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::new(OpenOptions::new().write(true).open(path)?)
    }

    /// Overwrites a file that is already open for writing.
    pub fn new(file: File) -> io::Result<Self> {
        let size_bytes = seek(&file, SeekFrom::End(0))?;
        Ok(Self { file: DirectFile::new(file), size_bytes, is_known_zero: false })
    }

    fn write_zeros(&self, range: Range<u64>) -> io::Result<()> {
        let mut at = range.start;
        while at < range.end {
            let piece = (range.end - at).min(ZEROS.len() as u64);
            self.file.file().write_all_at(&ZEROS[..crate::size::to_usize(piece)], at)?;
            at += piece;
        }
        Ok(())
    }
}

impl BlockTarget for FileTarget {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn is_known_zero(&self) -> bool {
        self.is_known_zero
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match fallocate(self.file.file(), punch, range.start, range.end - range.start) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => self.write_zeros(range),
            Err(error) => Err(error.into()),
        }
    }

    fn flush(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// A new sparse file, invisible under its name until [`NewFileTarget::publish`].
///
/// Dropping it unpublished leaves `<name>.partial` behind, for inspection; the next restore to
/// the same name replaces it.
#[derive(Debug)]
pub struct NewFileTarget {
    target: FileTarget,
    partial: PartialFile,
}

impl NewFileTarget {
    /// Begins the file `path` with `size_bytes` of zeros. Refuses if `path` exists, or is being written.
    pub fn create(path: &Path, size_bytes: u64) -> io::Result<Self> {
        let partial = PartialFile::create(path)?;
        partial.file().set_len(size_bytes)?;
        let file = DirectFile::new(partial.file().try_clone()?);
        let target = FileTarget { file, size_bytes, is_known_zero: true };
        Ok(Self { target, partial })
    }

    /// Flushes the file and gives it its name. Call only after the restore returned success.
    pub fn publish(self) -> io::Result<()> {
        self.target.file.sync_all()?;
        self.partial.publish()
    }
}

impl BlockTarget for NewFileTarget {
    fn size_bytes(&self) -> u64 {
        self.target.size_bytes()
    }

    fn is_known_zero(&self) -> bool {
        self.target.is_known_zero()
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.target.write_at(offset, data)
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        self.target.zero(range)
    }

    fn flush(&self) -> io::Result<()> {
        self.target.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// P1: partial outputs end in `.partial`.
    #[test]
    fn a_new_file_has_its_name_only_after_it_was_published() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk.raw");
        let target = NewFileTarget::create(&path, 1 << 20).unwrap();
        target.write_at(4096, &[5; 10]).unwrap();
        assert!(!path.exists() && directory.path().join("disk.raw.partial").exists());
        target.publish().unwrap();
        let bytes = fs::read(&path).unwrap();
        assert_eq!((bytes.len(), &bytes[4096..4106], bytes[0]), (1 << 20, &[5; 10][..], 0));
        assert!(!directory.path().join("disk.raw.partial").exists());
    }

    #[test]
    fn a_file_that_exists_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk.raw");
        fs::write(&path, b"precious").unwrap();
        let refused = NewFileTarget::create(&path, 8).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        fs::remove_file(&path).unwrap();
        let late = NewFileTarget::create(&path, 8).unwrap();
        fs::write(&path, b"precious").unwrap();
        assert_eq!(late.publish().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_zeroed_range_reads_as_zeros_and_its_surroundings_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk.raw");
        fs::write(&path, vec![1; 300_000]).unwrap();
        let target = FileTarget::open(&path).unwrap();
        assert!(!target.is_known_zero());
        target.zero(65_536..200_000).unwrap();
        target.write_zeros(250_000..260_000).unwrap();
        let bytes = fs::read(&path).unwrap();
        let zero = |at: usize| (65_536..200_000).contains(&at) || (250_000..260_000).contains(&at);
        assert!(bytes.iter().enumerate().all(|(at, byte)| (*byte == 0) == zero(at)));
    }
}
