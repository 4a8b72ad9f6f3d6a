//! Crashes and failures at every call of the backend (P2, P3, P14, P21; I2, I13).
//!
//! A crash at call N: that call takes effect or does not, every later one fails, and a new process
//! goes on with what is there. Each test runs N = 0, 1, 2 … until the operation is through.

use std::collections::BTreeMap;
use std::sync::Arc;

use cbr_env::SeededRandom;
use cbr_store::backend::layer::{Fault, Faulty};
use cbr_store::backend::{Backend, MemoryBackend, Op};
use cbr_store::{Error, Repository, Result};

use crate::world::{
    CHAIN, Disk, Expected, Seeds, Start, assert_all_can_go, assert_no_leak, assert_versions,
    backup, backup_again, below, four_versions, open,
};

pub(crate) const CRASHES: [Fault; 2] = [Fault::CrashBefore, Fault::CrashAfter];
pub(crate) const FAILURES: [Fault; 4] =
    [Fault::Io, Fault::NoSpace, Fault::LostAnswer, Fault::LostRequest];
/// No operation of these tests needs more calls.
const CALLS_MAX: u64 = 2000;

fn empty() -> Start {
    Start { objects: BTreeMap::new(), expected: Expected::new() }
}

/// Runs `operation` again and again, failing it at call 0, 1, 2 …, and then `after` in a new process.
pub(crate) fn at_every_call(
    start: &Start,
    faults: &[Fault],
    operation: impl Fn(&Arc<dyn Backend>, &Seeds) -> Result<()>,
    after: impl Fn(&Repository, &Result<()>, &Expected),
) {
    for fault in faults {
        for call in 0..=CALLS_MAX {
            assert!(call < CALLS_MAX, "the operation never gets through");
            let memory = Arc::new(MemoryBackend::from_snapshot(start.objects.clone()));
            let faulty = Arc::new(Faulty::new(memory.clone()));
            let seeds = Seeds::new(call + 1);
            faulty.fail_call(call, *fault);
            let backend: Arc<dyn Backend> = faulty.clone();
            let result = operation(&backend, &seeds);
            let was_through = faulty.calls() <= call;
            let alive: Arc<dyn Backend> = memory.clone();
            let repository = open(&alive, &seeds).unwrap();
            after(&repository, &result, &start.expected);
            repository.reclaim(&CHAIN).unwrap();
            assert_no_leak(memory.as_ref());
            assert_all_can_go(&repository, &memory);
            if was_through {
                result.unwrap();
                break;
            }
        }
    }
}

/// What must hold after an interrupted backup: the task's next run makes it, once.
fn backup_is_there_once(disk: &Disk) -> impl Fn(&Repository, &Result<()>, &Expected) {
    let disk = disk.clone();
    move |repository, result, expected| {
        let found = repository.find_by_owner(&CHAIN, "task").unwrap();
        if result.is_ok() {
            assert!(found.is_some(), "a backup that reported success is there");
        }
        let mut expected = expected.clone();
        if let Some(found) = &found {
            expected.insert(found.version.seq, disk.clone());
        }
        assert_versions(repository, &expected);
        let version = backup_again(repository, "task", &disk).unwrap().version;
        assert!(found.is_none_or(|found| found.version == version), "made twice");
        expected.insert(version.seq, disk.clone());
        assert_versions(repository, &expected);
        let next = disk.with(3, 777);
        let info = backup(repository, "next", &next).unwrap();
        expected.insert(info.version.seq, next);
        assert_versions(repository, &expected);
    }
}

#[test]
fn a_crash_at_any_call_of_a_first_backup_loses_nothing_and_leaves_nothing() {
    let disk = Disk::of(&[1, 2, 0, 3]);
    at_every_call(
        &empty(),
        &CRASHES,
        |backend, seeds| backup(&open(backend, seeds)?, "task", &disk).map(drop),
        backup_is_there_once(&disk),
    );
}

#[test]
fn a_crash_at_any_call_of_an_increment_loses_nothing_and_leaves_nothing() {
    let start = four_versions();
    let disk = start.expected.values().last().unwrap().with(0, 50).with(6, 0);
    at_every_call(
        &start,
        &CRASHES,
        |backend, seeds| backup(&open(backend, seeds)?, "task", &disk).map(drop),
        backup_is_there_once(&disk),
    );
}

#[test]
fn a_crash_while_cleaning_up_after_a_crash_changes_nothing() {
    let mut start = four_versions();
    let disk = start.expected.values().last().unwrap().with(0, 50);
    // A process dies with everything written but the commit.
    let memory = Arc::new(MemoryBackend::from_snapshot(start.objects.clone()));
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open(&backend, &Seeds::new(77)).unwrap();
    let mut session = repository.begin(&CHAIN, "task").unwrap();
    session.write(&disk, None, &cbr_store::Job::quiet()).unwrap();
    drop(session);
    start.objects = memory.snapshot();
    at_every_call(
        &start,
        &CRASHES,
        |backend, seeds| {
            let repository = open(backend, seeds)?;
            repository.abort_unfinished(&CHAIN, "task")?;
            repository.reclaim(&CHAIN).map(drop)
        },
        |repository, _, expected| {
            repository.abort_unfinished(&CHAIN, "task").unwrap();
            assert_versions(repository, expected);
            assert!(repository.find_by_owner(&CHAIN, "task").unwrap().is_none());
        },
    );
}

/// After an interrupted deletion the deleted versions are all there or all gone; the next run
/// finishes it; the others are untouched (P3, P7).
fn deletion_finishes(seqs: &'static [u64]) -> impl Fn(&Repository, &Result<()>, &Expected) {
    move |repository, result, expected| {
        let listed = repository.versions(&CHAIN).unwrap();
        let left = listed.iter().filter(|info| seqs.contains(&info.version.seq)).count();
        assert!(left == 0 || left == seqs.len(), "deleted in part");
        assert!(left == 0 || result.is_err(), "a deletion that reported success is there");
        let mut expected = expected.clone();
        if left == 0 {
            expected.retain(|seq, _| !seqs.contains(seq));
        }
        assert_versions(repository, &expected);
        repository.delete(&CHAIN, seqs).unwrap();
        expected.retain(|seq, _| !seqs.contains(seq));
        assert_versions(repository, &expected);
        let disk = Disk::of(&[9, 9, 0, 3, 4, 5, 6, 8]);
        let info = backup(repository, "next", &disk).unwrap();
        expected.insert(info.version.seq, disk);
        assert_versions(repository, &expected);
    }
}

#[test]
fn a_crash_at_any_call_of_a_deletion_touches_no_other_version() {
    const CASES: [&[u64]; 4] = [&[1], &[2, 3], &[4], &[1, 2, 3]];
    for seqs in CASES {
        at_every_call(
            &four_versions(),
            &CRASHES,
            |backend, seeds| open(backend, seeds)?.delete(&CHAIN, seqs).map(drop),
            deletion_finishes(seqs),
        );
    }
}

/// One failing call, and the same process goes on as its task would.
#[test]
fn a_failure_at_any_call_of_a_backup_is_reported_or_harmless() {
    let start = four_versions();
    let disk = start.expected.values().last().unwrap().with(0, 50).with(6, 0);
    at_every_call(
        &start,
        &FAILURES,
        |backend, seeds| {
            let repository = open(backend, seeds)?;
            let first = backup(&repository, "task", &disk);
            if let Err(error) = &first {
                assert!(is_honest(error), "{error:?}");
                backup_again(&repository, "task", &disk).unwrap();
            }
            first.map(drop)
        },
        backup_is_there_once(&disk),
    );
}

#[test]
fn a_failure_at_any_call_of_a_deletion_is_reported_or_harmless() {
    const SEQS: &[u64] = &[2, 3];
    at_every_call(
        &four_versions(),
        &FAILURES,
        |backend, seeds| {
            let repository = open(backend, seeds)?;
            let first = repository.delete(&CHAIN, SEQS);
            if let Err(error) = &first {
                assert!(is_honest(error), "{error:?}");
                repository.delete(&CHAIN, SEQS).unwrap();
            }
            first.map(drop)
        },
        deletion_finishes(SEQS),
    );
}

/// A failing backend is not mistaken for damage, absence or a lost race.
fn is_honest(error: &Error) -> bool {
    matches!(error, Error::Backend(_))
}

/// P10, P21: a listing that lacks its second half stops a deletion before it removes what is needed.
#[test]
fn a_torn_answer_at_any_call_of_a_deletion_costs_no_other_version() {
    for seqs in [&[2u64, 3][..], &[4], &[1]] {
        for call in 0..=CALLS_MAX {
            let start = four_versions();
            let memory = Arc::new(MemoryBackend::from_snapshot(start.objects));
            let faulty = Arc::new(Faulty::new(memory.clone()));
            faulty.fail_call(call, Fault::Torn);
            let backend: Arc<dyn Backend> = faulty.clone();
            let seeds = Seeds::new(call + 1);
            let _ = open(&backend, &seeds).and_then(|r| r.delete(&CHAIN, seqs));
            let alive: Arc<dyn Backend> = memory.clone();
            let repository = open(&alive, &seeds).unwrap();
            for (seq, disk) in start.expected.iter().filter(|(seq, _)| !seqs.contains(seq)) {
                let restored = crate::world::restore(&repository, *seq, disk.0.len());
                assert!(restored.unwrap() == *disk, "call {call}, version {seq}");
            }
            if faulty.calls() <= call {
                break;
            }
        }
    }
}

/// P10, P21: a backend whose every listing lacks its second half, for a while. Whatever is done then,
/// nothing that is needed is gone afterwards.
#[test]
fn a_backend_that_lists_in_part_all_the_time_costs_no_version() {
    for seqs in [&[2u64, 3][..], &[4], &[1]] {
        let start = four_versions();
        let memory = Arc::new(MemoryBackend::from_snapshot(start.objects));
        let faulty = Arc::new(Faulty::new(memory.clone()));
        let backend: Arc<dyn Backend> = faulty.clone();
        let seeds = Seeds::new(1);
        let repository = open(&backend, &seeds).unwrap();
        faulty.only(Op::List);
        faulty.fail_all(Fault::Torn);
        assert!(repository.delete(&CHAIN, seqs).is_err(), "half a log is noticed");
        assert!(repository.reclaim(&CHAIN).is_err());
        // With a fold the log may be known in spite of it; then it is known rightly.
        if let Ok(versions) = repository.versions(&CHAIN) {
            let seqs = versions.iter().map(|info| info.version.seq);
            assert_eq!(
                seqs.collect::<Vec<_>>(),
                start.expected.keys().copied().collect::<Vec<_>>()
            );
        }
        if let Ok(session) = repository.begin(&CHAIN, "task") {
            assert_eq!(session.parent(), start.expected.keys().last().copied());
        }
        faulty.heal();
        assert_versions(&repository, &start.expected);
    }
}

/// P21: a backend that fails again and again at random; a task that tries again gets there.
#[test]
fn a_storm_of_failures_ends_with_the_right_versions() {
    for seed in 0..60 {
        let (memory, seeds) = (Arc::new(MemoryBackend::default()), Seeds::new(seed));
        let faulty = Arc::new(Faulty::new(memory.clone()));
        let backend: Arc<dyn Backend> = faulty.clone();
        faulty.fail_seeded(seed, 40, &FAILURES);
        let random = SeededRandom::new(seed);
        let mut expected = Expected::new();
        let mut disk = Disk::of(&[1, 2, 0, 3]);
        for n in 0..4 {
            let at = usize::try_from(below(&random, 4)).unwrap();
            disk = disk.with(at, below(&random, 5));
            let owner = format!("task {n}");
            let info = until_it_works(|| backup_again(&open(&backend, &seeds)?, &owner, &disk));
            expected.insert(info.version.seq, disk.clone());
            if n > 0 && below(&random, 2) == 0 {
                let all: Vec<u64> = expected.keys().copied().collect();
                let seq = all[usize::try_from(below(&random, all.len() as u64)).unwrap()];
                until_it_works(|| open(&backend, &seeds)?.delete(&CHAIN, &[seq]));
                expected.remove(&seq);
            }
        }
        faulty.heal();
        let repository = open(&backend, &seeds).unwrap();
        assert_versions(&repository, &expected);
        repository.reclaim(&CHAIN).unwrap();
        assert_no_leak(memory.as_ref());
        assert_all_can_go(&repository, &memory);
    }
}

fn until_it_works<T>(operation: impl Fn() -> Result<T>) -> T {
    const ATTEMPTS_MAX: usize = 500;
    for _ in 0..ATTEMPTS_MAX {
        match operation() {
            Ok(value) => return value,
            Err(error) => assert!(error.is_transient(), "{error:?}"),
        }
    }
    panic!("it never works");
}
