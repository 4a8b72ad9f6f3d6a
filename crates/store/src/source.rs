//! Where a backup reads from.
//!
//! A source is a disk that stands still: its bytes do not change while a
//! session reads it. What freezes it (a snapshot, a stopped server) is the
//! caller's business. Reading is done by several threads at once.
//!
//! Not here: what changed since the last backup; that is an argument of
//! [`crate::Session::write`].

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// A frozen disk, read by byte offset.
pub trait BlockSource: Send + Sync {
    /// The disk's size in bytes; fixed while the source lives.
    fn size_bytes(&self) -> u64;
    /// The byte ranges that may hold data, sorted and without overlap. What lies outside reads
    /// as zeros and is never read.
    fn extents(&self) -> io::Result<Vec<Range<u64>>>;
    /// Fills `into` from `offset`. Never called beyond [`BlockSource::size_bytes`].
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;
}

/// A raw disk image or block device. Holes of a sparse file are not read.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    size_bytes: u64,
}

impl FileSource {
    /// Opens the raw image or block device at `path` for reading.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::new(File::open(path)?)
    }

    /// Reads from a file that is already open.
    pub fn new(file: File) -> io::Result<Self> {
        // Seeking to the end works for files and for block devices; the metadata of a block
        // device says zero.
        let size_bytes = seek(&file, SeekFrom::End(0))?;
        Ok(Self { file, size_bytes })
    }
}

impl BlockSource for FileSource {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn extents(&self) -> io::Result<Vec<Range<u64>>> {
        let mut extents = Vec::new();
        let mut at = 0;
        while at < self.size_bytes {
            let start = match seek(&self.file, SeekFrom::Data(at)) {
                Ok(start) => start.min(self.size_bytes),
                // Nothing but a hole up to the end.
                Err(Errno::NXIO) => break,
                // Block devices and old file systems do not know holes: read everything.
                Err(Errno::INVAL | Errno::OPNOTSUPP) => at,
                Err(error) => return Err(error.into()),
            };
            let end = match seek(&self.file, SeekFrom::Hole(start)) {
                Ok(end) => end.min(self.size_bytes),
                Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NXIO) => self.size_bytes,
                Err(error) => return Err(error.into()),
            };
            // A file that shrinks under us must not make this a loop without end.
            if end <= start {
                break;
            }
            extents.push(start..end);
            at = end;
        }
        Ok(extents)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holes_of_a_sparse_file_are_not_among_its_extents() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(64 << 20).unwrap();
        file.write_all_at(&[7; 4096], 16 << 20).unwrap();
        file.write_all_at(&[9; 4096], 48 << 20).unwrap();
        let source = FileSource::new(file).unwrap();
        assert_eq!(source.size_bytes(), 64 << 20);
        let extents = source.extents().unwrap();
        let covers = |at: u64| extents.iter().any(|extent| extent.contains(&at));
        assert!(covers(16 << 20) && covers(48 << 20));
        let total: u64 = extents.iter().map(|extent| extent.end - extent.start).sum();
        assert!(
            total < 8 << 20,
            "a file system of this machine does not report holes: {extents:?}"
        );
        assert!(extents.windows(2).all(|pair| pair[0].end <= pair[1].start));
    }

    #[test]
    fn an_empty_file_has_no_extents() {
        let source = FileSource::new(tempfile::tempfile().unwrap()).unwrap();
        assert_eq!((source.size_bytes(), source.extents().unwrap()), (0, Vec::new()));
    }
}
