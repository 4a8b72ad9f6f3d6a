//! Every planted mistake is caught: the net has no holes (docs/reliability.md).
//!
//! `cargo test -p cbr-sim --features planted-bugs --test planted -- --nocapture` prints the table.

use std::io::Write;

use cbr_sim::campaign::campaign;
use cbr_sim::crash::crash_states;
use cbr_store::planted::{Bug, wake};

/// Seeds within which a mistake must show.
const SEEDS_MAX: u64 = 10_000;

/// Mistakes that show in what happens.
const IN_SEEDS: &[Bug] = &[
    Bug::ParentSeenBeforeClaim,
    Bug::VerdictIgnored,
    Bug::SilentSessionIsDead,
    Bug::PartialListBelieved,
    Bug::FailedListIsEmpty,
    Bug::UploadUnchecked,
    Bug::FreedBytesWrong,
    Bug::CompactionDropsSlot,
    Bug::ProofSkipped,
    Bug::PinsIgnored,
    Bug::DeathsWithoutLineage,
    Bug::AbortedKept,
    Bug::UnknownIsCreated,
    Bug::LossForgotten,
    Bug::HolesNotZeroed,
    Bug::RemovedBeforeRewritten,
    Bug::DeletionsReadLast,
    Bug::StaleIndexKept,
];

/// Mistakes that show when the power is cut.
const IN_POWER_CUTS: &[Bug] =
    &[Bug::NoDirectorySync, Bug::NoFileSync, Bug::ParentDirectoryNotSynced];

#[test]
fn every_planted_mistake_is_caught() {
    let mut missed = Vec::new();
    for bug in IN_SEEDS {
        wake(Some(*bug));
        let summary = campaign(0..SEEDS_MAX, 2, 1);
        wake(None);
        let first = summary.failures.first();
        let what = first.map_or("missed", |(_, violations)| violations[0].as_str());
        say(*bug, "seeds", first.map_or(SEEDS_MAX, |(seed, _)| seed + 1), what);
        missed.extend(first.is_none().then_some(*bug));
    }
    for bug in IN_POWER_CUTS {
        wake(Some(*bug));
        let summary = crash_states(4, 3, 2);
        wake(None);
        let what = summary.failures.first().map_or("missed", String::as_str);
        say(*bug, "states", summary.states, what);
        missed.extend(summary.failures.is_empty().then_some(*bug));
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

fn say(bug: Bug, unit: &str, count: u64, what: &str) {
    let what: String = what.chars().take(150).collect();
    let line = format!("planted {bug:?}: {count} {unit}: {what}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}
