//! Writing at any offset, past the page cache where that is possible.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use crate::buffer::PageBuffer;

/// Offsets, lengths and addresses of direct writes are multiples of this. Disks ask for 512 or
/// 4096 bytes.
pub const ALIGN_BYTES: usize = 4096;
/// How much of a large object is gathered for one write.
const GATHER_BYTES: usize = 4 << 20;

/// A file open for writing, twice: through the page cache and past it.
///
/// Whole aligned pages in aligned memory go past the page cache, everything else through it. One
/// is as durable as the other: only after [`DirectFile::sync_data`] or [`DirectFile::sync_all`].
#[derive(Debug)]
pub struct DirectFile {
    file: File,
    direct: Option<File>,
    /// The file system refused once; it would every time.
    is_refused: AtomicBool,
}

impl DirectFile {
    /// Takes a file that is open for writing. Never fails: a file that cannot be opened a second
    /// time is written through the page cache.
    pub fn new(file: File) -> Self {
        let direct = reopen(&file).ok();
        Self { file, direct, is_refused: AtomicBool::new(false) }
    }

    /// The file itself.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Whether aligned writes go past the page cache, as far as is known.
    pub fn is_direct(&self) -> bool {
        self.direct.is_some() && !self.is_refused.load(Ordering::Relaxed)
    }

    /// Writes all of `data` at `offset`.
    ///
    /// # Errors
    /// Those of the operating system. Some of the bytes may have been written.
    pub fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        let is_aligned = offset.is_multiple_of(ALIGN_BYTES as u64)
            && data.as_ptr().align_offset(ALIGN_BYTES) == 0;
        let whole = data.len() - data.len() % ALIGN_BYTES;
        let written = match &self.direct {
            Some(direct) if is_aligned && self.is_direct() => {
                self.write_direct(direct, &data[..whole], offset)?
            }
            _ => 0,
        };
        self.file.write_all_at(&data[written..], offset + written as u64)
    }

    /// Writes whole pages until all are written or the kernel wants no more; returns how many bytes.
    fn write_direct(&self, direct: &File, pages: &[u8], offset: u64) -> io::Result<usize> {
        let mut written = 0;
        while written < pages.len() {
            match direct.write_at(&pages[written..], offset + written as u64) {
                // A short write may end anywhere: what follows need not be aligned any more.
                Ok(length) if length > 0 && length.is_multiple_of(ALIGN_BYTES) => written += length,
                Ok(length) => return Ok(written + length),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_refusal(&error) => {
                    self.is_refused.store(true, Ordering::Relaxed);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// Writes an empty file's content, the concatenated `parts`.
    ///
    /// # Errors
    /// As [`DirectFile::write_all_at`].
    pub fn write_whole(&self, parts: &[&[u8]]) -> io::Result<()> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let mut buffer = PageBuffer::new();
        buffer.set_len(GATHER_BYTES.min(total.next_multiple_of(ALIGN_BYTES)));
        let (mut filled, mut offset) = (0, 0);
        for part in parts {
            let mut rest = *part;
            while !rest.is_empty() {
                let length = rest.len().min(buffer.len() - filled);
                buffer[filled..filled + length].copy_from_slice(&rest[..length]);
                (filled, rest) = (filled + length, &rest[length..]);
                if filled == buffer.len() {
                    self.write_all_at(&buffer, offset)?;
                    (filled, offset) = (0, offset + buffer.len() as u64);
                }
            }
        }
        self.write_all_at(&buffer[..filled], offset)
    }

    /// Returns once content and size survive a power cut.
    ///
    /// # Errors
    /// Those of the operating system. What was written since the last success may be lost.
    pub fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// As [`DirectFile::sync_data`], and the file's attributes too.
    ///
    /// # Errors
    /// As [`DirectFile::sync_data`].
    pub fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

/// The same file, opened again past the page cache.
///
/// By its descriptor: a path may lead somewhere else by now, and file systems without names exist.
fn reopen(file: &File) -> io::Result<File> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = OFlags::WRONLY | OFlags::DIRECT | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty())?.into())
}

/// Whether the file system cannot write directly, at all or not with this alignment.
fn is_refusal(error: &io::Error) -> bool {
    let refusals = [Errno::INVAL, Errno::OPNOTSUPP, Errno::NOSYS];
    Errno::from_io_error(error).is_some_and(|errno| refusals.contains(&errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect()
    }

    fn content(file: &DirectFile) -> Vec<u8> {
        let length = file.file().metadata().unwrap().len();
        let mut content = vec![0; usize::try_from(length).unwrap()];
        file.file().read_exact_at(&mut content, 0).unwrap();
        content
    }

    #[test]
    fn aligned_and_unaligned_writes_end_up_in_one_file() {
        let file = DirectFile::new(tempfile::tempfile().unwrap());
        let mut pages = PageBuffer::new();
        pages.set_len(5 * ALIGN_BYTES + 100);
        pages.copy_from_slice(&bytes(5 * ALIGN_BYTES + 100));
        file.write_all_at(&pages, 2 * ALIGN_BYTES as u64).unwrap();
        file.write_all_at(&pages[..2 * ALIGN_BYTES], 0).unwrap();
        file.write_all_at(b"elsewhere", 4099).unwrap();
        let mut expected = pages[..2 * ALIGN_BYTES].to_vec();
        expected.extend_from_slice(&pages);
        expected[4099..4108].copy_from_slice(b"elsewhere");
        assert_eq!(content(&file), expected);
    }

    #[test]
    fn a_whole_file_is_its_parts_however_long_they_are() {
        for lengths in [[0, 0, 0], [48, 1000, 7], [48, GATHER_BYTES, 9], [1, 9_000_000, 4096]] {
            let file = DirectFile::new(tempfile::tempfile().unwrap());
            let parts = lengths.map(bytes);
            let borrowed: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            file.write_whole(&borrowed).unwrap();
            assert!(content(&file) == parts.concat(), "{lengths:?}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_opened_for_direct_writes_is_written_all_the_same() {
        let file = DirectFile { direct: None, ..DirectFile::new(tempfile::tempfile().unwrap()) };
        assert!(!file.is_direct());
        file.write_whole(&[&bytes(10_000)]).unwrap();
        assert_eq!(content(&file), bytes(10_000));
    }

    #[test]
    fn a_refusal_leads_through_the_page_cache_from_then_on() {
        let file = DirectFile::new(tempfile::tempfile().unwrap());
        let mut pages = PageBuffer::new();
        pages.set_len(2 * ALIGN_BYTES);
        pages.copy_from_slice(&bytes(2 * ALIGN_BYTES));
        if let Some(direct) = &file.direct {
            // Memory that is not aligned is what a disk refuses; a file system in memory does not care.
            let askew = &pages[1..=ALIGN_BYTES];
            let written = file.write_direct(direct, askew, 0).unwrap();
            assert_eq!(written == 0, file.is_refused.load(Ordering::Relaxed), "{written}");
        }
        file.is_refused.store(true, Ordering::Relaxed);
        assert!(!file.is_direct());
        file.write_all_at(&pages, 0).unwrap();
        assert_eq!(content(&file), bytes(2 * ALIGN_BYTES));
    }
}
