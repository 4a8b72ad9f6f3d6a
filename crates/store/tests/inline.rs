//! An engine without threads of its own: everything happens in the caller's, in an order that
//! repeats. Simulation stands on this.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod disk;

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::thread::{self, ThreadId};

use cbr_env::SeededRandom;
use cbr_store::backend::{Backend, BackendError, Key, MemoryBackend, Page, Put};
use cbr_store::{
    BlockSource, BlockTarget, ChainRef, CheckDepth, Job, MasterKey, Options, Repository,
};
use disk::{BLOCK, Dirty, Disk, LEAF, assert_restores, backup_as};
use uuid::Uuid;

const CHAIN: ChainRef = ChainRef::alone(Uuid::from_u128(1), 0, Uuid::from_u128(2));

/// Refuses to be used by another thread than its owner's.
#[derive(Debug)]
struct Here<T> {
    thread: ThreadId,
    inner: T,
}

impl<T> Here<T> {
    fn new(inner: T) -> Self {
        Self { thread: thread::current().id(), inner }
    }

    #[track_caller]
    fn get(&self) -> &T {
        assert_eq!(thread::current().id(), self.thread, "called from another thread");
        &self.inner
    }
}

impl Backend for Here<Arc<MemoryBackend>> {
    fn put_new(&self, key: &Key, body: &[&[u8]]) -> Result<Put, BackendError> {
        self.get().put_new(key, body)
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, BackendError> {
        self.get().get(key)
    }

    fn get_range(
        &self,
        key: &Key,
        offset: u64,
        into: &mut [u8],
    ) -> Result<Option<()>, BackendError> {
        self.get().get_range(key, offset, into)
    }

    fn size(&self, key: &Key) -> Result<Option<u64>, BackendError> {
        self.get().size(key)
    }

    fn list(&self, prefix: &str, after: Option<&Key>) -> Result<Page, BackendError> {
        self.get().list(prefix, after)
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        self.get().delete(key)
    }

    fn describe(&self) -> String {
        "memory, in one thread".to_owned()
    }
}

impl BlockSource for Here<Disk> {
    fn size_bytes(&self) -> u64 {
        self.get().size
    }

    fn extents(&self) -> io::Result<Vec<Range<u64>>> {
        self.get().extents()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.get().read_at(offset, into)
    }
}

impl BlockTarget for Here<Dirty> {
    fn size_bytes(&self) -> u64 {
        self.get().size_bytes()
    }

    fn is_known_zero(&self) -> bool {
        self.get().is_known_zero()
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.get().write_at(offset, data)
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        self.get().zero(range)
    }

    fn flush(&self) -> io::Result<()> {
        self.get().flush()
    }
}

/// Two backups, a restore, a check and a deletion; what is stored in the end, and how many packs
/// the first backup made.
fn life() -> (BTreeMap<Key, Vec<u8>>, usize) {
    let memory = Arc::new(MemoryBackend::default());
    let open = |backend: Arc<dyn Backend>| {
        let options = Options {
            threads: 0,
            frame_blocks: 2,
            pack_bytes: 1 << 10,
            map_pack_bytes: 1 << 10,
            ..Options::default()
        };
        let random = Arc::new(SeededRandom::new(3));
        Repository::init(backend, MasterKey::from_bytes([7; 32]), random, options).unwrap()
    };
    // Probing an empty place does use threads: racing ones.
    drop(open(memory.clone()));
    let repository = open(Arc::new(Here::new(Arc::clone(&memory))));
    let mut disk = Disk::new(3 * LEAF);
    let mut packs = 0;
    for (seed, at) in [(1, 0), (2, LEAF - 5 * BLOCK)] {
        disk.write(at..at + 40 * BLOCK, seed);
        disk.resize(disk.size + BLOCK / 2);
        disk.wipe(at..at + BLOCK);
        disk.trim(at + 2 * BLOCK..at + 3 * BLOCK);
        let source = Here::new(disk.clone());
        let version = backup_as(&repository, &CHAIN, "a task", &source, None).unwrap();
        assert_eq!(version.used_bytes, disk.used_bytes());
        assert_restores(&repository, &version, &disk);
        let target = Here::new(Dirty::new(disk.size));
        repository.restore(&version.version, &target, &Job::quiet()).unwrap();
        assert_eq!(target.inner.first_difference(&disk), None);
        let is_pack = |key: &&Key| key.as_str().contains("/d/");
        packs = packs.max(memory.snapshot().keys().filter(is_pack).count());
    }
    let report = repository.check(CheckDepth::ReadData, &Job::quiet()).unwrap();
    assert!(report.is_clean(), "{report:?}");
    repository.delete(&CHAIN, &[1]).unwrap();
    (memory.snapshot(), packs)
}

#[test]
fn without_threads_everything_happens_in_the_callers_and_repeats_byte_for_byte() {
    let (first, packs) = life();
    assert!(packs > 4, "tiny packs are allowed, so that there are many: {packs}");
    let (second, _) = life();
    let random = |key: &&Key| key.as_str().starts_with("probe/");
    assert!(first.keys().filter(|key| !random(key)).eq(second.keys().filter(|key| !random(key))));
    assert!(first == second, "the same seed stores the same bytes");
}
