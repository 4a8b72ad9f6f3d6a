//! What readers keep of what they have read: decoded frames and leaves of maps.
//!
//! Shared by all readers of a repository and bounded in bytes. Readers hold no lock while they
//! fetch and decode; who wants what another one is fetching waits for it instead of fetching too.

use std::ops::Range;
use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::error::Result;
use crate::format::id::SlotRef;
use crate::format::node::{Extent, Leaf};
use crate::size::to_usize;

/// A frame is one MiB at most; each part of the cache must hold a few.
const SHARD_BYTES_MIN: u64 = 8 << 20;
const SHARDS_MAX: u64 = 16;
/// What an entry takes besides its bytes.
const ENTRY_BYTES: usize = 128;

/// Decoded frames and leaves, by the slot they lie in: a slot's content never changes.
#[derive(Debug)]
pub(crate) struct ReadCache {
    frames: Slots<Vec<u8>>,
    leaves: Slots<Leaf>,
}

type Slots<V> = Cache<SlotRef, Arc<V>, Bytes>;

/// Weighs an entry by the memory it takes.
#[derive(Clone, Copy, Debug)]
struct Bytes;

impl Weighter<SlotRef, Arc<Vec<u8>>> for Bytes {
    fn weight(&self, _slot: &SlotRef, frame: &Arc<Vec<u8>>) -> u64 {
        (frame.capacity() + ENTRY_BYTES) as u64
    }
}

impl Weighter<SlotRef, Arc<Leaf>> for Bytes {
    fn weight(&self, _slot: &SlotRef, leaf: &Arc<Leaf>) -> u64 {
        (leaf.extents.capacity() * size_of::<Extent>() + ENTRY_BYTES) as u64
    }
}

impl ReadCache {
    /// An empty cache that will take about `bytes`, an eighth of it for leaves.
    pub(crate) fn new(bytes: u64) -> Self {
        let for_leaves = bytes / 8;
        Self { frames: slots(bytes - for_leaves, 64 << 10), leaves: slots(for_leaves, 1 << 10) }
    }

    /// The frame in `slot`, at least as far as `range`, as `read` gives it if it is not here. `read` is
    /// told how many bytes are wanted, and may give more.
    ///
    /// A read somewhere in a frame decodes it up to there only. Who comes back for more, or begins
    /// where the frame begins, will want all of it.
    pub(super) fn frame(
        &self,
        slot: &SlotRef,
        range: &Range<usize>,
        mut read: impl FnMut(usize) -> Result<Vec<u8>>,
    ) -> Result<Arc<Vec<u8>>> {
        let is_short = |frame: &Arc<Vec<u8>>| frame.len() < range.end;
        let came_back = self.frames.remove_if(slot, is_short).is_some();
        let bytes = if came_back || range.start == 0 { usize::MAX } else { range.end };
        let mut is_all_there_is = false;
        let frame = self.frames.get_or_insert_with(slot, || {
            is_all_there_is = bytes == usize::MAX;
            read(bytes).map(Arc::new)
        })?;
        if is_all_there_is || !is_short(&frame) {
            return Ok(frame);
        }
        // Somebody else was reading it, and wanted less.
        let whole = Arc::new(read(usize::MAX)?);
        self.frames.insert(*slot, Arc::clone(&whole));
        Ok(whole)
    }

    /// The leaf in `slot`, as `read` gives it if it is not here.
    pub(super) fn leaf(
        &self,
        slot: &SlotRef,
        read: impl FnOnce() -> Result<Leaf>,
    ) -> Result<Arc<Leaf>> {
        self.leaves.get_or_insert_with(slot, || read().map(Arc::new))
    }

    /// What is kept takes about this many bytes.
    #[cfg(test)]
    fn bytes(&self) -> u64 {
        self.frames.weight() + self.leaves.weight()
    }
}

fn slots<V>(bytes: u64, usual_bytes: u64) -> Slots<V>
where
    Bytes: Weighter<SlotRef, Arc<V>>,
{
    let shards = (bytes / SHARD_BYTES_MIN).clamp(1, SHARDS_MAX);
    let options = OptionsBuilder::new()
        .shards(to_usize(shards))
        .estimated_items_capacity(to_usize((bytes / usual_bytes).max(1)))
        .weight_capacity(bytes.max(1))
        .build()
        .expect("capacities were given");
    Cache::with_options(options, Bytes, DefaultHashBuilder::default(), DefaultLifecycle::default())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::error::Error;
    use crate::format::id::PackId;

    fn slot(number: u32) -> SlotRef {
        SlotRef { pack: PackId([1; 16]), slot: number, birth: 1, stored_bytes: 100 }
    }

    #[test]
    fn the_cache_never_takes_more_than_it_was_given() {
        const BYTES: u64 = 16 << 20;
        let cache = ReadCache::new(BYTES);
        for number in 0..64 {
            let read = |_| Ok(vec![1; 1 << 20]);
            assert_eq!(cache.frame(&slot(number), &(0..9), read).unwrap().len(), 1 << 20);
            assert!(cache.bytes() <= BYTES, "{}", cache.bytes());
        }
        assert!(cache.bytes() > BYTES / 2, "and it does keep something");
    }

    #[test]
    fn what_could_not_be_read_is_tried_again() {
        let cache = ReadCache::new(16 << 20);
        let failed = cache.frame(&slot(1), &(0..1), |_| Err(Error::Cancelled));
        assert!(matches!(failed, Err(Error::Cancelled)));
        assert_eq!(*cache.frame(&slot(1), &(0..1), |_| Ok(vec![7])).unwrap(), [7]);
        let not_again = |_| panic!("it is here");
        assert_eq!(*cache.frame(&slot(1), &(0..1), not_again).unwrap(), [7]);
    }

    #[test]
    fn a_frame_is_decoded_as_far_as_it_is_read_and_wholly_if_more_is() {
        const WHOLE: usize = 100;
        let cache = ReadCache::new(16 << 20);
        let asked = Cell::new(None);
        let frame = |range: Range<usize>| {
            asked.set(None);
            let read = |bytes: usize| {
                asked.set(Some(bytes));
                Ok(vec![7; bytes.min(WHOLE)])
            };
            cache.frame(&slot(1), &range, read).unwrap().len()
        };
        assert_eq!((frame(30..40), asked.get()), (40, Some(40)));
        assert_eq!((frame(10..20), asked.get()), (40, None), "it is here");
        assert_eq!((frame(39..41), asked.get()), (WHOLE, Some(usize::MAX)));
        assert_eq!((frame(90..100), asked.get()), (WHOLE, None));
        // A map that points beyond a frame asks once, not for ever.
        assert_eq!((frame(90..101), asked.get()), (WHOLE, Some(usize::MAX)));
        let (other, begun) = (slot(2), Cell::new(0));
        cache.frame(&other, &(0..1), |bytes| Ok(vec![0; begun.replace(bytes).min(1)])).unwrap();
        assert_eq!(begun.get(), usize::MAX, "who begins at the start reads on");
    }
}
