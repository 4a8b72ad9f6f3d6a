//! Two processes on one chain: at every call of the one, the other runs from start to end
//! (P7, P9, P14; I3, I4).
//!
//! Not every interleaving, but every one with a single switch, and that is where protocols that
//! look before they leap break: whatever A has seen before the switch may be false after it.

use std::sync::{Arc, Mutex};

use cbr_store::backend::layer::Switching;
use cbr_store::backend::{Backend, MemoryBackend};
use cbr_store::{CheckDepth, Job, Repository, Result};

use crate::world::{
    CHAIN, Disk, Expected, Seeds, Start, assert_all_can_go, assert_no_leak, assert_versions,
    backup, backup_again, four_versions, open, restore,
};

const CALLS_MAX: u64 = 2000;

/// What came of one interleaving.
pub(crate) struct Outcome<A, B> {
    /// What A returned.
    pub(crate) a: Result<A>,
    /// What B returned.
    pub(crate) b: Result<B>,
    pub(crate) repository: Repository,
    memory: Arc<MemoryBackend>,
    /// The versions before either ran.
    pub(crate) before: Expected,
}

/// Runs A again and again on the same four versions; before its call 0, 1, 2 … B runs.
pub(crate) fn at_every_call<A, B: Send + 'static>(
    a: impl Fn(&Repository) -> Result<A>,
    b: impl Fn(&Repository) -> Result<B> + Clone + Send + 'static,
    after: impl Fn(Outcome<A, B>),
) {
    at_every_call_from(&four_versions(), a, b, after);
}

/// The same, from any start.
pub(crate) fn at_every_call_from<A, B: Send + 'static>(
    start: &Start,
    a: impl Fn(&Repository) -> Result<A>,
    b: impl Fn(&Repository) -> Result<B> + Clone + Send + 'static,
    after: impl Fn(Outcome<A, B>),
) {
    for at in 0..=CALLS_MAX {
        assert!(at < CALLS_MAX, "the operation never gets through");
        let memory = Arc::new(MemoryBackend::from_snapshot(start.objects.clone()));
        let alone: Arc<dyn Backend> = memory.clone();
        let answer: Arc<Mutex<Option<Result<B>>>> = Arc::default();
        let switching = Switching::new(Arc::clone(&alone));
        switching.before_call(at, {
            let (b, alone, answer) = (b.clone(), Arc::clone(&alone), Arc::clone(&answer));
            move || {
                let repository = open(&alone, &Seeds::new(7000 + at)).unwrap();
                *answer.lock().unwrap() = Some(b(&repository));
            }
        });
        let backend: Arc<dyn Backend> = Arc::new(switching);
        let a = a(&open(&backend, &Seeds::new(8000 + at)).unwrap());
        let Some(b) = answer.lock().unwrap().take() else { break };
        let repository = open(&alone, &Seeds::new(9000 + at)).unwrap();
        let before = start.expected.clone();
        after(Outcome { a, b, repository, memory, before });
    }
}

impl<A, B> Outcome<A, B> {
    /// Exactly these versions are there, nothing else is left, and everything can go.
    pub(crate) fn finish(self, expected: &Expected) {
        assert_versions(&self.repository, expected);
        self.repository.reclaim(&CHAIN).unwrap();
        assert_versions(&self.repository, expected);
        assert_no_leak(self.memory.as_ref());
        assert_all_can_go(&self.repository, &self.memory);
    }
}

pub(crate) fn new_disk() -> Disk {
    four_versions().expected.values().last().unwrap().with(0, 50).with(6, 0)
}

/// P9: a backup and a deletion of whatever it builds on.
#[test]
fn a_backup_survives_any_deletion_in_its_middle() {
    const CASES: [&[u64]; 4] = [&[4], &[1], &[2, 3], &[1, 2, 3, 4]];
    for seqs in CASES {
        let disk = new_disk();
        at_every_call(
            |repository| backup(repository, "task", &disk),
            |repository| repository.delete(&CHAIN, seqs),
            |outcome| {
                let mut expected = outcome.before.clone();
                expected.retain(|seq, _| !seqs.contains(seq));
                outcome.b.as_ref().unwrap();
                let version = outcome.a.as_ref().unwrap().version;
                expected.insert(version.seq, disk.clone());
                outcome.finish(&expected);
            },
        );
    }
}

/// P9, P7: a deletion and a whole backup that begins after the deletion has looked.
#[test]
fn a_deletion_harms_no_backup_that_begins_and_ends_in_its_middle() {
    const CASES: [&[u64]; 3] = [&[4], &[1, 2], &[1, 2, 3, 4]];
    for seqs in CASES {
        at_every_call(
            |repository| repository.delete(&CHAIN, seqs),
            |repository| backup(repository, "task", &new_disk()),
            |outcome| {
                let mut expected = outcome.before.clone();
                let version = outcome.b.as_ref().unwrap().version;
                expected.insert(version.seq, new_disk());
                outcome.a.as_ref().unwrap();
                expected.retain(|seq, _| !seqs.contains(seq));
                outcome.finish(&expected);
            },
        );
    }
}

/// P14: a worker that sleeps while another takes its task over never makes a second version.
#[test]
fn of_a_sleeping_worker_and_the_one_that_took_over_exactly_one_commits() {
    let disk = new_disk();
    at_every_call(
        |repository| backup(repository, "task", &disk),
        |repository| backup_again(repository, "task", &new_disk()),
        |outcome| {
            let mut expected = outcome.before.clone();
            let taken_over = outcome.b.as_ref().unwrap().version;
            expected.insert(taken_over.seq, disk.clone());
            if let Ok(own) = &outcome.a {
                // Before its claim the first worker had done nothing yet: it makes one more, which
                // only the task's own record could prevent.
                let is_same = own.version == taken_over;
                assert!(is_same || own.parent == Some(taken_over.seq), "{own:?}");
                expected.insert(own.version.seq, disk.clone());
            }
            outcome.finish(&expected);
        },
    );
}

/// P9: two deletions and their compactions at once.
#[test]
fn two_deletions_at_once_delete_both_and_nothing_else() {
    const CASES: [(&[u64], &[u64]); 3] = [(&[1], &[2]), (&[2], &[2, 4]), (&[1, 2, 3], &[4])];
    for (ours, theirs) in CASES {
        at_every_call(
            |repository| repository.delete(&CHAIN, ours),
            |repository| repository.delete(&CHAIN, theirs),
            |outcome| {
                outcome.b.as_ref().unwrap();
                outcome.a.as_ref().unwrap();
                let mut expected = outcome.before.clone();
                expected.retain(|seq, _| !ours.contains(seq) && !theirs.contains(seq));
                outcome.finish(&expected);
            },
        );
    }
}

/// P9: a plan is made and carried out; between any two calls a whole backup begins and ends, or
/// somebody else deletes, or does the same.
#[test]
fn a_plan_that_is_overtaken_at_any_call_costs_no_version() {
    type Other = fn(&Repository) -> Result<Option<u64>>;
    let others: [Other; 3] = [
        |repository| {
            repository.abort_unfinished(&CHAIN, "dies")?;
            backup(repository, "task", &new_disk()).map(|made| Some(made.version.seq))
        },
        |repository| repository.delete(&CHAIN, &[2]).map(|_| None),
        |repository| collect(repository).map(|()| None),
    ];
    for (n, other) in others.into_iter().enumerate() {
        at_every_call(
            |repository| {
                repository.delete(&CHAIN, &[1, 3])?;
                // A session that dies leaves something to collect.
                drop(repository.begin(&CHAIN, "dies")?);
                repository.abort_unfinished(&CHAIN, "dies")?;
                collect(repository)
            },
            other,
            move |outcome| {
                let made = *outcome.b.as_ref().unwrap();
                let mut expected = outcome.before.clone();
                expected.retain(|seq, _| ![1, 3].contains(seq) && (n != 1 || *seq != 2));
                expected.extend(made.map(|seq| (seq, new_disk())));
                outcome.a.as_ref().unwrap();
                outcome.finish(&expected);
            },
        );
    }
}

fn collect(repository: &Repository) -> Result<()> {
    let mut plan = repository.plan_reclaim(None)?;
    if let Some((_, error)) = plan.blocked.pop() {
        return Err(error);
    }
    let freed = repository.execute(&plan, false, &Job::quiet())?;
    assert_eq!(freed.rescued_packs, 0);
    Ok(())
}

/// P1, P7: a restore while other versions are deleted and their packs rewritten under it.
#[test]
fn a_restore_is_not_disturbed_by_the_deletion_of_other_versions() {
    for kept in [1u64, 2, 4] {
        let disk = four_versions().expected[&kept].clone();
        at_every_call(
            |repository| restore(repository, kept, disk.0.len()),
            move |repository| {
                let others: Vec<u64> = (1..=4).filter(|seq| *seq != kept).collect();
                repository.delete(&CHAIN, &others)
            },
            |outcome| {
                assert!(*outcome.a.as_ref().unwrap() == disk);
                let expected = [(kept, disk.clone())].into();
                outcome.finish(&expected);
            },
        );
    }
}

/// A check beside a server that works finds nothing wrong where nothing is wrong.
#[test]
fn a_check_takes_neither_a_deletion_nor_a_backup_in_its_middle_for_damage() {
    type Other = fn(&Repository) -> Result<()>;
    let deletion: Other = |repository| repository.delete(&CHAIN, &[1, 2, 4]).map(drop);
    let everything: Other = |repository| repository.delete(&CHAIN, &[1, 2, 3, 4]).map(drop);
    let addition: Other = |repository| backup(repository, "task", &new_disk()).map(drop);
    for depth in [CheckDepth::Structure, CheckDepth::ReadData] {
        for other in [deletion, everything, addition] {
            at_every_call(
                |repository| repository.check(depth, &Job::quiet()),
                other,
                |outcome| {
                    outcome.b.as_ref().unwrap();
                    let report = outcome.a.as_ref().unwrap();
                    assert!(report.is_clean(), "{report:?}");
                },
            );
        }
    }
}
