//! A disk goes into the store and comes out again: whole, in part, after changes, after resizes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod disk;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::{fs, io};

use cbr_env::{RandomExt, SeededRandom};
use cbr_store::backend::{Backend, BackendExt, LocalOptions, MemoryBackend};
use cbr_store::{
    BlockSource, ChainRef, Error, FileSource, FileTarget, Job, LocalBackend, MasterKey,
    NewFileTarget, Options, Repository, VersionInfo,
};
use disk::{BLOCK, Disk, LEAF, assert_restores, backup_as};
use uuid::Uuid;

const CHAIN: ChainRef = ChainRef::alone(Uuid::from_u128(1), 0, Uuid::from_u128(2));

fn repository(options: Options) -> Repository {
    repository_on(Arc::new(MemoryBackend::default()), options)
}

fn repository_on(backend: Arc<dyn Backend>, options: Options) -> Repository {
    let random = Arc::new(SeededRandom::new(7));
    Repository::init(backend, MasterKey::from_bytes([9; 32]), random, options).unwrap()
}

/// Small packs, so that even a small disk fills several.
fn small_packs() -> Options {
    Options { threads: 3, pack_bytes: 1 << 18, ..Options::default() }
}

fn backup(repository: &Repository, disk: &Disk, changed: Option<&[Range<u64>]>) -> VersionInfo {
    backup_of(repository, &CHAIN, disk, changed)
}

fn backup_of(
    repository: &Repository,
    chain: &ChainRef,
    disk: &Disk,
    changed: Option<&[Range<u64>]>,
) -> VersionInfo {
    backup_as(repository, chain, "a task", disk, changed).unwrap()
}

/// BAK-31, BAK-36: an increment stores what changed and restores as a full.
#[test]
fn a_full_and_an_increment_both_restore_byte_for_byte() {
    let repository = repository(small_packs());
    let mut disk = Disk::new(3 * LEAF + 12_345);
    disk.write(BLOCK / 2..20 * BLOCK, 3);
    disk.write(LEAF - 5 * BLOCK..LEAF + 5 * BLOCK, 5);
    disk.write(3 * LEAF..3 * LEAF + 12_345, 7);
    let before = disk.clone();
    let first = backup(&repository, &disk, None);
    assert_eq!((first.version.seq, first.parent), (1, None));
    assert_eq!((first.used_bytes, disk.used_bytes()), (31 * BLOCK, 31 * BLOCK));
    assert_eq!(first.logical_bytes, first.used_bytes);

    disk.write(7 * BLOCK + 100..7 * BLOCK + 200, 11);
    disk.write(LEAF + BLOCK..LEAF + 2 * BLOCK, 13);
    let second = backup(&repository, &disk, None);
    assert_eq!((second.version.seq, second.parent), (2, Some(1)));
    assert_eq!(second.logical_bytes, 2 * BLOCK);
    assert_eq!(second.used_bytes, 31 * BLOCK);
    assert!(second.added_bytes < first.added_bytes / 2, "{second:?}");

    assert_restores(&repository, &first, &before);
    assert_restores(&repository, &second, &disk);
    assert_eq!(second.card, b"a task");
    assert_eq!(repository.versions(&CHAIN).unwrap(), [first, second]);
}

/// BAK-31: unchanged data is not stored again.
#[test]
fn a_backup_without_changes_adds_nothing_and_shares_the_whole_map() {
    let repository = repository(small_packs());
    let mut disk = Disk::new(2 * LEAF);
    disk.write(0..LEAF + 9 * BLOCK, 3);
    backup(&repository, &disk, None);
    let second = backup(&repository, &disk, None);
    assert_eq!((second.added_bytes, second.logical_bytes), (0, 0));
    assert_eq!(second.used_bytes, LEAF + 9 * BLOCK);
    let third = backup(&repository, &disk, Some(&[]));
    assert_eq!((third.added_bytes, third.used_bytes), (0, second.used_bytes));
    assert_restores(&repository, &third, &disk);
}

/// BAK-32: zero blocks are not stored. BAK-33: a block that became zero restores as zero.
#[test]
fn blocks_that_became_zero_restore_as_zeros() {
    let repository = repository(small_packs());
    let mut disk = Disk::new(LEAF);
    disk.write(0..8 * BLOCK, 3);
    let first = backup(&repository, &disk, None);
    let before = disk.clone();
    disk.wipe(2 * BLOCK..3 * BLOCK);
    disk.trim(4 * BLOCK..6 * BLOCK);
    let second = backup(&repository, &disk, None);
    assert_eq!((second.logical_bytes, second.used_bytes), (0, 5 * BLOCK));
    assert_restores(&repository, &first, &before);
    assert_restores(&repository, &second, &disk);
}

#[test]
fn a_change_map_limits_what_is_read_and_the_result_is_the_same() {
    let repository = repository(small_packs());
    let mut disk = Disk::new(5 * LEAF);
    disk.write(0..LEAF, 3);
    disk.write(4 * LEAF..5 * LEAF, 5);
    backup(&repository, &disk, None);
    disk.write(4 * LEAF + 10..4 * LEAF + 20, 7);
    disk.trim(8 * BLOCK..16 * BLOCK);
    let changed = [8 * BLOCK..16 * BLOCK, 4 * LEAF + 10..4 * LEAF + 20];
    let mut session = repository.begin(&CHAIN, "a task").unwrap();
    let stats = session.write(&disk, Some(&changed), &Job::quiet()).unwrap();
    assert_eq!((stats.read_bytes, stats.changed_bytes), (BLOCK, BLOCK));
    let second = session.commit(b"").unwrap();
    assert_eq!(second.used_bytes, 2 * LEAF - 8 * BLOCK);
    assert_restores(&repository, &second, &disk);
}

#[test]
fn a_disk_may_grow_and_shrink_between_backups() {
    let repository = repository(small_packs());
    let mut disk = Disk::new(3 * BLOCK + 77);
    disk.write(0..3 * BLOCK + 77, 3);
    let mut made = vec![(backup(&repository, &disk, None), disk.clone())];
    for size in [LEAF + 5, LEAF, 300 * LEAF + 9, 300 * LEAF, 2 * BLOCK + 1, 0, 7 * LEAF] {
        let kept = size.min(disk.size);
        disk.resize(size);
        if size > kept {
            disk.write(size - (size - kept).min(3)..size, size);
        }
        made.push((backup(&repository, &disk, Some(&[])), disk.clone()));
        made.push((backup(&repository, &disk, None), disk.clone()));
    }
    for (version, disk) in &made {
        assert_restores(&repository, version, disk);
    }
}

#[test]
fn a_reader_gives_any_part_of_the_disk() {
    let repository = repository(small_packs());
    let mut disk = Disk::new(2 * LEAF + 100);
    disk.write(3 * BLOCK..40 * BLOCK, 3);
    disk.write(2 * LEAF..2 * LEAF + 100, 9);
    let version = backup(&repository, &disk, None);
    let reader = repository.open_disk(&version.version).unwrap();
    assert_eq!(reader.size_bytes(), 2 * LEAF + 100);
    let random = SeededRandom::new(3);
    for _ in 0..300 {
        let start = u64::from_le_bytes(random.bytes()) % (2 * LEAF + 100);
        let length = (u64::from_le_bytes(random.bytes()) % 200_000).min(2 * LEAF + 100 - start);
        let mut bytes = vec![1; usize::try_from(length).unwrap()];
        reader.read_at(start, &mut bytes).unwrap();
        assert_eq!(bytes, disk.read(start..start + length));
    }
    let beyond = reader.read_at(2 * LEAF + 99, &mut [0; 2]);
    assert!(matches!(beyond, Err(Error::Invalid { .. })));
}

/// BAK-38, BAK-39: an independent full shares nothing with what was before.
#[test]
fn a_new_epoch_stores_everything_again() {
    let repository = repository(small_packs());
    let mut disk = Disk::new(LEAF);
    disk.write(0..30 * BLOCK, 3);
    let first = backup(&repository, &disk, None);
    let next = ChainRef { epoch: 1, ..CHAIN };
    let full = backup_of(&repository, &next, &disk, None);
    assert_eq!((full.parent, full.logical_bytes), (None, 30 * BLOCK));
    assert_eq!(full.added_bytes, first.added_bytes);
    assert_eq!(repository.chains().unwrap(), [CHAIN, next]);
    repository.delete(&CHAIN, &[first.version.seq]).unwrap();
    assert_restores(&repository, &full, &disk);
}

/// P1: a file has its name only when it is complete.
#[test]
fn a_raw_file_goes_through_a_local_repository() {
    let directory = tempfile::tempdir().unwrap();
    let (raw, repo) = (directory.path().join("disk.raw"), directory.path().join("repo"));
    let mut disk = Disk::new(3 * LEAF + 4096);
    disk.write(LEAF..LEAF + 30 * BLOCK, 3);
    disk.write(3 * LEAF..3 * LEAF + 4096, 5);
    fs::write(&raw, disk.read(0..disk.size)).unwrap();
    let backend = Arc::new(LocalBackend::create(&repo, LocalOptions::default()).unwrap());
    let random = Arc::new(SeededRandom::new(7));
    let key = MasterKey::from_bytes([9; 32]);
    let repository =
        Repository::init(backend.clone(), key.clone(), random.clone(), Options::default()).unwrap();
    let mut session = repository.begin(&CHAIN, "a task").unwrap();
    session.write(&FileSource::open(&raw).unwrap(), None, &Job::quiet()).unwrap();
    let version = session.commit(b"").unwrap();
    drop(repository);

    let repository = Repository::open(backend, key, random, Options::default()).unwrap();
    assert_eq!(repository.catalogue().unwrap(), std::slice::from_ref(&version));
    let restored = directory.path().join("restored.raw");
    let target = NewFileTarget::create(&restored, version.disk_bytes).unwrap();
    repository.restore(&version.version, &target, &Job::quiet()).unwrap();
    target.publish().unwrap();
    assert_eq!(fs::read(&restored).unwrap(), disk.read(0..disk.size));

    fs::write(&restored, vec![0xa5; 3 * 256 * 65_536 + 4096]).unwrap();
    let target = FileTarget::open(&restored).unwrap();
    repository.restore(&version.version, &target, &Job::quiet()).unwrap();
    assert_eq!(fs::read(&restored).unwrap(), disk.read(0..disk.size));
}

#[test]
fn a_cancelled_backup_leaves_no_version_and_its_owner_can_begin_again() {
    let repository = repository(small_packs());
    let mut disk = Disk::new(4 * LEAF);
    disk.write(0..4 * LEAF, 3);
    let job = Job::quiet();
    let cancel = Arc::clone(&job.cancel);
    let progress = move |progress: cbr_store::Progress| {
        if progress.done_bytes > LEAF {
            cancel.store(true, Ordering::Relaxed);
        }
    };
    let job = Job { progress: Arc::new(progress), ..job };
    let mut session = repository.begin(&CHAIN, "task 1").unwrap();
    assert!(matches!(session.write(&disk, None, &job), Err(Error::Cancelled)));
    let busy = repository.begin(&CHAIN, "task 2").unwrap_err();
    assert!(matches!(busy, Error::ChainBusy { owner } if owner == "task 1"));
    repository.abort_unfinished(&CHAIN, "task 2").unwrap();
    assert!(repository.begin(&CHAIN, "task 2").is_err(), "only the owner ends its session");
    repository.abort_unfinished(&CHAIN, "task 1").unwrap();
    assert_eq!(repository.find_by_owner(&CHAIN, "task 1").unwrap(), None);
    let version = backup(&repository, &disk, None);
    assert_restores(&repository, &version, &disk);
    assert_eq!(repository.find_by_owner(&CHAIN, "a task").unwrap(), Some(version));
}

#[test]
fn a_source_that_cannot_be_read_fails_the_backup_with_the_place() {
    struct Bad(Disk);
    impl BlockSource for Bad {
        fn size_bytes(&self) -> u64 {
            self.0.size_bytes()
        }
        fn extents(&self) -> io::Result<Vec<Range<u64>>> {
            self.0.extents()
        }
        fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
            if offset == LEAF {
                return Err(io::Error::other("a bad sector"));
            }
            self.0.read_at(offset, into)
        }
    }
    let repository = repository(small_packs());
    let mut disk = Disk::new(2 * LEAF);
    disk.write(0..2 * LEAF, 3);
    let mut session = repository.begin(&CHAIN, "a task").unwrap();
    let failed = session.write(&Bad(disk), None, &Job::quiet());
    assert!(matches!(failed, Err(Error::Source { offset: LEAF, .. })));
    session.abort().unwrap();
    assert!(repository.versions(&CHAIN).unwrap().is_empty());
}

/// P5: what is known to be missing is stored again, so the next version is whole.
#[test]
fn blocks_of_a_pack_that_vanished_are_stored_again_by_the_next_backup() {
    let backend = Arc::new(MemoryBackend::default());
    let repository = repository_on(backend.clone(), small_packs());
    let mut disk = Disk::new(LEAF);
    disk.write(0..100 * BLOCK, 3);
    let first = backup(&repository, &disk, None);
    let packs = backend.list_all("t/").unwrap();
    let pack = packs.iter().find(|entry| entry.key.as_str().contains("/p/")).unwrap();
    backend.delete(&pack.key).unwrap();

    let second = backup(&repository, &disk, None);
    assert!(second.logical_bytes > 0, "{second:?}");
    assert_restores(&repository, &second, &disk);
    let target = disk::Dirty::new(disk.size);
    let damaged = repository.restore(&first.version, &target, &Job::quiet());
    let Err(Error::Incomplete { ranges, .. }) = damaged else { panic!("{damaged:?}") };
    let lost: u64 = ranges.iter().map(|range| range.end - range.start).sum();
    assert_eq!(lost, second.logical_bytes, "exactly what the second backup had to store again");
    // P10: what cannot be is no ground for deleting.
    let refused = repository.delete(&CHAIN, &[second.version.seq]);
    assert!(matches!(refused, Err(Error::Implausible { .. })), "{refused:?}");
}
