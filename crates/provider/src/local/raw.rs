//! Disks stored byte by byte: raw images and block devices.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom as StdSeekFrom};
use std::ops::Range;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::sync::atomic::{AtomicBool, Ordering};

use cbr_directio::DirectFile;
use rustix::fs::{Advice, FallocateFlags, SeekFrom, fadvise, fallocate, seek};
use rustix::io::Errno;

use crate::disk::{DISK_BYTES_MAX, DiskReader, DiskWriter, Ranges, check_bounds};

/// How many zeros are written at once where a range cannot be deallocated.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Reads a raw image or a block device.
#[derive(Debug)]
pub(crate) struct RawReader {
    file: File,
    size_bytes: u64,
}

impl RawReader {
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let size_bytes = size_of(&file)?;
        // Only a hint: a backup reads from the beginning to the end.
        let _ = fadvise(&file, 0, None, Advice::Sequential);
        Ok(Self { file, size_bytes })
    }
}

impl DiskReader for RawReader {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn allocated(&self) -> io::Result<Vec<Range<u64>>> {
        data_ranges(&self.file, self.size_bytes, usize::MAX)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        check_bounds(self.size_bytes, offset, buffer.len() as u64)?;
        self.file.read_exact_at(buffer, offset)
    }
}

/// Writes a raw image or a block device.
#[derive(Debug)]
pub(crate) struct RawWriter {
    file: DirectFile,
    size_bytes: u64,
    is_known_zero: bool,
    can_punch: AtomicBool,
    broken: Broken,
}

impl RawWriter {
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let size_bytes = size_of(&file)?;
        let is_known_zero = data_ranges(&file, size_bytes, 1)?.is_empty();
        let (can_punch, broken) = (AtomicBool::new(true), Broken::default());
        let file = DirectFile::new(file);
        Ok(Self { file, size_bytes, is_known_zero, can_punch, broken })
    }

    fn punch(&self, range: &Range<u64>) -> io::Result<()> {
        if self.can_punch.load(Ordering::Relaxed) {
            let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            match fallocate(self.file.file(), mode, range.start, range.end - range.start) {
                Ok(()) => return Ok(()),
                // A block device refuses what is not aligned to its sectors.
                Err(Errno::INVAL) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::NODEV) => {
                    self.can_punch.store(false, Ordering::Relaxed);
                }
                Err(error) => return Err(error.into()),
            }
        }
        let mut offset = range.start;
        while offset < range.end {
            let length = ZEROS.len().min(usize::try_from(range.end - offset).unwrap_or(usize::MAX));
            self.file.file().write_all_at(&ZEROS[..length], offset)?;
            offset += length as u64;
        }
        Ok(())
    }
}

impl DiskWriter for RawWriter {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn is_known_zero(&self) -> bool {
        self.is_known_zero
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.broken.guard(|| {
            check_bounds(self.size_bytes, offset, data.len() as u64)?;
            self.file.write_all_at(data, offset)
        })
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        self.broken.guard(|| {
            check_bounds(self.size_bytes, range.start, range.end.saturating_sub(range.start))?;
            if range.is_empty() { Ok(()) } else { self.punch(&range) }
        })
    }

    fn flush(&self) -> io::Result<()> {
        self.broken.guard(|| self.file.sync_all())
    }
}

/// Remembers the first failure: what came before it may be lost, and a second
/// `fsync` would not say so (P20).
#[derive(Debug, Default)]
pub(crate) struct Broken(AtomicBool);

impl Broken {
    /// Runs `action` unless an earlier one failed.
    pub(crate) fn guard(&self, action: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if self.0.load(Ordering::Acquire) {
            return Err(io::Error::other("an earlier write to this disk failed"));
        }
        action().inspect_err(|_| self.0.store(true, Ordering::Release))
    }
}

/// The size of a raw image or a block device, if it can be believed (P29).
pub(crate) fn size_of(mut file: &File) -> io::Result<u64> {
    let size_bytes = file.seek(StdSeekFrom::End(0))?;
    if size_bytes > DISK_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "larger than 64 TiB"));
    }
    Ok(size_bytes)
}

/// Where a file has data, at most the first `ranges_max` ranges.
///
/// Block devices and file systems that do not know have data everywhere. Holes are believed only
/// once everything is written out: where a file system gives out space late, what is still in
/// the cache may lie in a hole (P25).
fn data_ranges(file: &File, size_bytes: u64, ranges_max: usize) -> io::Result<Vec<Range<u64>>> {
    let mut ranges = Ranges::default();
    if file.metadata()?.file_type().is_block_device() {
        ranges.push(0..size_bytes);
        return Ok(ranges.into_vec());
    }
    file.sync_all()?;
    let mut offset = 0;
    for _ in 0..ranges_max {
        let start = match seek(file, SeekFrom::Data(offset)) {
            Ok(start) if start < size_bytes => start,
            // Nothing but a hole up to the end.
            Ok(_) | Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                ranges.push(offset..size_bytes);
                break;
            }
            Err(error) => return Err(error.into()),
        };
        let end = match seek(file, SeekFrom::Hole(start)) {
            Ok(end) => end.min(size_bytes),
            // The file was cut off in between.
            Err(Errno::NXIO) => size_bytes,
            Err(error) => return Err(error.into()),
        };
        ranges.push(start..end);
        offset = end;
    }
    Ok(ranges.into_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sparse(size: u64) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        file
    }

    fn reader(writer: &RawWriter) -> RawReader {
        RawReader::new(writer.file.file().try_clone().unwrap()).unwrap()
    }

    #[test]
    fn holes_are_found_and_zeroing_gives_the_space_back() {
        let writer = RawWriter::new(sparse(8 << 20)).unwrap();
        assert!(writer.is_known_zero());
        writer.write_at(1 << 20, &vec![7; 2 << 20]).unwrap();
        assert_eq!(reader(&writer).allocated().unwrap(), vec![1 << 20..3 << 20]);
        assert!(!RawWriter::new(writer.file.file().try_clone().unwrap()).unwrap().is_known_zero());
        writer.zero(1 << 20..2 << 20).unwrap();
        assert_eq!(reader(&writer).allocated().unwrap(), vec![2 << 20..3 << 20]);
    }

    #[test]
    fn a_range_that_is_no_multiple_of_a_block_is_zeroed_exactly() {
        let writer = RawWriter::new(sparse(100_000)).unwrap();
        writer.write_at(0, &vec![7; 100_000]).unwrap();
        for punch in [true, false] {
            writer.can_punch.store(punch, Ordering::Relaxed);
            writer.zero(100..99_900).unwrap();
            let mut bytes = vec![1; 100_000];
            reader(&writer).read_at(0, &mut bytes).unwrap();
            assert!(bytes[..100].iter().chain(&bytes[99_900..]).all(|byte| *byte == 7));
            assert!(bytes[100..99_900].iter().all(|byte| *byte == 0));
            writer.write_at(100, &vec![9; 99_800]).unwrap();
        }
    }

    #[test]
    fn nothing_is_written_or_read_beyond_the_end() {
        let writer = RawWriter::new(sparse(1000)).unwrap();
        assert!(reader(&writer).read_at(999, &mut [0; 2]).is_err());
        assert!(writer.write_at(999, &[1, 2]).is_err());
        assert_eq!(writer.file.file().metadata().unwrap().len(), 1000);
    }

    #[test]
    fn after_a_failure_every_later_call_fails() {
        // P20: a failed fsync must not be forgotten by the next one.
        let writer = RawWriter::new(sparse(1000)).unwrap();
        assert!(writer.write_at(1000, &[1]).is_err());
        assert!(writer.write_at(0, &[1]).is_err());
        assert!(writer.flush().is_err());
    }

    /// The child of the next test.
    const TRACED: &str = "CBR_TEST_TRACED_IMAGE";

    #[test]
    fn holes_are_asked_for_only_after_everything_is_written_out() {
        // P25
        if let Some(path) = std::env::var_os(TRACED) {
            let file = File::options().read(true).write(true).open(path).unwrap();
            let reader = RawReader::new(file.try_clone().unwrap()).unwrap();
            reader.allocated().unwrap();
            RawWriter::new(file).unwrap();
            return;
        }
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().write_all_at(&[7; 4096], 1 << 20).unwrap();
        let trace = tempfile::NamedTempFile::new().unwrap();
        let traced = std::process::Command::new("strace")
            .args(["-f", "-y", "-e", "trace=fsync,lseek", "-o"])
            .arg(trace.path())
            .arg(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "local::raw::tests::holes_are_asked_for_only_after_everything_is_written_out",
            ])
            .env(TRACED, image.path())
            .output();
        if !traced.as_ref().is_ok_and(|traced| traced.status.success()) {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "skipped: order of syncing: no strace: {traced:?}");
            return;
        }
        let name = image.path().to_str().unwrap();
        let trace = std::fs::read_to_string(trace.path()).unwrap();
        let calls: Vec<_> = trace
            .lines()
            .filter(|line| line.contains(name))
            .filter_map(|line| {
                ["fsync(", "SEEK_DATA", "SEEK_HOLE"].into_iter().find(|call| line.contains(call))
            })
            .collect();
        let expected = ["fsync(", "SEEK_DATA", "SEEK_HOLE", "SEEK_DATA"];
        assert!(calls.starts_with(&expected), "the reader: {calls:?}");
        assert!(calls[4..].starts_with(&expected[..3]), "the writer: {calls:?}");
    }
}
