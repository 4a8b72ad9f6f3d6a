//! The overlay itself: a disk over a disk.
//!
//! A block is in the overlay as a whole, or not at all. Its bytes lie in a sparse data file at
//! the block's own place; a journal says which blocks count. Flush makes the data durable first
//! and the journal second, so the journal never names a block whose bytes are not there.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::blocks::Blocks;
use super::journal::{Identity, Journal, Unusable};
use crate::error::{Error, Result};
use crate::export::{Changes, Export, Writes};
use crate::extent::{Extent, Extents};

/// Bytes of a block.
const BLOCK: u64 = 64 << 10;
/// New blocks that may wait for a flush; then the overlay flushes by itself.
const NEW_BLOCKS_MAX: usize = 64 << 10;
/// Runs in one answer.
const EXTENTS_MAX: usize = 32 << 10;
/// The name of the dirty bitmap that shows what the overlay holds.
const CHANGES_NAME: &str = "overlay";

/// A writable disk: a base that is only read, and a durable local overlay.
///
/// Writes acknowledged before an acknowledged flush survive a power cut. One process at a time
/// may have it open. After the first failed write of the journal or failed flush it refuses to
/// be written: what is on disk is not known then.
pub struct Overlay {
    base: Arc<dyn Export>,
    data: File,
    present: RwLock<Blocks>,
    writer: Mutex<Writer>,
}

/// What only one writer at a time may touch.
struct Writer {
    journal: Journal,
    /// Blocks that are in the overlay but not in the journal yet.
    new: Vec<u64>,
    broken: bool,
    /// Blocks that may still come.
    left: u64,
}

impl std::fmt::Debug for Overlay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overlay").field("size", &self.base.size()).finish_non_exhaustive()
    }
}

impl Overlay {
    /// Begins an overlay over `base` in the folder `directory`, which it makes; durable on
    /// return. `base_id` says of which state of which disk `base` is. Refused where there is one
    /// already. Blocks.
    pub fn create(base: Arc<dyn Export>, base_id: [u8; 32], directory: &Path) -> Result<Self> {
        let place = Place { directory, identity: identity(&*base, base_id) };
        make_directory(directory).map_err(|source| place.failed(source))?;
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let journal = place.locked_journal(&options)?;
        let present = place.no_blocks()?;
        let journal = Journal::begin(journal, place.identity).map_err(|why| place.unusable(why))?;
        let data = place.file("data", &options)?;
        data.set_len(base.size()).map_err(|source| place.failed(source))?;
        data.sync_all().map_err(|source| place.failed(source))?;
        // The names of the files must survive as their contents do.
        sync_directory(directory).map_err(|source| place.failed(source))?;
        Ok(Self::new(base, data, present, journal))
    }

    /// Opens the overlay that was begun in the folder `directory`; one of another base is
    /// refused. So is one whose files are missing or shorter than they were: what was written to
    /// it is gone, and nobody may take the base for it (P2). Blocks; reads the journal and nothing
    /// of the base.
    pub fn open(base: Arc<dyn Export>, base_id: [u8; 32], directory: &Path) -> Result<Self> {
        let place = Place { directory, identity: identity(&*base, base_id) };
        let mut options = File::options();
        options.read(true).write(true);
        let journal = place.locked_journal(&options)?;
        let mut present = place.no_blocks()?;
        let mut add = |run: Range<u64>| run.for_each(|block| present.add(block));
        let journal =
            Journal::open(journal, place.identity, &mut add).map_err(|why| place.unusable(why))?;
        let data = place.file("data", &options)?;
        if data.metadata().map_err(|source| place.failed(source))?.len() != base.size() {
            return Err(place.refused("the data file has another size"));
        }
        Ok(Self::new(base, data, present, journal))
    }

    fn new(base: Arc<dyn Export>, data: File, present: Blocks, journal: Journal) -> Self {
        let writer = Writer { journal, new: Vec::new(), broken: false, left: u64::MAX };
        Self { base, data, present: RwLock::new(present), writer: Mutex::new(writer) }
    }

    /// The same, but what would make it hold more than `bytes` is refused as "no space". What it
    /// holds already counts, and stays.
    #[must_use]
    pub fn limited(self, bytes: u64) -> Self {
        let held = self.present.read().unwrap_or_else(PoisonError::into_inner).held();
        let left = (bytes / BLOCK).saturating_sub(held);
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).left = left;
        self
    }

    /// The run from the range's start on that lies in one of both places: its end, and
    /// whether it is in the overlay.
    fn run(&self, range: &Range<u64>) -> (u64, bool) {
        let present = self.present.read().unwrap_or_else(PoisonError::into_inner);
        let blocks = range.start / BLOCK..range.end.div_ceil(BLOCK);
        let (run, inside) = present.run(blocks);
        ((run.end * BLOCK).min(range.end), inside)
    }

    /// Runs `change` as the only writer; it makes all blocks of the bytes in `range`.
    fn change(
        &self,
        range: &Range<u64>,
        change: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.broken {
            return Err(io::Error::other("the overlay failed before"));
        }
        let blocks = range.start / BLOCK..range.end.div_ceil(BLOCK);
        let missing = {
            let present = self.present.read().unwrap_or_else(PoisonError::into_inner);
            blocks.clone().filter(|block| !present.has(*block)).count() as u64
        };
        if missing > writer.left {
            return Err(io::ErrorKind::StorageFull.into());
        }
        change()?;
        writer.left -= missing;
        let mut present = self.present.write().unwrap_or_else(PoisonError::into_inner);
        for block in blocks {
            if !present.has(block) {
                present.add(block);
                writer.new.push(block);
            }
        }
        drop(present);
        if writer.new.len() > NEW_BLOCKS_MAX { self.commit(&mut writer) } else { Ok(()) }
    }

    /// Makes everything durable: data, then journal.
    fn commit(&self, writer: &mut Writer) -> io::Result<()> {
        if writer.broken {
            return Err(io::Error::other("the overlay failed before"));
        }
        // An error may have taken what was written with it, so trying again would prove nothing.
        writer.broken = true;
        self.data.sync_data()?;
        if !writer.new.is_empty() {
            writer.new.sort_unstable();
            writer.journal.append(&runs(&writer.new))?;
            writer.new.clear();
        }
        writer.broken = false;
        Ok(())
    }

    /// Brings a block that is to be changed in part into the data file. It counts only once
    /// `change` says so.
    fn fetch(&self, block: u64) -> io::Result<()> {
        let start = block * BLOCK;
        let end = (start + BLOCK).min(self.base.size());
        if self.run(&(start..end)).1 {
            return Ok(());
        }
        let mut bytes = vec![0; usize::try_from(end - start).map_err(io::Error::other)?];
        self.base.read_at(start, &mut bytes)?;
        self.data.write_all_at(&bytes, start)
    }

    /// Brings the blocks at the range's edges that it covers in part into the data file.
    fn fetch_edges(&self, range: &Range<u64>) -> io::Result<()> {
        let (first, last) = (range.start / BLOCK, (range.end - 1) / BLOCK);
        let tail_cut = !range.end.is_multiple_of(BLOCK) && range.end != self.base.size();
        if !range.start.is_multiple_of(BLOCK) || (first == last && tail_cut) {
            self.fetch(first)?;
        }
        if tail_cut && last != first {
            self.fetch(last)?;
        }
        Ok(())
    }
}

/// Where an overlay lies, and what it must be of.
struct Place<'a> {
    directory: &'a Path,
    identity: Identity,
}

impl Place<'_> {
    fn failed(&self, source: io::Error) -> Error {
        Error::OverlayFile { path: self.directory.display().to_string(), source }
    }

    fn refused(&self, what: &'static str) -> Error {
        Error::Overlay { path: self.directory.display().to_string(), what }
    }

    fn unusable(&self, why: Unusable) -> Error {
        match why {
            Unusable::File(source) => self.failed(source),
            Unusable::What(what) => self.refused(what),
        }
    }

    fn file(&self, name: &str, options: &OpenOptions) -> Result<File> {
        options.open(self.directory.join(name)).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => self.refused("its files are missing"),
            _ => self.failed(source),
        })
    }

    fn locked_journal(&self, options: &OpenOptions) -> Result<File> {
        let journal = self.file("journal", options)?;
        match journal.try_lock() {
            Ok(()) => Ok(journal),
            Err(_) => Err(self.refused("is in use, or cannot be locked")),
        }
    }

    fn no_blocks(&self) -> Result<Blocks> {
        let blocks = Blocks::new(self.identity.size.div_ceil(BLOCK));
        blocks.ok_or_else(|| self.refused("the disk is too large"))
    }
}

fn identity(base: &dyn Export, base_id: [u8; 32]) -> Identity {
    Identity { size: base.size(), block: 64 << 10, base: base_id }
}

/// Makes a directory, and those above it that are missing, durable one by one.
fn make_directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    let above = above.unwrap_or(Path::new("."));
    make_directory(above)?;
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_directory(above)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Sorted blocks as runs, each of at most 2³² − 1 blocks.
fn runs(blocks: &[u64]) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for &block in blocks {
        match runs.last_mut() {
            Some(run) if run.end == block && run.end - run.start < u64::from(u32::MAX) => {
                run.end += 1;
            }
            _ => runs.push(block..block + 1),
        }
    }
    runs
}

impl Export for Overlay {
    fn size(&self) -> u64 {
        self.base.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset + buffer.len() as u64;
        let (mut at, mut rest) = (offset, buffer);
        while at < end {
            let (run_end, inside) = self.run(&(at..end));
            let length = usize::try_from(run_end - at).map_err(io::Error::other)?;
            let (part, after) = rest.split_at_mut(length);
            if inside {
                self.data.read_exact_at(part, at)?;
            } else {
                self.base.read_at(at, part)?;
            }
            (at, rest) = (run_end, after);
        }
        Ok(())
    }

    fn extents(&self, range: Range<u64>) -> io::Result<Vec<Extent>> {
        let mut extents = Extents::default();
        let mut at = range.start;
        while at < range.end && extents.count() < EXTENTS_MAX {
            let (run_end, inside) = self.run(&(at..range.end));
            if inside {
                extents.push(Extent::plain(run_end - at));
                at = run_end;
                continue;
            }
            for extent in self.base.extents(at..run_end)? {
                let length = extent.length.min(run_end - at);
                extents.push(Extent { length, flags: extent.flags });
                at += length;
            }
            if at < run_end {
                // The base told of less: so do we.
                break;
            }
        }
        Ok(extents.into_vec())
    }

    fn changes(&self) -> Option<&dyn Changes> {
        Some(self)
    }

    fn writes(&self) -> Option<&dyn Writes> {
        Some(self)
    }

    fn description(&self) -> Option<&str> {
        self.base.description()
    }
}

impl Changes for Overlay {
    fn name(&self) -> &str {
        CHANGES_NAME
    }

    fn extents(&self, range: Range<u64>) -> io::Result<Vec<Extent>> {
        let mut extents = Extents::default();
        let mut at = range.start;
        while at < range.end && extents.count() < EXTENTS_MAX {
            let (end, inside) = self.run(&(at..range.end));
            let length = end - at;
            extents.push(if inside { Extent::dirty(length) } else { Extent::plain(length) });
            at = end;
        }
        Ok(extents.into_vec())
    }
}

impl Writes for Overlay {
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        let range = offset..offset + data.len() as u64;
        self.change(&range, || {
            self.fetch_edges(&range)?;
            self.data.write_all_at(data, offset)
        })
    }

    fn zero(&self, range: Range<u64>, may_punch: bool) -> io::Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        self.change(&range, || {
            self.fetch_edges(&range)?;
            zero_file(&self.data, &range, may_punch)
        })
    }

    /// Whole blocks read as zeroes afterwards; the rest is left alone.
    fn trim(&self, range: Range<u64>) -> io::Result<()> {
        let start = range.start.next_multiple_of(BLOCK);
        let end = if range.end == self.base.size() { range.end } else { range.end / BLOCK * BLOCK };
        if start < end { self.zero(start..end, true) } else { Ok(()) }
    }

    fn flush(&self) -> io::Result<()> {
        self.commit(&mut self.writer.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Makes a range of the data file zero: as a hole, else as the file system likes it, else
/// by writing. What lay there before a crash must go in any case.
fn zero_file(file: &File, range: &Range<u64>, may_punch: bool) -> io::Result<()> {
    let mode = if may_punch {
        FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE
    } else {
        FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE
    };
    match fallocate(file, mode, range.start, range.end - range.start) {
        Ok(()) => return Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    let zeroes = vec![0; 64 << 10];
    let mut at = range.start;
    while at < range.end {
        let length = usize::try_from((range.end - at).min(BLOCK)).map_err(io::Error::other)?;
        file.write_all_at(&zeroes[..length], at)?;
        at += length as u64;
    }
    Ok(())
}
