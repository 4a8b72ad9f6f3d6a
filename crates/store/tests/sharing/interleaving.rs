//! A backup that borrows, the deletion of what it borrows from, and sweeps: at every call of the
//! one, the others run from start to end (I3, I4, P7, P9).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cbr_store::backend::MemoryBackend;
use cbr_store::backend::layer::Switching;
use cbr_store::{Job, Options, Repository, Result, VersionInfo};

use crate::disk::{BLOCK, Disk, assert_restores};
use crate::world::{assert_clean, backup, chain, open, options, shared_objects};

const CALLS_MAX: u64 = 2000;

fn content() -> Disk {
    let mut disk = Disk::new(40 * BLOCK);
    disk.write(0..12 * BLOCK, 1);
    disk
}

/// Chain 2 has two versions; the second let go of half of the blocks of the first.
fn start() -> Arc<MemoryBackend> {
    let memory = Arc::new(MemoryBackend::default());
    let repository = open(memory.clone(), 1, options());
    let mut disk = content();
    backup(&repository, &chain(2), &disk);
    disk.write(0..6 * BLOCK, 2);
    backup(&repository, &chain(2), &disk);
    memory
}

/// Runs `a` again and again; before its call 0, 1, 2 … `b` runs as another process.
fn at_every_call<T>(
    a: impl Fn(&Repository) -> Result<T>,
    b: impl Fn(&Repository) + Clone + Send + 'static,
    after: impl Fn(Result<T>, &Repository, &MemoryBackend),
) -> u64 {
    let snapshot = start().snapshot();
    for at in 0..CALLS_MAX {
        let memory = Arc::new(MemoryBackend::from_snapshot(snapshot.clone()));
        let has_run = Arc::new(AtomicBool::new(false));
        let switching = Switching::new(memory.clone());
        switching.before_call(at, {
            let (b, memory, has_run) = (b.clone(), memory.clone(), has_run.clone());
            move || {
                b(&open(memory, 7000 + at, options()));
                has_run.store(true, Ordering::Relaxed);
            }
        });
        // The uploader's thread must not mix up the order of calls.
        let result = a(&open(Arc::new(switching), 8000 + at, Options { threads: 1, ..options() }));
        if !has_run.load(Ordering::Relaxed) {
            return at;
        }
        after(result, &open(memory.clone(), 9000 + at, options()), memory.as_ref());
    }
    panic!("the operation never gets through");
}

/// A clone of what chain 2 had first is backed up as chain 3.
fn borrow(repository: &Repository) -> Result<VersionInfo> {
    let mut session = repository.begin(&chain(3), "a clone")?;
    session.write(&content(), None, &Job::quiet())?;
    session.commit(b"a card")
}

/// The one version of chain 3 restores; when it goes, nothing is left.
fn assert_whole(made: &VersionInfo, repository: &Repository, memory: &MemoryBackend) {
    assert_restores(repository, made, &content());
    repository.reclaim(&chain(3)).unwrap();
    assert_restores(repository, made, &content());
    assert_clean(repository);
    for n in [2, 3] {
        let seqs: Vec<u64> =
            repository.versions(&chain(n)).unwrap().iter().map(|v| v.version.seq).collect();
        repository.delete(&chain(n), &seqs).unwrap();
    }
    let left = shared_objects(memory).unwrap().stored();
    assert!(left.is_empty(), "{left:?}");
}

/// What makes the other tests worth something.
#[test]
fn the_clone_borrows_if_nobody_disturbs_it() {
    let repository = open(start(), 5, options());
    let mut session = repository.begin(&chain(3), "a clone").unwrap();
    let stats = session.write(&content(), None, &Job::quiet()).unwrap();
    assert_eq!(stats.borrowed_bytes, 12 * BLOCK);
}

#[test]
fn what_is_borrowed_from_is_deleted_at_any_moment_of_the_backup() {
    let delete_all = |repository: &Repository| {
        repository.delete(&chain(2), &[1, 2]).unwrap();
        // Again: what the first sweep had to leave.
        repository.reclaim(&chain(2)).unwrap();
    };
    let calls = at_every_call(borrow, delete_all, |made, repository, memory| {
        assert_whole(&made.unwrap(), repository, memory);
    });
    assert!(calls > 20, "{calls} calls");
}

#[test]
fn a_backup_borrows_at_any_moment_of_a_deletion_with_its_sweep() {
    let borrows = |repository: &Repository| drop(borrow(repository).unwrap());
    let delete_all = |repository: &Repository| repository.delete(&chain(2), &[1, 2]);
    let calls = at_every_call(delete_all, borrows, |deleted, repository, memory| {
        deleted.unwrap();
        let made = repository.versions(&chain(3)).unwrap();
        assert_whole(&made[0], repository, memory);
    });
    assert!(calls > 20, "{calls} calls");
}

/// The session begins before the deletion and writes at any moment of it.
#[test]
fn the_first_version_goes_while_a_clone_of_it_is_backed_up_and_a_third_borrows_from_the_clone() {
    let others = |repository: &Repository| {
        repository.delete(&chain(2), &[1]).unwrap();
        let mut session = repository.begin(&chain(4), "a third").unwrap();
        session.write(&content(), None, &Job::quiet()).unwrap();
        let third = session.commit(b"a card").unwrap();
        repository.delete(&chain(2), &[2]).unwrap();
        assert_restores(repository, &third, &content());
        repository.delete(&chain(4), &[third.version.seq]).unwrap();
    };
    at_every_call(borrow, others, |made, repository, memory| {
        assert_whole(&made.unwrap(), repository, memory);
    });
}

/// Two sweeps, one inside the other at every call.
#[test]
fn sweeps_of_a_shared_domain_do_not_disturb_each_other() {
    let clone = |repository: &Repository| borrow(repository).unwrap();
    let sweep = |repository: &Repository| {
        repository.reclaim(&chain(3)).unwrap();
    };
    let delete = |repository: &Repository| {
        let made = clone(repository);
        repository.delete(&chain(2), &[1, 2])?;
        Ok(made)
    };
    at_every_call(delete, sweep, |made, repository, memory| {
        assert_whole(&made.unwrap(), repository, memory);
    });
}
