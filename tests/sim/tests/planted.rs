//! Every planted mistake is caught: the net has no holes (docs/reliability.md).
//!
//! `cargo test -p cbr-sim --features planted-bugs --test planted -- --nocapture` prints the table;
//! `CBR_PLANTED=Trash,Fold` runs those whose names have one of these words, `CBR_PLANTED_SEEDS` and
//! `CBR_PLANTED_THREADS` bound the search and the cores it takes.

use std::io::Write;

use cbr_sim::campaign::{Summary, campaign_until};
use cbr_sim::crash::crash_states;
use cbr_store::planted::{Bug, wake};

/// Seeds within which a mistake must show.
const SEEDS_MAX: u64 = 10_000;
/// Failures by other checkers after which the search ends.
const OTHERS_MAX: usize = 15;

/// Mistakes that show in what happens, and words of the checkers that may see them.
const IN_SEEDS: &[(Bug, &[&str])] = &[
    (Bug::ParentSeenBeforeClaim, &["is not there", "it is damaged", "is committed, but"]),
    (Bug::VerdictIgnored, &["was told that it made", "are lost"]),
    (Bug::SilentSessionIsDead, &["under the session that writes it"]),
    (Bug::PartialListBelieved, &["is not listed", "is listed"]),
    (Bug::FailedListIsEmpty, &["is listed", "was deleted, and restores", "is not there"]),
    (Bug::UploadUnchecked, &["is not there", "cannot be read"]),
    (Bug::FreedBytesWrong, &["reported"]),
    (Bug::CompactionDropsSlot, &["needs its slot", "it is damaged"]),
    (Bug::ProofSkipped, &["cannot be read", "is committed, but"]),
    (Bug::PinsIgnored, &["needs its slot"]),
    (Bug::DeathsWithoutLineage, &["needs its slot", "refusing to delete"]),
    (Bug::AbortedKept, &["packs of no version", "nobody needs"]),
    (Bug::UnknownIsCreated, &["on another's claim", "was told that it made", "is not there"]),
    (Bug::LossForgotten, &["wrongly"]),
    (Bug::HolesNotZeroed, &["wrongly"]),
    (Bug::RemovedBeforeRewritten, &["needs its slot", "it is damaged"]),
    (Bug::DeletionsReadLast, &["needs its slot", "is not there", "does not fit the others"]),
    (Bug::StaleIndexKept, &["does not restore"]),
    (Bug::RetireLogIgnored, &["is not there", "needs its slot"]),
    (Bug::OpenBorrowerIgnored, &["is not there"]),
    (Bug::RetiredAfterClaims, &["is not there", "needs its slot"]),
    (Bug::PatchUnproven, &["has something else"]),
    (Bug::UndoRemovesOthers, &["its pack is needed"]),
    (Bug::DistrustIgnored, &["builds on known damage"]),
    (Bug::ArbiterAnswerIgnored, &["is overwritten with something else"]),
    (Bug::KeyRetiredEarly, &["is the last one", "no other one opens everything"]),
    (Bug::FoldHidesDeletion, &["is listed", "is there again", "it is damaged"]),
    (Bug::FirstPageOnly, &["is not listed", "are lost", "without a fault"]),
    (Bug::BrokenListBelieved, &["is listed", "is not listed", "is not there", "false alarm"]),
    (Bug::NewChainUnknown, &["false alarm"]),
    (
        Bug::TwoMakersOfKeys,
        &["another key of the same number", "cannot be read", "is the last one"],
    ),
    (Bug::PurgeOutlivesUndelete, &["needs its slot", "are lost", "was to be one of"]),
    (Bug::TrashIsGarbage, &["needs its slot"]),
    (Bug::NotedTwice, &["two notes of"]),
];

/// Mistakes that show when the power is cut.
const IN_POWER_CUTS: &[Bug] =
    &[Bug::NoDirectorySync, Bug::NoFileSync, Bug::ParentDirectoryNotSynced];

#[test]
fn every_planted_mistake_is_caught() {
    let (seeds_max, threads) = (number("CBR_PLANTED_SEEDS"), number("CBR_PLANTED_THREADS"));
    let (seeds_max, threads) = (seeds_max.unwrap_or(SEEDS_MAX), threads.unwrap_or(2));
    let mut missed = Vec::new();
    for (bug, words) in IN_SEEDS.iter().filter(|(bug, _)| is_wanted(*bug)) {
        // The right checker sees it, whatever else goes wrong in consequence.
        let is_meant = |violations: &[String]| {
            violations.iter().any(|what| words.iter().any(|words| what.contains(words)))
        };
        let is_enough = |summary: &Summary| {
            let mut failures = summary.failures.iter();
            failures.any(|(_, violations)| is_meant(violations))
                || summary.failures.len() >= OTHERS_MAX
        };
        wake(Some(*bug));
        let summary = campaign_until(0..seeds_max, usize::try_from(threads).unwrap(), is_enough);
        wake(None);
        let meant = summary.failures.iter().find(|(_, violations)| is_meant(violations));
        let shown = meant.or(summary.failures.first());
        let what = shown.map_or("missed", |(_, violations)| violations[0].as_str());
        say(*bug, "seeds", meant.map_or(summary.seeds, |(seed, _)| seed + 1), what);
        missed.extend(meant.is_none().then_some(*bug));
    }
    for bug in IN_POWER_CUTS.iter().filter(|bug| is_wanted(**bug)) {
        wake(Some(*bug));
        let summary = crash_states(4, 3, usize::try_from(threads).unwrap());
        wake(None);
        let what = summary.failures.first().map_or("missed", String::as_str);
        say(*bug, "states", summary.states, what);
        missed.extend(summary.failures.is_empty().then_some(*bug));
    }
    assert!(missed.is_empty(), "not caught, or not by the right checker: {missed:?}");
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

/// Whether the mistake is among those that are asked for; usually all are.
fn is_wanted(bug: Bug) -> bool {
    let name = format!("{bug:?}");
    std::env::var("CBR_PLANTED")
        .map_or(true, |words| words.split(',').any(|word| name.contains(word)))
}

/// One line of the table; names of objects are left out.
fn say(bug: Bug, unit: &str, count: u64, what: &str) {
    let is_name = |word: &&str| word.contains('/') && word.len() > 40;
    let words: Vec<&str> = what.split(' ').filter(|word| !is_name(word)).collect();
    let what: String = words.join(" ").chars().take(150).collect();
    let line = format!("planted {bug:?}: {count} {unit}: {what}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}
