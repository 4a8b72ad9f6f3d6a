//! Long logs: what a fold saves, and that it is never more than a copy.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "what the other tests of whole disks need")]
mod disk;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use cbr_env::{Random, SeededRandom};
use cbr_store::backend::layer::{Counting, Counts};
use cbr_store::backend::{Backend, Key, MemoryBackend};
use cbr_store::crypto::MasterKey;
use cbr_store::format::place::{self, Place};
use cbr_store::{ChainRef, CheckDepth, Error, Job, Options, Repository};
use disk::{BLOCK, Disk, LEAF, assert_restores, backup_as};
use uuid::Uuid;

const CHAIN: ChainRef = ChainRef::alone(Uuid::from_u128(1), 0, Uuid::from_u128(2));

fn open(backend: Arc<dyn Backend>, seed: u64) -> Repository {
    open_with(backend, seed, Options::default().fold_after)
}

fn open_with(backend: Arc<dyn Backend>, seed: u64, fold_after: u32) -> Repository {
    let random: Arc<dyn Random> = Arc::new(SeededRandom::new(seed));
    let options = Options { threads: 1, pack_bytes: 1 << 16, fold_after, ..Options::default() };
    Repository::init(backend, MasterKey::from_bytes([9; 32]), random, options).unwrap()
}

/// Version `n` replaces one block; two are never equal.
fn next(disk: &mut Disk, n: u64) -> Range<u64> {
    let at = n * 7 % 48 * BLOCK;
    disk.write(at..at + BLOCK, n);
    at..at + BLOCK
}

struct Chain {
    backend: Arc<MemoryBackend>,
    repository: Repository,
    disk: Disk,
    disks: BTreeMap<u64, Disk>,
}

impl Chain {
    fn of(versions: u64) -> Self {
        Self::folded(versions, Options::default().fold_after)
    }

    /// Folded as soon as there is so much to fold.
    fn folded(versions: u64, fold_after: u32) -> Self {
        let backend = Arc::new(MemoryBackend::default());
        let repository = open_with(backend.clone(), 1, fold_after);
        let disk = Disk::new(LEAF);
        let mut chain = Self { backend, repository, disk, disks: BTreeMap::new() };
        (0..versions).for_each(|_| chain.backup());
        chain
    }

    fn backup(&mut self) {
        let changed = [next(&mut self.disk, self.disks.len() as u64)];
        let made = backup_as(&self.repository, &CHAIN, "task", &self.disk, Some(&changed)).unwrap();
        self.disks.insert(made.version.seq, self.disk.clone());
    }

    fn assert_all_restore(&self) {
        let versions = self.repository.versions(&CHAIN).unwrap();
        assert!(versions.iter().map(|info| info.version.seq).eq(self.disks.keys().copied()));
        for version in &versions {
            assert_eq!(version.card, b"task");
            assert_restores(&self.repository, version, &self.disks[&version.version.seq]);
        }
    }

    fn folds(&self) -> Vec<Key> {
        folds(&self.backend)
    }

    /// The objects that a check complains about.
    fn wrong(&self) -> Vec<String> {
        let report = self.repository.check(CheckDepth::Structure, &Job::quiet()).unwrap();
        report.problems.into_iter().map(|problem| problem.object).collect()
    }
}

fn folds(backend: &MemoryBackend) -> Vec<Key> {
    let objects = backend.snapshot().into_keys();
    objects.filter(|key| matches!(Place::parse(key), Some(Place::Fold(..)))).collect()
}

/// What `work` asks of the backend.
fn calls(backend: &Arc<MemoryBackend>, work: impl FnOnce(&Repository)) -> Counts {
    let counting = Arc::new(Counting::new(backend.clone()));
    let repository = open(counting.clone(), 77);
    let before = counting.counts();
    work(&repository);
    let after = counting.counts();
    Counts {
        puts: after.puts - before.puts,
        gets: after.gets - before.gets,
        range_gets: after.range_gets - before.range_gets,
        sizes: after.sizes - before.sizes,
        lists: after.lists - before.lists,
        deletes: after.deletes - before.deletes,
        bytes_put: after.bytes_put - before.bytes_put,
        bytes_got: after.bytes_got - before.bytes_got,
    }
}

fn total(counts: &Counts) -> u64 {
    let Counts { puts, gets, range_gets, sizes, lists, deletes, .. } = counts;
    puts + gets + range_gets + sizes + lists + deletes
}

/// A backup of a chain with 200 versions asks the backend for no more than one with 10 does, but for
/// the records that wait for the next fold.
#[test]
fn what_an_increment_costs_does_not_grow_with_the_number_of_versions() {
    let increment = |versions: u64| {
        let mut chain = Chain::of(versions);
        let changed = [next(&mut chain.disk, 1_000_000)];
        calls(&chain.backend, |repository| {
            backup_as(repository, &CHAIN, "one more", &chain.disk, Some(&changed)).unwrap();
        })
    };
    let (few, many) = (increment(10), increment(200));
    // At most 31 records are read one by one, a fold is written, and one goes.
    assert!(total(&many) <= total(&few) + 20, "{few:?}\n{many:?}");
    assert!(many.lists <= few.lists, "{few:?}\n{many:?}");
}

/// The second proof reads every node that is newer than what goes, once: in a process that has deleted before
/// it reads the ones that are new, though none of them has young leaves only (ADR 30, 36). What was deleted first
/// is older than what is deleted then, or younger.
#[test]
fn what_a_deletion_costs_a_process_that_goes_on_does_not_grow_with_the_number_of_versions() {
    let deletions = |versions: u64| {
        let mut chain = Chain::of(0);
        // A node of level 1 above five leaves. Each version changes one of four; the fifth is written once, so in
        // every node there is a leaf that is older than all that goes and is not entered.
        chain.disk = Disk::new(5 * LEAF);
        chain.disk.write(4 * LEAF..4 * LEAF + BLOCK, 1_000_000);
        for n in 0..versions {
            let at = n % 4 * LEAF;
            chain.disk.write(at..at + BLOCK, n);
            let made = backup_as(&chain.repository, &CHAIN, "task", &chain.disk, None).unwrap();
            chain.disks.insert(made.version.seq, chain.disk.clone());
        }
        let counting = Arc::new(Counting::new(chain.backend.clone()));
        let repository = open(counting.clone(), 78);
        // Four at once, so that a block goes that all of them had.
        let mut delete = |from: u64| {
            let before = counting.counts().range_gets;
            let gone: Vec<u64> = (from..from + 4).collect();
            assert!(repository.delete(&CHAIN, &gone).unwrap().freed_bytes > 0);
            chain.disks.retain(|seq, _| !gone.contains(seq));
            counting.counts().range_gets - before
        };
        let middle = versions / 2;
        let first = delete(middle);
        let later = [middle + 4, middle + 8, middle - 4].map(delete);
        chain.assert_all_restore();
        assert_eq!(chain.wrong(), Vec::<String>::new());
        (first, later)
    };
    let (few, many) = (deletions(32), deletions(128));
    assert!(many.0 > 2 * few.0, "the first one reads what is newer: {few:?}, {many:?}");
    for (few, many) in few.1.into_iter().zip(many.1) {
        assert!(many <= few + 20, "{few:?}, {many:?}");
    }
}

/// The same where each version's pack is used by all that are newer: a leaf of it lives on in their maps, beside
/// one that dies. What was read is remembered slot by slot, so a pack that loses something makes no node be read
/// again (ADR 36).
#[test]
fn what_a_deletion_costs_a_process_that_goes_on_does_not_grow_with_who_uses_its_packs() {
    let deletions = |versions: u64| {
        let mut chain = Chain::of(0);
        chain.disk = Disk::new((versions + 1) * LEAF);
        for n in 0..versions {
            let changed = [0, (n + 1) * LEAF].map(|at| at..at + BLOCK);
            for range in &changed {
                chain.disk.write(range.clone(), n);
            }
            backup_as(&chain.repository, &CHAIN, "task", &chain.disk, Some(&changed)).unwrap();
        }
        let counting = Arc::new(Counting::new(chain.backend.clone()));
        let repository = open(counting.clone(), 79);
        let delete = |seq: u64| {
            let before = counting.counts().range_gets;
            assert!(repository.delete(&CHAIN, &[seq]).unwrap().removed_object_bytes > 0);
            counting.counts().range_gets - before
        };
        let middle = versions / 2;
        let first = delete(middle);
        let later = [middle + 1, middle + 2, middle + 8].map(delete);
        assert_eq!(chain.wrong(), Vec::<String>::new());
        (first, later)
    };
    let (few, many) = (deletions(20), deletions(60));
    assert!(many.0 > few.0 + 20, "the first one reads what is newer: {few:?}, {many:?}");
    for (few, many) in few.1.into_iter().zip(many.1) {
        assert!(many <= few + 4, "{few:?}, {many:?}");
    }
}

#[test]
fn what_a_preview_costs_does_not_grow_with_the_number_of_versions() {
    let preview = |versions: u64| {
        let chain = Chain::of(versions);
        calls(&chain.backend, |repository| {
            repository.preview_delete(&CHAIN, &[versions / 2]).unwrap();
        })
    };
    let (few, many) = (preview(10), preview(200));
    assert!(total(&many) <= total(&few) + 20, "{few:?}\n{many:?}");
}

#[test]
fn a_long_log_has_two_folds_at_most_and_they_say_what_the_records_say() {
    let mut chain = Chain::of(100);
    chain.repository.delete(&CHAIN, &[3, 50, 51]).unwrap();
    for seq in [3, 50, 51] {
        chain.disks.remove(&seq);
    }
    chain.backup();
    assert_eq!(chain.folds().len(), 2, "the newest, and the one before for who has just listed it");
    chain.assert_all_restore();
    assert_eq!(chain.wrong(), Vec::<String>::new());
}

/// A fold is a cache: without it, or with one that is damaged, everything is as before (P4, P7).
#[test]
fn lost_and_damaged_folds_change_nothing_and_a_check_names_the_damaged_one() {
    let mut chain = Chain::of(40);
    let folds = chain.folds();
    assert!(!folds.is_empty());
    for fold in &folds {
        let mut object = chain.backend.get(fold).unwrap().unwrap();
        let middle = object.len() / 2;
        object[middle] ^= 1;
        chain.backend.overwrite(fold, object);
    }
    chain.backup();
    chain.assert_all_restore();
    let wrong = chain.wrong();
    assert!(folds.iter().all(|fold| wrong.contains(&fold.to_string())), "{wrong:?}");
    for fold in &folds {
        chain.backend.delete(fold).unwrap();
    }
    chain.backup();
    chain.assert_all_restore();
    assert_eq!(chain.wrong(), Vec::<String>::new());
}

/// P4, P10: a record that is folded and gone is still missed: by a check, and before anything is
/// removed. Also the very last ones, which without a fold nobody could miss.
#[test]
fn a_hidden_record_is_missed_though_it_is_folded() {
    for hidden in [1, 20, 32] {
        let mut chain = Chain::folded(33, 1);
        chain.repository.delete(&CHAIN, &[2]).unwrap();
        chain.disks.remove(&2);
        chain.backup();
        let Some(Place::Fold(_, (seq, 1))) = chain.folds().last().and_then(Place::parse) else {
            panic!("{:?}", chain.folds());
        };
        assert_eq!(seq, 33);
        let mut victims = vec![place::claim(&CHAIN, hidden), place::outcome(&CHAIN, hidden)];
        if hidden == 32 {
            // Everything from there on, as if it had never been.
            let later =
                [33, 34].map(|seq| [place::claim(&CHAIN, seq), place::outcome(&CHAIN, seq)]);
            victims.extend(later.into_iter().flatten());
        }
        for victim in &victims {
            chain.backend.delete(victim).unwrap();
        }
        assert!(!chain.wrong().is_empty(), "{hidden}");
        let before = chain.backend.snapshot();
        let deleted = chain.repository.reclaim(&CHAIN);
        assert!(matches!(deleted, Err(Error::Missing { .. })), "{hidden}: {deleted:?}");
        assert_eq!(chain.backend.snapshot(), before, "{hidden}: nothing is removed");
    }
}

/// P4, P10: the same for a delete record: without it deleted versions would come back.
#[test]
fn a_hidden_delete_record_is_missed_though_it_is_folded() {
    let mut chain = Chain::folded(33, 1);
    chain.repository.delete(&CHAIN, &[2]).unwrap();
    chain.backup();
    chain.backend.delete(&place::delete(&CHAIN, 1)).unwrap();
    let fold = chain.folds().last().unwrap().to_string();
    assert!(chain.wrong().contains(&fold));
    let before = chain.backend.snapshot();
    for deleted in [chain.repository.reclaim(&CHAIN), chain.repository.delete(&CHAIN, &[7])] {
        assert!(matches!(deleted, Err(Error::Missing { .. })), "{deleted:?}");
    }
    assert_eq!(chain.backend.snapshot(), before, "nothing is removed");
}

/// P4: a fold of another history under the right name and the right key is found out.
#[test]
fn a_fold_of_a_diverged_copy_of_the_repository_is_found_out() {
    let first = Chain::of(4);
    let copy = Arc::new(MemoryBackend::from_snapshot(first.backend.snapshot()));
    let (mut ours, theirs) = (first, open(copy.clone(), 1234));
    let mut disk = ours.disk.clone();
    for n in 0..30 {
        next(&mut disk, 500 + n);
        backup_as(&theirs, &CHAIN, "task", &disk, None).unwrap();
    }
    (0..30).for_each(|_| ours.backup());
    let foreign: Vec<Key> = folds(&copy);
    assert_eq!(foreign, ours.folds());
    for fold in &foreign {
        ours.backend.overwrite(fold, copy.get(fold).unwrap().unwrap());
    }
    let wrong = ours.wrong();
    assert!(foreign.iter().all(|fold| wrong.contains(&fold.to_string())), "{wrong:?}");
    // The records after it name other hashes: nothing is removed because of it.
    let deleted = ours.repository.delete(&CHAIN, &[7]);
    assert!(matches!(deleted, Err(Error::Damaged { .. })), "{deleted:?}");
    // The next session reads the records themselves, and folds them anew.
    ours.backup();
    ours.repository.delete(&CHAIN, &[7]).unwrap();
    ours.disks.remove(&7);
    ours.assert_all_restore();
}

/// The same in a new process each time, where there is a cache (ADR 41); without the directory it reads all again, and
/// nothing is lost by that.
#[test]
fn what_the_first_deletion_of_a_process_costs_does_not_grow_where_there_is_a_cache() {
    let deletions = |versions: u64| {
        let mut chain = Chain::of(0);
        chain.disk = Disk::new((versions + 1) * LEAF);
        for n in 0..versions {
            let changed = [0, (n + 1) * LEAF].map(|at| at..at + BLOCK);
            for range in &changed {
                chain.disk.write(range.clone(), n);
            }
            let made =
                backup_as(&chain.repository, &CHAIN, "task", &chain.disk, Some(&changed)).unwrap();
            chain.disks.insert(made.version.seq, chain.disk.clone());
        }
        let directory = tempfile::tempdir().unwrap();
        let cache = directory.path().join("cache");
        let mut seed = 80;
        let mut delete = |seq: u64| {
            seed += 1;
            let counting = Arc::new(Counting::new(chain.backend.clone()));
            let options = Options {
                threads: 1,
                pack_bytes: 1 << 16,
                cache: Some(cache.clone()),
                ..Options::default()
            };
            let (key, random) = (MasterKey::from_bytes([9; 32]), SeededRandom::new(seed));
            let repository =
                Repository::open(counting.clone(), key, Arc::new(random), options).unwrap();
            let before = counting.counts().range_gets;
            assert!(repository.delete(&CHAIN, &[seq]).unwrap().removed_object_bytes > 0);
            let read = counting.counts().range_gets - before;
            let (right, wrong) = repository.compare_kept_maps(&CHAIN).unwrap();
            assert!(right > 0 && wrong == 0, "{right} right, {wrong} wrong");
            chain.disks.remove(&seq);
            read
        };
        let middle = versions / 2;
        let first = delete(middle);
        let later = [middle + 1, middle + 2, middle + 8].map(&mut delete);
        std::fs::remove_dir_all(&cache).unwrap();
        let without = delete(middle + 3);
        chain.assert_all_restore();
        assert_eq!(chain.wrong(), Vec::<String>::new());
        // When nothing lives the cache has nothing.
        let all: Vec<u64> = chain.disks.keys().copied().collect();
        for seq in all {
            delete_last(&chain, &cache, seq);
        }
        let of_repository = std::fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
        assert_eq!(std::fs::read_dir(of_repository).unwrap().count(), 0);
        (first, later, without)
    };
    let (few, many) = (deletions(20), deletions(60));
    assert!(
        many.0 > few.0 + 20 && many.2 > few.2 + 20,
        "they read what is newer: {few:?}, {many:?}"
    );
    for (few, many) in few.1.into_iter().zip(many.1) {
        assert!(many <= few + 4, "{few:?}, {many:?}");
    }
}

/// Deletes in a process with the cache that has no more to say.
fn delete_last(chain: &Chain, cache: &std::path::Path, seq: u64) {
    let options = Options { threads: 1, cache: Some(cache.to_owned()), ..Options::default() };
    let (key, random) = (MasterKey::from_bytes([9; 32]), SeededRandom::new(500 + seq));
    let repository =
        Repository::open(chain.backend.clone(), key, Arc::new(random), options).unwrap();
    repository.delete(&CHAIN, &[seq]).unwrap();
}
