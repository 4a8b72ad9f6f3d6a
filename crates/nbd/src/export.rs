//! What a server exports: a disk that can be read, and perhaps written.
//!
//! The calls block; the server runs them on a bounded number of threads, several at the
//! same time. The ranges they get are within the disk's size.

use std::io;
use std::ops::Range;

use crate::extent::Extent;

/// A disk to export.
pub trait Export: Send + Sync + 'static {
    /// Bytes. Must not change.
    fn size(&self) -> u64;

    /// Fills `buffer` with the bytes from `offset` on.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Which runs, from the range's start on, are allocated and which read as zeroes
    /// (`base:allocation`). May tell of less than the range, but of something; a call should
    /// take a bounded time. Telling "data" is always true.
    fn extents(&self, range: Range<u64>) -> io::Result<Vec<Extent>> {
        Ok(vec![Extent::plain(range.end - range.start)])
    }

    /// The changes since some earlier state, if they are known.
    fn changes(&self) -> Option<&dyn Changes> {
        None
    }

    /// How to write; a disk without is exported read-only.
    fn writes(&self) -> Option<&dyn Writes> {
        None
    }

    /// A line for humans.
    fn description(&self) -> Option<&str> {
        None
    }
}

/// A dirty bitmap, offered as the context `qemu:dirty-bitmap:NAME`.
pub trait Changes {
    /// The bitmap's name.
    fn name(&self) -> &str;

    /// Which runs, from the range's start on, were changed. As [`Export::extents`].
    fn extents(&self, range: Range<u64>) -> io::Result<Vec<Extent>>;
}

/// The writing half of a disk.
pub trait Writes {
    /// Writes all of `data`.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Makes the range read as zeroes. It may become a hole if `may_punch`.
    fn zero(&self, range: Range<u64>, may_punch: bool) -> io::Result<()>;

    /// The range's contents are of no use any more. Doing nothing is right.
    fn trim(&self, range: Range<u64>) -> io::Result<()>;

    /// Returns when everything written before, whoever wrote it, survives a power cut. The
    /// server relies on "whoever": it offers several connections.
    fn flush(&self) -> io::Result<()>;
}
