//! Every fault at every call of every operation (P2, P3, P7, P14, P19, P20, P21).
//!
//! An operation runs with call 0, 1, 2 … failing, until it gets through without meeting the fault:
//! once with that one call failing, once with that and all later ones. Each time
//!
//! 1. success means that it has happened, an error is of the right kind and says so;
//! 2. what is there is what was before or what should be after, nothing between (healing alone may be
//!    done in part);
//! 3. the same process does it again when the fault is over, as its task would, and succeeds;
//! 4. a reclaim leaves nothing over, every byte checks, the next backup works, and all can go.
//!
//! Crashes at every call: `crash.rs`. Power cuts at every system call: `tests/sim`.

mod backend;
mod backups;
mod local;
mod operations;
mod process;
mod questions;
mod starts;

use std::fmt;

use cbr_store::{CheckDepth, Error, Job};

use self::operations::Operation;
use self::process::{Process, Seen, is_read_only, packs_in};
use crate::world::{CHAIN, Disk, backup_again};

/// No operation of these tests needs more calls.
const CALLS_MAX: u64 = 3000;

/// From here on no seed is that of a start: two processes never share their randomness.
const SEED: u64 = 1_000_000;

/// One run: which operation, which fault, where.
struct Case<'a> {
    operation: &'a Operation,
    fault: &'a dyn fmt::Debug,
    call: u64,
    from_then_on: bool,
}

impl fmt::Display for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, fault, call, from_then_on } = self;
        let when = if *from_then_on { " and every later one" } else { "" };
        write!(f, "{}, {fault:?} at call {call}{when}", operation.name)
    }
}

/// Does the operation in `process`, whose place fails it, and judges what came of it.
///
/// `heal` ends the fault; `look` opens what is there as a new process does. Whether the fault was met.
fn judge(
    case: &Case<'_>,
    process: &mut Process,
    is_right_kind: fn(&Error) -> bool,
    heal: &dyn Fn() -> bool,
    look: &dyn Fn() -> Process,
) -> bool {
    let Case { operation, .. } = case;
    let (before, after) = operation.before_and_after();
    let result = (operation.run)(process);
    if let Err(error) = &result {
        assert!(is_right_kind(error), "{case}: {error:?}");
        assert!(!error.to_string().is_empty(), "{case}: {error:?}");
    }
    let was_met = heal();
    assert!(was_met || result.is_ok(), "{case}: failed without a fault: {result:?}");

    let seen = look().seen();
    assert!(
        seen == after || result.is_err() && seen.is_on_the_way(&before, &after),
        "{case}: {result:?}, {seen:?}"
    );
    let again = (operation.run)(process).or_else(|error| {
        // A place that does not trust itself any more is opened again.
        assert!(is_read_only(&error), "{case}, again: {error:?}");
        *process = look();
        (operation.run)(process)
    });
    assert!(again.is_ok(), "{case}, again: {again:?}");
    let last = look();
    assert!(last.seen() == after, "{case}, again: {:?}", last.seen());
    nothing_is_left_over(case, &last, &after);
    was_met
}

/// P3: a sweep removes what the failure left, the next backup works, and then everything can go.
fn nothing_is_left_over(case: &Case<'_>, process: &Process, after: &Seen) {
    let repository = process.repository().unwrap();
    let chains = repository.chains().unwrap();
    let is_shredded = matches!(repository.versions(&CHAIN), Err(Error::Shredded { .. }));
    if !is_shredded {
        for chain in &chains {
            repository.reclaim(chain).unwrap();
        }
    }
    let is_whole = after.is_whole();
    let report = repository.check(CheckDepth::ReadData, &Job::quiet()).unwrap();
    assert!(report.is_clean() == is_whole, "{case}: {:#?}", report.problems);
    assert_eq!(report.unknown_objects, 0, "{case}");
    if is_shredded || !is_whole {
        return;
    }
    assert_eq!(report.leftover_bytes, 0, "{case}");
    let disk = Disk::of(&[71, 0, 72]);
    let made = backup_again(repository, "the next", &disk).unwrap();
    assert!(crate::world::restore(repository, made.version.seq, disk.0.len()).unwrap() == disk);
    for chain in repository.chains().unwrap() {
        let versions = repository.versions(&chain).unwrap();
        let seqs: Vec<u64> = versions.iter().map(|info| info.version.seq).collect();
        repository.delete(&chain, &seqs).unwrap();
        let trashed = repository.trashed(&chain).unwrap();
        let seqs: Vec<u64> = trashed.iter().map(|info| info.version.seq).collect();
        repository.purge(&chain, &seqs, None, "test").unwrap();
    }
    for chain in repository.chains().unwrap() {
        repository.reclaim(&chain).unwrap();
    }
    assert_eq!(packs_in(process.backend.as_ref()), 0, "{case}: packs leaked");
}

/// Runs every operation with `try_call` until it was not met, and says how many cases that made.
///
/// Only every `step`th call is failed, unless `CBR_EVERY_CALL` is set (`scripts/soak`); which ones differs
/// from operation to operation and from fault to fault, so that together they meet every one.
fn every_call(
    operations: &[Operation],
    fault: &dyn fmt::Debug,
    step: u64,
    try_call: &dyn Fn(&Case<'_>) -> bool,
) {
    let step = if std::env::var_os("CBR_EVERY_CALL").is_some() { 1 } else { step };
    let salt: u64 = format!("{fault:?}").bytes().map(u64::from).sum();
    let mut cases = 0_u64;
    for (number, operation) in (0..).zip(operations) {
        for from_then_on in [false, true] {
            let first = (salt + number + u64::from(from_then_on) * 2) % step;
            let mut call = first;
            while try_call(&Case { operation, fault, call, from_then_on }) {
                cases += 1;
                call += step;
                assert!(call < CALLS_MAX, "{} never gets through", operation.name);
            }
            assert!(call > first || step > 1, "{} makes no such call", operation.name);
        }
    }
    let line =
        format!("fail the Nth call, {fault:?}: {} operations, {cases} cases\n", operations.len());
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
}
