//! Reading and writing the bytes of a disk.
//!
//! Both traits are synchronous and may be called from many threads at once: the
//! engine reads and writes on its own threads. Offsets and sizes are bytes as the
//! guest sees them, whatever the format of the image.
//!
//! Not here: where the bytes lie (`local/`), and when reading is allowed
//! (`provider.rs`).

use std::fmt;
use std::io;
use std::ops::Range;

/// The largest disk that is believed (P29): 64 TiB.
pub const DISK_BYTES_MAX: u64 = 64 << 40;

/// The most ranges [`DiskReader::allocated`] returns; the last one then covers the rest.
pub const RANGES_MAX: usize = 1 << 20;

/// What a LUKS container begins with, of any version: a disk that its owner encrypts (BAK-17).
pub(crate) const LUKS_MAGIC: [u8; 6] = *b"LUKS\xba\xbe";

/// One disk at one instant.
pub trait DiskReader: Send + Sync + fmt::Debug {
    /// The size of the disk.
    fn size_bytes(&self) -> u64;

    /// Where there may be data: sorted, not empty, not overlapping, within the disk.
    ///
    /// Everything else reads as zeros. The converse does not hold: a range may be
    /// listed and still hold nothing but zeros.
    fn allocated(&self) -> io::Result<Vec<Range<u64>>>;

    /// Fills `buffer` from `offset` on. Reading past the end is an error.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

/// A disk that is being overwritten by a restore.
///
/// After any error the writer stays broken (P20): every later call fails too.
pub trait DiskWriter: Send + Sync + fmt::Debug {
    /// The size of the disk.
    fn size_bytes(&self) -> u64;

    /// Whether every byte read as zero when the writer was opened, so that zeros
    /// need not be written.
    fn is_known_zero(&self) -> bool;

    /// Writes all of `data`. Writing past the end is an error.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Makes the range read as zeros, giving back its space where that is possible.
    fn zero(&self, range: Range<u64>) -> io::Result<()>;

    /// Returns once everything written so far survives a power cut.
    fn flush(&self) -> io::Result<()>;
}

/// Refuses access beyond the end of a disk.
pub(crate) fn check_bounds(size_bytes: u64, offset: u64, length: u64) -> io::Result<()> {
    match offset.checked_add(length) {
        Some(end) if end <= size_bytes => Ok(()),
        _ => Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("{length} bytes at {offset} reach beyond the disk of {size_bytes} bytes"),
        )),
    }
}

/// Collects ranges in ascending order, joining neighbours, never more than [`RANGES_MAX`].
#[derive(Debug, Default)]
pub(crate) struct Ranges {
    list: Vec<Range<u64>>,
}

impl Ranges {
    pub(crate) fn push(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let full = self.list.len() >= RANGES_MAX;
        match self.list.last_mut() {
            Some(last) if last.end >= range.start || full => last.end = last.end.max(range.end),
            _ => self.list.push(range),
        }
    }

    pub(crate) fn into_vec(self) -> Vec<Range<u64>> {
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_joined_and_the_number_of_ranges_is_bounded() {
        let mut ranges = Ranges::default();
        ranges.push(0..0);
        ranges.push(4..8);
        ranges.push(8..12);
        ranges.push(20..21);
        assert_eq!(ranges.into_vec(), [4..12, 20..21]);

        let mut many = Ranges::default();
        let end = (RANGES_MAX as u64 + 10) * 2;
        for start in (0..end).step_by(2) {
            many.push(start..start + 1);
        }
        let many = many.into_vec();
        assert_eq!(many.len(), RANGES_MAX);
        assert_eq!(many.last().unwrap().end, end - 1, "the last range covers the rest");
    }

    #[test]
    fn bounds_do_not_wrap_around() {
        assert!(check_bounds(10, 0, 10).is_ok());
        assert!(check_bounds(10, 10, 0).is_ok());
        assert!(check_bounds(10, 1, 10).is_err());
        assert!(check_bounds(10, u64::MAX, 2).is_err());
    }
}
