//! Disks that are named by a few numbers and filled only when read.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Mutex;

use cbr_store::{BlockSource, BlockTarget};

use crate::chance::Chance;

/// Bytes of a block.
pub const BLOCK: u64 = 65_536;

/// A disk: which seed fills which block; all others are zeros. Its size is whole blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// How many blocks.
    pub blocks: u64,
    /// The seeds of those that are not zero.
    pub seeds: BTreeMap<u64, u64>,
}

impl Disk {
    /// Bytes of the whole disk.
    pub const fn bytes(&self) -> u64 {
        self.blocks * BLOCK
    }

    /// Bytes of blocks that are not zero.
    pub fn used_bytes(&self) -> u64 {
        self.seeds.len() as u64 * BLOCK
    }

    /// Another size; what lies beyond is gone.
    pub fn resize(&mut self, blocks: u64) {
        self.blocks = blocks;
        self.seeds.split_off(&blocks);
    }

    /// Fills a block from `seed`; 0 makes it zeros.
    pub fn set(&mut self, block: u64, seed: u64) {
        if seed == 0 {
            self.seeds.remove(&block);
        } else if block < self.blocks {
            self.seeds.insert(block, seed);
        }
    }

    /// Whether `bytes` are those of a block.
    pub fn has(&self, block: u64, bytes: &[u8]) -> bool {
        let mut expected = vec![0; bytes.len()];
        if let Some(seed) = self.seeds.get(&block) {
            fill(*seed, &mut expected);
        }
        bytes == expected
    }

    /// The byte ranges in which the two differ, as a change map would name them.
    pub fn changed(&self, since: &Self) -> Vec<Range<u64>> {
        let all = self.seeds.keys().chain(since.seeds.keys());
        let mut blocks: Vec<u64> =
            all.copied().filter(|at| self.seeds.get(at) != since.seeds.get(at)).collect();
        blocks.sort_unstable();
        blocks.dedup();
        blocks.retain(|at| *at < self.blocks);
        blocks.into_iter().map(|at| at * BLOCK..(at + 1) * BLOCK).collect()
    }
}

/// Some noise, so that sizes differ, and zeros, so that it costs little.
fn fill(seed: u64, into: &mut [u8]) {
    let noise = 64 + as_usize(seed % 13) * 64;
    let mut chance = Chance::new(seed);
    for word in into[..noise].chunks_exact_mut(8) {
        word.copy_from_slice(&(chance.next() | 1).to_le_bytes());
    }
    into[noise..].fill(0);
}

fn as_usize(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

impl BlockSource for Disk {
    fn size_bytes(&self) -> u64 {
        self.bytes()
    }

    fn extents(&self) -> io::Result<Vec<Range<u64>>> {
        Ok(self.seeds.keys().map(|at| at * BLOCK..(at + 1) * BLOCK).collect())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        for (at, part) in (offset / BLOCK..).zip(into.chunks_mut(as_usize(BLOCK))) {
            match self.seeds.get(&at) {
                Some(seed) => fill(*seed, part),
                None => part.fill(0),
            }
        }
        Ok(())
    }
}

/// A disk full of garbage, to restore to.
#[derive(Debug)]
pub struct Target {
    bytes: u64,
    /// What was written; `None` is zeros.
    written: Mutex<BTreeMap<u64, Option<Vec<u8>>>>,
}

impl Target {
    /// Of this size.
    pub fn new(bytes: u64) -> Self {
        Self { bytes, written: Mutex::default() }
    }

    /// The first block that is not as in `disk`.
    pub fn first_difference(&self, disk: &Disk) -> Option<u64> {
        let written = self.written.lock().unwrap();
        let mut expected = vec![0; as_usize(BLOCK)];
        (0..disk.blocks).find(|at| match (disk.seeds.get(at), written.get(at)) {
            (None, Some(None)) => false,
            (None, Some(Some(bytes))) => bytes.iter().any(|byte| *byte != 0),
            (Some(seed), Some(Some(bytes))) => {
                fill(*seed, &mut expected);
                *bytes != expected
            }
            (_, None) | (Some(_), Some(None)) => true,
        })
    }
}

impl BlockTarget for Target {
    fn size_bytes(&self) -> u64 {
        self.bytes
    }

    fn is_known_zero(&self) -> bool {
        false
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written.lock().unwrap();
        for (at, part) in (offset / BLOCK..).zip(data.chunks(as_usize(BLOCK))) {
            written.insert(at, Some(part.to_vec()));
        }
        Ok(())
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        let blocks = range.start / BLOCK..range.end.div_ceil(BLOCK);
        self.written.lock().unwrap().extend(blocks.map(|at| (at, None)));
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}
