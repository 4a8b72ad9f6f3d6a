//! What readers keep of what they have read: decoded frames and leaves of maps.
//!
//! Shared by all readers of a repository and bounded in bytes. Readers hold no lock while they
//! fetch and decode; who wants what another one is fetching waits for it instead of fetching too.

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

    /// The frame in `slot`, as `read` gives it if it is not here.
    pub(super) fn frame(
        &self,
        slot: &SlotRef,
        read: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<Arc<Vec<u8>>> {
        self.frames.get_or_insert_with(slot, || read().map(Arc::new))
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
            let read = || Ok(vec![1; 1 << 20]);
            assert_eq!(cache.frame(&slot(number), read).unwrap().len(), 1 << 20);
            assert!(cache.bytes() <= BYTES, "{}", cache.bytes());
        }
        assert!(cache.bytes() > BYTES / 2, "and it does keep something");
    }

    #[test]
    fn what_could_not_be_read_is_tried_again() {
        let cache = ReadCache::new(16 << 20);
        let failed = cache.frame(&slot(1), || Err(Error::Cancelled));
        assert!(matches!(failed, Err(Error::Cancelled)));
        assert_eq!(*cache.frame(&slot(1), || Ok(vec![7])).unwrap(), [7]);
        let not_again = || panic!("it is here");
        assert_eq!(*cache.frame(&slot(1), not_again).unwrap(), [7]);
    }
}
