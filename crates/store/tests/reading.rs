//! Reading parts of a version: many readers at once, what the map alone tells, what it costs, and
//! what is lost when something is lost.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests use the rest")]
mod disk;

use std::sync::Arc;
use std::thread;

use cbr_env::{RandomExt, SeededRandom};
use cbr_store::ExtentKind::{Data, Hole};
use cbr_store::backend::layer::Counting;
use cbr_store::backend::{Backend, BackendExt, Key, MemoryBackend};
use cbr_store::{ChainRef, DiskReader, ExtentKind, MasterKey, Options, Repository, VersionInfo};
use disk::{BLOCK, Disk, LEAF, backup_as};
use uuid::Uuid;

const CHAIN: ChainRef = ChainRef::alone(Uuid::from_u128(1), 0, Uuid::from_u128(2));

/// Small packs, and a cache that does not hold the whole disk.
fn options() -> Options {
    let (pack_bytes, read_cache_bytes) = (1 << 16, 8 << 20);
    Options { threads: 3, pack_bytes, read_cache_bytes, ..Options::default() }
}

fn repository(backend: Arc<dyn Backend>) -> Repository {
    let random = Arc::new(SeededRandom::new(7));
    Repository::init(backend, MasterKey::from_bytes([9; 32]), random, options()).unwrap()
}

fn backup(repository: &Repository, disk: &Disk) -> VersionInfo {
    backup_as(repository, &CHAIN, "a task", disk, None).unwrap()
}

/// The data packs of the repository.
fn data_packs(backend: &dyn Backend) -> Vec<Key> {
    let all = backend.list_all("t/").unwrap().into_iter().map(|entry| entry.key);
    all.filter(|key| key.as_str().contains("/p/")).collect()
}

/// What the reader tells of the whole disk, as (bytes, kind).
fn told(reader: &DiskReader) -> Vec<(u64, ExtentKind)> {
    let (mut at, mut told) = (0, Vec::<(u64, ExtentKind)>::new());
    while at < reader.size_bytes() {
        let extents = reader.extents(at..reader.size_bytes(), 7).unwrap();
        assert!(!extents.is_empty(), "told nothing of byte {at}");
        for extent in extents {
            at += extent.bytes;
            match told.last_mut() {
                Some((bytes, kind)) if *kind == extent.kind => *bytes += extent.bytes,
                _ => told.push((extent.bytes, extent.kind)),
            }
        }
    }
    assert_eq!(at, reader.size_bytes());
    told
}

#[test]
fn many_readers_at_once_read_what_was_backed_up() {
    let repository = repository(Arc::new(MemoryBackend::default()));
    let mut disk = Disk::new(3 * LEAF + 100);
    disk.write(3 * BLOCK..400 * BLOCK, 3);
    disk.write(3 * LEAF..3 * LEAF + 100, 9);
    let version = backup(&repository, &disk);
    let reader = repository.open_disk(&version.version).unwrap();
    thread::scope(|scope| {
        for seed in 0..8 {
            let (reader, disk) = (&reader, &disk);
            scope.spawn(move || {
                let random = SeededRandom::new(seed);
                for _ in 0..100 {
                    let start = u64::from_le_bytes(random.bytes()) % disk.size;
                    let length = u64::from_le_bytes(random.bytes()) % (3 * BLOCK);
                    let end = (start + length).min(disk.size);
                    let mut bytes = vec![1; usize::try_from(end - start).unwrap()];
                    reader.read_at(start, &mut bytes).unwrap();
                    assert!(bytes == disk.read(start..end), "seed {seed}, {start}..{end}");
                }
            });
        }
    });
}

#[test]
fn the_map_alone_tells_what_is_data_and_what_is_a_hole() {
    let backend = Arc::new(MemoryBackend::default());
    let repository = repository(backend.clone());
    let mut disk = Disk::new(700 * LEAF + 12_345);
    disk.write(BLOCK..3 * BLOCK, 3);
    disk.write(LEAF - BLOCK..LEAF + BLOCK, 5);
    disk.write(600 * LEAF..600 * LEAF + 10, 7);
    disk.wipe(601 * LEAF..602 * LEAF);
    let version = backup(&repository, &disk);
    let packs = data_packs(&*backend);
    assert!(!packs.is_empty());
    for pack in &packs {
        backend.delete(pack).unwrap();
    }
    let expected = [
        (BLOCK, Hole),
        (2 * BLOCK, Data),
        (LEAF - 4 * BLOCK, Hole),
        (2 * BLOCK, Data),
        (599 * LEAF - BLOCK, Hole),
        (BLOCK, Data),
        (100 * LEAF - BLOCK + 12_345, Hole),
    ];
    let reader = repository.open_disk(&version.version).unwrap();
    assert_eq!(told(&reader), expected);
    let some = reader.extents(2 * BLOCK + 5..3 * BLOCK + 5, 9).unwrap();
    assert_eq!(some.iter().map(|run| run.bytes).collect::<Vec<_>>(), [BLOCK - 5, 5]);
    assert!(reader.extents(0..reader.size_bytes() + 1, 9).is_err());
    let beyond_data = reader.read_at(10 * BLOCK, &mut [1; 4096]);
    beyond_data.expect("holes need no data");
    reader.read_at(BLOCK, &mut [1; 4096]).expect_err("the data is gone");
}

/// P5: what is lost is lost alone.
#[test]
fn a_lost_pack_fails_the_reads_that_touch_it_and_no_others() {
    const BLOCKS: u64 = 400;
    let backend = Arc::new(MemoryBackend::default());
    let repository = repository(backend.clone());
    let mut disk = Disk::new(2 * LEAF);
    for block in 0..BLOCKS {
        disk.write(block * BLOCK..(block + 1) * BLOCK, block);
    }
    let version = backup(&repository, &disk);
    let packs = data_packs(&*backend);
    assert!(packs.len() > 1, "one pack proves nothing");
    backend.delete(&packs[0]).unwrap();
    let reader = repository.open_disk(&version.version).unwrap();
    let mut lost = 0;
    for block in 0..BLOCKS {
        let mut bytes = vec![1; 4096];
        match reader.read_at(block * BLOCK + 8192, &mut bytes) {
            Ok(()) => {
                let start = block * BLOCK + 8192;
                assert!(bytes == disk.read(start..start + 4096), "block {block}");
            }
            Err(_) => lost += 1,
        }
    }
    assert!(lost > 0 && lost < BLOCKS, "{lost} blocks are lost");
}

#[test]
fn opening_a_disk_costs_the_same_whatever_its_size() {
    let cost = |size: u64| {
        let backend = Arc::new(Counting::new(Arc::new(MemoryBackend::default())));
        let repository = repository(backend.clone());
        let mut disk = Disk::new(size);
        disk.write(0..BLOCK, 3);
        disk.write(size - BLOCK..size, 5);
        let version = backup(&repository, &disk);
        let reads = || {
            let counts = backend.counts();
            counts.gets + counts.range_gets + counts.sizes + counts.lists
        };
        let before = reads();
        let reader = repository.open_disk(&version.version).unwrap();
        let opened = reads() - before;
        let mut bytes = vec![0; 4096];
        reader.read_at(size - 4096, &mut bytes).unwrap();
        assert_eq!(bytes, disk.read(size - 4096..size));
        (opened, reads() - before - opened)
    };
    let (small, huge) = (cost(2 * LEAF), cost(1 << 40));
    assert_eq!(small.0, huge.0, "opening 32 MiB and 1 TiB");
    // Two more levels of the map.
    assert!(huge.1 <= small.1 + 2, "reading: {small:?}, {huge:?}");
}
