//! Versions that are deleted and taken back, or given up, with a crash or somebody else at every call
//! (P2, P3, P7, P9, P14; I3, I4, I5).

use std::sync::Arc;

use cbr_store::backend::{Backend, LocalBackend, LocalOptions, MemoryBackend};
use cbr_store::format::place::Place;
use cbr_store::{CheckDepth, Error, Job, Repository};

use crate::crash::{CRASHES, FAILURES, at_every_call};
use crate::golden::restored_by_reader;
use crate::interleaving::{at_every_call_from, new_disk};
use crate::world::{
    CHAIN, Disk, Expected, Seeds, Start, assert_all_can_go, assert_versions, backup, four_versions,
    master, open, options, packs, restore,
};

/// Two versions in the middle, and with them the head.
const CASES: [&[u64]; 4] = [&[1], &[2, 3], &[4], &[1, 2, 3, 4]];

/// Four versions, of which `seqs` are in the trash; all four are expected.
fn with_trash(seqs: &[u64]) -> Start {
    let start = four_versions();
    let memory = Arc::new(MemoryBackend::from_snapshot(start.objects));
    let backend: Arc<dyn Backend> = memory.clone();
    open(&backend, &Seeds::new(500)).unwrap().trash(&CHAIN, seqs, None, "test").unwrap();
    Start { objects: memory.snapshot(), expected: start.expected }
}

fn without(expected: &Expected, seqs: &[u64]) -> Expected {
    let left = expected.iter().filter(|(seq, _)| !seqs.contains(seq));
    left.map(|(seq, disk)| (*seq, disk.clone())).collect()
}

/// These are in the trash: not listed, not read, and nothing of them is lacking or wrong.
fn assert_trashed(repository: &Repository, expected: &Expected, seqs: &[u64]) {
    assert_versions(repository, &without(expected, seqs));
    let trashed = repository.trashed(&CHAIN).unwrap();
    assert_eq!(trashed.iter().map(|info| info.version.seq).collect::<Vec<_>>(), seqs);
    for seq in seqs {
        let read = restore(repository, *seq, expected[seq].0.len());
        assert!(matches!(read, Err(Error::InTrash { .. })), "{read:?}");
    }
    repository.reclaim(&CHAIN).unwrap();
    let report = repository.check(CheckDepth::ReadData, &Job::quiet()).unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
    assert_eq!(report.versions, expected.len() as u64, "what is in the trash is checked too");
    let audit = repository.audit(&Job::quiet()).unwrap();
    assert!(audit.is_right() && audit.chains[0].versions == expected.len() as u64, "{audit:?}");
}

#[test]
fn a_crash_at_any_call_of_a_deletion_into_the_trash_loses_nothing() {
    for seqs in CASES {
        at_every_call(
            &four_versions(),
            &CRASHES,
            |backend, seeds| open(backend, seeds)?.trash(&CHAIN, seqs, None, "test"),
            |repository, result, expected| {
                let left = repository.trashed(&CHAIN).unwrap().len();
                assert!(left == 0 && result.is_err() || left == seqs.len(), "all or nothing");
                repository.trash(&CHAIN, seqs, None, "again").unwrap();
                assert_trashed(repository, expected, seqs);
                repository.undelete(&CHAIN, seqs, None, "test").unwrap();
                assert_versions(repository, expected);
            },
        );
    }
}

#[test]
fn a_crash_at_any_call_of_taking_back_leaves_it_deleted_or_whole() {
    for seqs in CASES {
        at_every_call(
            &with_trash(seqs),
            &CRASHES,
            |backend, seeds| open(backend, seeds)?.undelete(&CHAIN, seqs, None, "test"),
            |repository, result, expected| {
                let left = repository.trashed(&CHAIN).unwrap().len();
                assert!(left == seqs.len() && result.is_err() || left == 0, "all or nothing");
                repository.undelete(&CHAIN, seqs, None, "again").unwrap();
                assert_versions(repository, expected);
            },
        );
    }
}

/// I5 too: what was foreseen of the trash is what goes, also when it takes two attempts.
#[test]
fn a_crash_at_any_call_of_a_purge_touches_no_other_version() {
    for seqs in CASES {
        let start = with_trash(seqs);
        let memory = Arc::new(MemoryBackend::from_snapshot(start.objects.clone()));
        let backend: Arc<dyn Backend> = memory.clone();
        let foreseen = open(&backend, &Seeds::new(1)).unwrap().trash_bytes(&CHAIN).unwrap();
        assert!(foreseen > 0);
        at_every_call(
            &start,
            &CRASHES,
            |backend, seeds| open(backend, seeds)?.purge(&CHAIN, seqs, None, "test").map(drop),
            |repository, _, expected| {
                let freed = repository.purge(&CHAIN, seqs, None, "again").unwrap();
                assert_eq!(freed.freed_bytes, foreseen);
                assert_versions(repository, &without(expected, seqs));
                let late = repository.undelete(&CHAIN, seqs, None, "test");
                assert!(matches!(late, Err(Error::NoSuchVersion { .. })), "{late:?}");
                assert_eq!(repository.trash_bytes(&CHAIN).unwrap(), 0);
            },
        );
    }
}

#[test]
fn a_failure_at_any_call_is_reported_or_harmless() {
    const SEQS: &[u64] = &[2, 4];
    at_every_call(
        &four_versions(),
        &FAILURES,
        |backend, seeds| {
            let repository = open(backend, seeds).or_else(|_| open(backend, seeds))?;
            let until = |work: &dyn Fn() -> cbr_store::Result<()>| {
                work().or_else(|error| {
                    assert!(error.is_transient(), "{error:?}");
                    work()
                })
            };
            until(&|| repository.trash(&CHAIN, SEQS, None, "test"))?;
            until(&|| repository.undelete(&CHAIN, &[2], None, "test"))?;
            until(&|| repository.purge(&CHAIN, SEQS, None, "test").map(drop))
        },
        |repository, result, expected| {
            result.as_ref().unwrap();
            assert_versions(repository, &without(expected, &[4]));
        },
    );
}

/// P9, I4: of a purge and a taking back at once one wins, whichever call of one the other runs at; what
/// was acknowledged as taken back is there, whole.
#[test]
fn of_a_purge_and_a_taking_back_the_record_that_was_first_wins() {
    for seqs in CASES {
        let start = with_trash(seqs);
        let is_back = |repository: &Repository, taken_back: &cbr_store::Result<()>| {
            let is_back = taken_back.is_ok();
            if let Err(error) = taken_back {
                assert!(matches!(error, Error::NoSuchVersion { .. }), "{error:?}");
            }
            assert_eq!(repository.trashed(&CHAIN).unwrap().len(), 0);
            is_back
        };
        at_every_call_from(
            &start,
            |repository| repository.purge(&CHAIN, seqs, None, "purge"),
            |repository| repository.undelete(&CHAIN, seqs, None, "undelete"),
            |outcome| {
                let is_back = is_back(&outcome.repository, &outcome.b);
                assert_eq!(outcome.a.as_ref().unwrap().freed_bytes == 0, is_back);
                let gone = if is_back { &[] } else { seqs };
                let expected = without(&outcome.before, gone);
                outcome.finish(&expected);
            },
        );
        at_every_call_from(
            &start,
            |repository| repository.undelete(&CHAIN, seqs, None, "undelete"),
            |repository| repository.purge(&CHAIN, seqs, None, "purge"),
            |outcome| {
                let is_back = is_back(&outcome.repository, &outcome.a);
                assert_eq!(outcome.b.as_ref().unwrap().freed_bytes == 0, is_back);
                let gone = if is_back { &[] } else { seqs };
                let expected = without(&outcome.before, gone);
                outcome.finish(&expected);
            },
        );
    }
}

/// P7, P9: a backup builds on what is being deleted, and on what is in the trash, and both are whole
/// when it is taken back.
#[test]
fn a_backup_and_a_deletion_into_the_trash_hurt_each_other_at_no_call() {
    for seqs in CASES {
        at_every_call_from(
            &four_versions(),
            |repository| backup(repository, "task", &new_disk()),
            |repository| repository.trash(&CHAIN, seqs, None, "test"),
            |outcome| {
                outcome.b.as_ref().unwrap();
                let made = outcome.a.as_ref().unwrap();
                assert_eq!(made.parent, Some(4), "the lineage stays one line");
                let mut expected = outcome.before.clone();
                expected.insert(made.version.seq, new_disk());
                assert_trashed(&outcome.repository, &expected, seqs);
                outcome.repository.undelete(&CHAIN, seqs, None, "test").unwrap();
                outcome.finish(&expected);
            },
        );
    }
}

/// P9: a backup begins on the head, which is in the trash, and the trash is purged meanwhile.
#[test]
fn a_backup_survives_a_purge_of_what_it_builds_on() {
    for seqs in [&[4u64][..], &[1, 2, 3, 4]] {
        at_every_call_from(
            &with_trash(seqs),
            |repository| backup(repository, "task", &new_disk()),
            |repository| repository.purge(&CHAIN, seqs, None, "test"),
            |outcome| {
                outcome.b.as_ref().unwrap();
                let mut expected = without(&outcome.before, seqs);
                expected.insert(outcome.a.as_ref().unwrap().version.seq, new_disk());
                outcome.finish(&expected);
            },
        );
    }
}

/// P14: whoever sleeps over a deletion and does it once more undoes nothing that was done after it.
#[test]
fn what_was_moved_after_the_mark_is_left_alone() {
    let start = four_versions();
    let memory = Arc::new(MemoryBackend::from_snapshot(start.objects.clone()));
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open(&backend, &Seeds::new(1)).unwrap();
    let before = repository.mark(&CHAIN).unwrap();
    repository.trash(&CHAIN, &[2], Some(before), "task 1").unwrap();
    let trashed = repository.mark(&CHAIN).unwrap();
    repository.undelete(&CHAIN, &[2], Some(trashed), "task 2").unwrap();
    repository.trash(&CHAIN, &[2], Some(before), "task 1 wakes up").unwrap();
    assert_versions(&repository, &start.expected);
    // It is deleted again; the purge that was due for the first time does not mean this one.
    repository.trash(&CHAIN, &[2], None, "task 3").unwrap();
    let freed = repository.purge(&CHAIN, &[2], Some(trashed), "late").unwrap();
    assert_eq!((freed.freed_bytes, freed.removed_object_bytes), (0, 0));
    assert_trashed(&repository, &start.expected, &[2]);
    let late = repository.undelete(&CHAIN, &[2], Some(trashed), "task 2 wakes up");
    assert!(matches!(late, Err(Error::InTrash { .. })), "{late:?}");
    let never = repository.trash(&CHAIN, &[2, 9], None, "test");
    assert!(matches!(never, Err(Error::NoSuchVersion { seq: 9, .. })), "{never:?}");
    let long = repository.undelete(&CHAIN, &[2], None, &"x".repeat(5000));
    assert!(matches!(long, Err(Error::Invalid { .. })), "nobody could read the record: {long:?}");
    assert_all_can_go(&repository, &memory);
}

/// P5: what is damaged in the trash is reported, and a backup that has the blocks heals it.
#[test]
fn damage_in_the_trash_is_named_and_healed() {
    let start = with_trash(&[4]);
    let memory = Arc::new(MemoryBackend::from_snapshot(start.objects.clone()));
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open(&backend, &Seeds::new(1)).unwrap();
    let is_data = |key: &&cbr_store::backend::Key| {
        matches!(Place::parse(key), Some(Place::Pack(pack, _))
            if pack.kind == cbr_store::format::id::PackKind::Data)
    };
    for key in packs(memory.as_ref()).iter().filter(is_data) {
        let mut wrong = start.objects[key].clone();
        wrong[70] ^= 1;
        memory.overwrite(key, wrong);
    }
    let report = repository.check(CheckDepth::ReadData, &Job::quiet()).unwrap();
    let hurt = report.problems.iter().flat_map(|problem| &problem.affected);
    assert!(hurt.map(|one| one.version.seq).any(|seq| seq == 4), "{:?}", report.problems);
    let spots: Vec<_> = report.problems.iter().filter_map(|problem| problem.spot).collect();
    for disk in start.expected.values().rev() {
        let mut session = repository.begin(&CHAIN, "heals").unwrap();
        session.distrust(&spots);
        session.write(disk, None, &Job::quiet()).unwrap();
        session.abort().unwrap();
    }
    repository.undelete(&CHAIN, &[4], None, "test").unwrap();
    assert_versions(&repository, &start.expected);
}

/// BAK-31: to the tenant the next backup is a first one, though it stores little.
#[test]
fn after_all_was_deleted_the_next_backup_counts_as_the_first() {
    let seqs = [1, 2, 3, 4];
    let start = with_trash(&seqs);
    let memory = Arc::new(MemoryBackend::from_snapshot(start.objects));
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open(&backend, &Seeds::new(1)).unwrap();
    let disk = start.expected[&4].with(0, 50);
    let mut session = repository.begin(&CHAIN, "task").unwrap();
    assert!(session.is_first() && session.parent() == Some(4));
    session.write(&disk, None, &Job::quiet()).unwrap();
    let made = session.commit(b"").unwrap();
    assert_eq!(made.logical_bytes, made.used_bytes);
    assert!(made.added_bytes < made.used_bytes / 4, "one block is new: {made:?}");
    let purged = repository.purge(&CHAIN, &seqs, None, "test").unwrap();
    assert!(purged.freed_bytes > 0);
    assert_versions(&repository, &[(5, disk)].into());
    assert_all_can_go(&repository, &memory);
}

/// P8: a reader written from the page of the format alone sees the trash as the engine does.
#[test]
fn an_independent_reader_knows_the_trash() {
    let directory = tempfile::tempdir().unwrap();
    let backend: Arc<dyn Backend> =
        Arc::new(LocalBackend::create(directory.path(), LocalOptions::default()).unwrap());
    let repository =
        Repository::init(backend, master(), Seeds::new(1).random(), options()).unwrap();
    let disks = [Disk::of(&[1, 2, 3]), Disk::of(&[1, 5, 3]), Disk::of(&[1, 5, 6])];
    for disk in &disks {
        backup(&repository, "task", disk).unwrap();
    }
    repository.trash(&CHAIN, &[1, 2, 3], None, "test").unwrap();
    repository.undelete(&CHAIN, &[1, 3], None, "test").unwrap();
    repository.trash(&CHAIN, &[3], None, "test").unwrap();
    repository.purge(&CHAIN, &[3], None, "test").unwrap();
    let outputs = tempfile::tempdir().unwrap();
    let read = |seq| restored_by_reader(directory.path(), &master(), seq, outputs.path());
    if let Some(found) = read(1) {
        assert!(found.unwrap() == disks[0].0);
        assert!(read(2).unwrap().is_err(), "in the trash");
        assert!(read(3).unwrap().is_err(), "gone");
    }
}
