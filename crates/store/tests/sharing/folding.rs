//! The retire log of a domain is folded: read in a few reads, and believed no more than its records.

use std::collections::BTreeMap;
use std::sync::Arc;

use cbr_store::backend::layer::Counting;
use cbr_store::backend::{Backend, BackendExt, Key, MemoryBackend};
use cbr_store::format::place::{self, Place};
use cbr_store::{CheckDepth, Job, Repository};

use crate::disk::{BLOCK, Disk, assert_restores};
use crate::world::{assert_clean, backup, chain, open, options};

/// A disk of which every deletion retires something.
fn churn(backend: &Arc<MemoryBackend>, seed: u64, times: u64) -> Disk {
    let repository = open(backend.clone(), seed, options());
    let mut disk = Disk::new(40 * BLOCK);
    for n in 0..times {
        disk.write(0..8 * BLOCK, 1000 * seed + n);
        let (_, made) = backup(&repository, &chain(2), &disk);
        let seq = made.version.seq;
        if seq > 1 {
            repository.delete(&chain(2), &[seq - 1]).unwrap();
        }
    }
    disk
}

fn folds(backend: &MemoryBackend) -> Vec<Key> {
    let listed = backend.list_all(&place::retire_folds(&chain(2).domain())).unwrap();
    listed.into_iter().map(|entry| entry.key).collect()
}

fn wrong(repository: &Repository) -> Vec<String> {
    let report = repository.check(CheckDepth::Structure, &Job::quiet()).unwrap();
    report.problems.into_iter().map(|problem| problem.object).collect()
}

/// What a clone borrows and asks for, in a new process; it restores, and so does the original.
fn clone_of(backend: &Arc<MemoryBackend>, n: u64, disk: &Disk) -> (u64, u64) {
    let counting = Arc::new(Counting::new(backend.clone()));
    let repository = open(counting.clone(), 100 + n, options());
    let (stats, made) = backup(&repository, &chain(n.into()), disk);
    assert_restores(&repository, &made, disk);
    (stats.borrowed_bytes, counting.counts().gets)
}

#[test]
fn a_long_retire_log_is_read_through_its_fold_and_says_the_same() {
    let backend = Arc::new(MemoryBackend::default());
    let disk = churn(&backend, 1, 80);
    let kept = folds(&backend);
    assert_eq!(kept.len(), 2, "the newest, and the one before: {kept:?}");
    assert_clean(&open(backend.clone(), 3, options()));
    let (borrowed, with) = clone_of(&backend, 3, &disk);
    assert_eq!(borrowed, 8 * BLOCK);
    for fold in &kept {
        backend.delete(fold).unwrap();
    }
    let (borrowed, without) = clone_of(&backend, 4, &disk);
    assert_eq!(borrowed, 8 * BLOCK);
    assert!(with + 40 < without, "{with} gets with a fold, {without} without");
}

/// P4, P9: a fold that is damaged, or of a copy of the repository that has gone its own way, is passed
/// over, and a check names it: what it leaves out would otherwise be borrowed while it is removed.
#[test]
fn a_fold_that_is_damaged_or_of_another_log_is_not_believed() {
    let start = Arc::new(MemoryBackend::default());
    churn(&start, 1, 10);
    let copy = Arc::new(MemoryBackend::from_snapshot(start.snapshot()));
    churn(&copy, 2, 60);
    let disk = churn(&start, 3, 60);
    let theirs: BTreeMap<Key, Vec<u8>> = folds(&copy)
        .into_iter()
        .map(|key| (key.clone(), copy.get(&key).unwrap().unwrap()))
        .collect();
    let ours = folds(&start);
    assert!(ours.iter().eq(theirs.keys()), "{ours:?} {theirs:?}");
    let damaged = |key: &Key| {
        let mut object = start.get(key).unwrap().unwrap();
        let middle = object.len() / 2;
        object[middle] ^= 1;
        object
    };
    let sound = start.snapshot();
    for is_foreign in [true, false] {
        let memory = Arc::new(MemoryBackend::from_snapshot(sound.clone()));
        for key in &ours {
            memory.overwrite(key, if is_foreign { theirs[key].clone() } else { damaged(key) });
        }
        let repository = open(memory.clone(), 9, options());
        let named = wrong(&repository);
        assert!(ours.iter().all(|key| named.contains(&key.to_string())), "{named:?}");
        let whole = Arc::new(MemoryBackend::from_snapshot(sound.clone()));
        assert_eq!(clone_of(&memory, 3, &disk).0, clone_of(&whole, 3, &disk).0);
        // Deletions go on, and fold anew.
        repository.delete(&chain(3), &[1]).unwrap();
        let left = repository.versions(&chain(2)).unwrap();
        assert_restores(&repository, &left[0], &disk);
        let retires = |key: &Key| matches!(Place::parse(key), Some(Place::Retire(..)));
        assert!(memory.snapshot().keys().filter(|key| retires(key)).count() > 60);
    }
}
