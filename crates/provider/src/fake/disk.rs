//! Disks in memory.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{DiskReader, DiskWriter, Ranges, check_bounds};

const BLOCK: u64 = 4096;
type Block = [u8; 4096];

/// A disk whose empty blocks take no memory. A copy shares what is the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    blocks: BTreeMap<u64, Arc<Block>>,
}

impl Content {
    pub(crate) fn is_zero(&self) -> bool {
        self.blocks.is_empty()
    }

    pub(crate) fn read(&self, offset: u64, buffer: &mut [u8]) {
        pieces(offset, buffer.len(), |block, inside, outside| match self.blocks.get(&block) {
            Some(bytes) => buffer[outside].copy_from_slice(&bytes[inside]),
            None => buffer[outside].fill(0),
        });
    }

    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) {
        pieces(offset, data.len(), |block, inside, outside| {
            let bytes = self.blocks.entry(block).or_insert_with(|| Arc::new([0; 4096]));
            Arc::make_mut(bytes)[inside].copy_from_slice(&data[outside]);
        });
    }

    pub(crate) fn zero(&mut self, range: Range<u64>) {
        let (first, last) = (range.start.div_ceil(BLOCK), range.end / BLOCK);
        if first < last {
            self.blocks.retain(|block, _| !(first..last).contains(block));
        }
        for block in [range.start / BLOCK, range.end / BLOCK] {
            let start = range.start.max(block * BLOCK) - block * BLOCK;
            let end = range.end.clamp(block * BLOCK, (block + 1) * BLOCK) - block * BLOCK;
            if let Some(bytes) = self.blocks.get_mut(&block)
                && start < end
            {
                Arc::make_mut(bytes)[index(start)..index(end)].fill(0);
            }
        }
    }
}

/// Cuts `length` bytes at `offset` into pieces of one block each: the block, the
/// range inside it, the range inside the caller's buffer.
fn pieces(offset: u64, length: usize, mut visit: impl FnMut(u64, Range<usize>, Range<usize>)) {
    let mut done = 0;
    while done < length {
        let at = offset + done as u64;
        let inside = index(at % BLOCK);
        let count = (4096 - inside).min(length - done);
        visit(at / BLOCK, inside..inside + count, done..done + count);
        done += count;
    }
}

fn index(within_block: u64) -> usize {
    usize::try_from(within_block).expect("less than a block")
}

/// A disk of a snapshot.
#[derive(Debug)]
pub(crate) struct FakeReader {
    pub(crate) content: Content,
    pub(crate) size_bytes: u64,
    /// Reading this byte fails.
    pub(crate) bad_byte: Option<u64>,
}

impl DiskReader for FakeReader {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn allocated(&self) -> io::Result<Vec<Range<u64>>> {
        let mut ranges = Ranges::default();
        for block in self.content.blocks.keys() {
            ranges.push(block * BLOCK..((block + 1) * BLOCK).min(self.size_bytes));
        }
        Ok(ranges.into_vec())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let length = buffer.len() as u64;
        check_bounds(self.size_bytes, offset, length)?;
        fail_at(self.bad_byte, offset..offset + length)?;
        self.content.read(offset, buffer);
        Ok(())
    }
}

/// A volume that is being restored. What is written is there at once.
#[derive(Debug)]
pub(crate) struct FakeWriter {
    pub(crate) content: Arc<Mutex<Content>>,
    pub(crate) size_bytes: u64,
    pub(crate) is_known_zero: bool,
    /// Writing this byte fails.
    pub(crate) bad_byte: Option<u64>,
    pub(crate) broken: Arc<Mutex<bool>>,
}

impl FakeWriter {
    fn change(&self, range: Range<u64>, change: impl FnOnce(&mut Content)) -> io::Result<()> {
        let mut is_broken = lock(&self.broken);
        if *is_broken {
            return Err(io::Error::other("an earlier write to this disk failed"));
        }
        check_bounds(self.size_bytes, range.start, range.end.saturating_sub(range.start))
            .and_then(|()| fail_at(self.bad_byte, range))
            .inspect_err(|_| *is_broken = true)?;
        change(&mut lock(&self.content));
        Ok(())
    }
}

impl DiskWriter for FakeWriter {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn is_known_zero(&self) -> bool {
        self.is_known_zero
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let end = offset.saturating_add(data.len() as u64);
        self.change(offset..end, |content| content.write(offset, data))
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        self.change(range.clone(), |content| content.zero(range))
    }

    fn flush(&self) -> io::Result<()> {
        self.change(0..0, |_| {})
    }
}

fn fail_at(bad_byte: Option<u64>, range: Range<u64>) -> io::Result<()> {
    match bad_byte {
        Some(byte) if range.contains(&byte) => Err(io::Error::other("bad sector")),
        _ => Ok(()),
    }
}

/// A test that panicked elsewhere must not hide behind this lock.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn content_behaves_like_a_plain_array(
            steps in proptest::collection::vec((any::<bool>(), 0_u64..20_000, 0_usize..9_000), 0..20),
        ) {
            let mut content = Content::default();
            let mut plain = vec![0_u8; 30_000];
            for (number, (is_write, offset, length)) in steps.into_iter().enumerate() {
                let at = usize::try_from(offset).unwrap();
                if is_write {
                    let byte = u8::try_from(number).unwrap() + 1;
                    content.write(offset, &vec![byte; length]);
                    plain[at..at + length].fill(byte);
                } else {
                    content.zero(offset..offset + length as u64);
                    plain[at..at + length].fill(0);
                }
            }
            let mut read = vec![7; plain.len()];
            content.read(0, &mut read);
            prop_assert_eq!(read, plain);
        }
    }
}
