//! Sparse disks in memory: one to back up, one full of garbage to restore to.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Mutex;

use cbr_env::{RandomExt, SeededRandom};
use cbr_store::{BlockSource, BlockTarget, Error, Job, Repository, VersionInfo};

pub(crate) const BLOCK: u64 = 65_536;
pub(crate) const LEAF: u64 = 256 * BLOCK;

type Block = Vec<u8>;

/// A disk of which most blocks may be unallocated.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    pub(crate) size: u64,
    blocks: BTreeMap<u64, Block>,
}

fn zero_block() -> Block {
    vec![0; as_usize(BLOCK)]
}

/// Calls `each` with every touched block, the bytes in it, and where they begin in the range.
fn split(range: Range<u64>, mut each: impl FnMut(u64, Range<usize>, usize)) {
    let mut at = range.start;
    while at < range.end {
        let end = ((at / BLOCK + 1) * BLOCK).min(range.end);
        let within = as_usize(at % BLOCK)..as_usize(at % BLOCK + (end - at));
        each(at / BLOCK, within, as_usize(at - range.start));
        at = end;
    }
}

fn as_usize(size: u64) -> usize {
    usize::try_from(size).unwrap()
}

impl Disk {
    pub(crate) fn new(size: u64) -> Self {
        Self { size, blocks: BTreeMap::new() }
    }

    /// Writes bytes that compress, different for each `seed`, none of them zero.
    pub(crate) fn write(&mut self, range: Range<u64>, seed: u64) {
        let noise: [u8; 64] = SeededRandom::new(seed).bytes();
        split(range.start..range.end.min(self.size), |block, within, _| {
            let bytes = self.blocks.entry(block).or_insert_with(zero_block);
            for at in within {
                let letter = noise[(at / 97 + as_usize(block)) % 64]
                    ^ noise[(at / 4096 + 32) % 64].rotate_left(3);
                bytes[at] = letter | 1;
            }
        });
    }

    /// Overwrites with zeros; the blocks stay allocated.
    pub(crate) fn wipe(&mut self, range: Range<u64>) {
        split(range.start..range.end.min(self.size), |block, within, _| {
            self.blocks.entry(block).or_insert_with(zero_block)[within].fill(0);
        });
    }

    /// Zeros; blocks that are covered wholly are no longer allocated.
    pub(crate) fn trim(&mut self, range: Range<u64>) {
        let size = self.size;
        split(range.start..range.end.min(size), |block, within, _| {
            if within.len() as u64 == BLOCK.min(size - block * BLOCK) {
                self.blocks.remove(&block);
            } else if let Some(bytes) = self.blocks.get_mut(&block) {
                bytes[within].fill(0);
            }
        });
    }

    pub(crate) fn resize(&mut self, size: u64) {
        if size < self.size {
            self.blocks.split_off(&size.div_ceil(BLOCK));
            if let Some(last) = self.blocks.get_mut(&(size / BLOCK)) {
                last[as_usize(size % BLOCK)..].fill(0);
            }
        }
        self.size = size;
    }

    pub(crate) fn read(&self, range: Range<u64>) -> Vec<u8> {
        let mut bytes = vec![0; as_usize(range.end - range.start)];
        split(range, |block, within, at| {
            if let Some(content) = self.blocks.get(&block) {
                bytes[at..at + within.len()].copy_from_slice(&content[within]);
            }
        });
        bytes
    }

    /// Blocks that are not zero, in bytes.
    pub(crate) fn used_bytes(&self) -> u64 {
        let used = self.blocks.values().filter(|block| block.iter().any(|byte| *byte != 0));
        used.count() as u64 * BLOCK
    }
}

impl BlockSource for Disk {
    fn size_bytes(&self) -> u64 {
        self.size
    }

    fn extents(&self) -> io::Result<Vec<Range<u64>>> {
        let end = |block: u64| ((block + 1) * BLOCK).min(self.size);
        Ok(self.blocks.keys().map(|block| block * BLOCK..end(*block)).collect())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let end = offset + into.len() as u64;
        assert!(end <= self.size, "read beyond the end");
        let is_allocated = |block| self.blocks.contains_key(&block);
        assert!((offset / BLOCK..end.div_ceil(BLOCK)).all(is_allocated), "a hole is read");
        into.copy_from_slice(&self.read(offset..end));
        Ok(())
    }
}

/// A target full of garbage, so that a hole that was not zeroed is seen.
pub(crate) struct Dirty {
    size: u64,
    blocks: Mutex<BTreeMap<u64, Option<Block>>>,
}

impl Dirty {
    pub(crate) fn new(size: u64) -> Self {
        Self { size, blocks: Mutex::default() }
    }

    fn change(&self, range: Range<u64>, mut change: impl FnMut(&mut [u8], usize)) {
        let mut blocks = self.blocks.lock().unwrap();
        split(range, |block, within, at| {
            let content = blocks.entry(block).or_insert_with(|| Some(vec![0xa5; as_usize(BLOCK)]));
            change(&mut content.get_or_insert_with(zero_block)[within], at);
        });
    }

    /// The first block that is not as in `disk`.
    pub(crate) fn first_difference(&self, disk: &Disk) -> Option<u64> {
        let blocks = self.blocks.lock().unwrap();
        (0..disk.size.div_ceil(BLOCK)).find(|block| {
            let length = as_usize((disk.size - block * BLOCK).min(BLOCK));
            let zero = zero_block();
            let expected = disk.blocks.get(block).unwrap_or(&zero);
            match blocks.get(block) {
                None => true,
                Some(None) => expected[..length].iter().any(|byte| *byte != 0),
                Some(Some(content)) => content[..length] != expected[..length],
            }
        })
    }
}

impl BlockTarget for Dirty {
    fn size_bytes(&self) -> u64 {
        self.size
    }

    fn is_known_zero(&self) -> bool {
        false
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        assert!(offset + data.len() as u64 <= self.size, "written beyond the end");
        self.change(offset..offset + data.len() as u64, |bytes, at| {
            bytes.copy_from_slice(&data[at..at + bytes.len()]);
        });
        Ok(())
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        assert!(range.end <= self.size, "zeroed beyond the end");
        let whole = range.start.next_multiple_of(BLOCK)..range.end / BLOCK * BLOCK;
        if whole.start >= whole.end {
            self.change(range, |bytes, _| bytes.fill(0));
            return Ok(());
        }
        self.change(range.start..whole.start, |bytes, _| bytes.fill(0));
        self.change(whole.end..range.end, |bytes, _| bytes.fill(0));
        let blocks = whole.start / BLOCK..whole.end / BLOCK;
        self.blocks.lock().unwrap().extend(blocks.map(|block| (block, None)));
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Restores a version to a garbage disk and compares.
#[track_caller]
pub(crate) fn assert_restores(repository: &Repository, version: &VersionInfo, disk: &Disk) {
    let target = Dirty::new(version.disk_bytes);
    let restored = repository.restore(&version.version, &target, &Job::quiet());
    assert!(restored.is_ok(), "{}: {:?}", version.version, restored);
    assert_eq!(version.disk_bytes, disk.size);
    let difference = target.first_difference(disk);
    assert_eq!(difference, None, "{}: the first block that differs", version.version);
}

/// Backs `disk` up as `owner` with this card.
pub(crate) fn backup_as(
    repository: &Repository,
    chain: &cbr_store::ChainRef,
    owner: &str,
    disk: &dyn BlockSource,
    changed: Option<&[Range<u64>]>,
) -> Result<VersionInfo, Error> {
    let mut session = repository.begin(chain, owner)?;
    session.write(disk, changed, &Job::quiet())?;
    session.commit(owner.as_bytes())
}
