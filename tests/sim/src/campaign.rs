//! Many seeds, on all cores, and what they showed.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::coverage::Coverage;
use crate::plan::Plan;
use crate::run::run;

/// One of so many seeds is run twice.
const TWICE_ONE_IN: u64 = 100;
/// Failures that are kept.
const FAILURES_MAX: usize = 20;

/// What a campaign showed.
#[derive(Debug, Default)]
pub struct Summary {
    /// How many seeds ran.
    pub seeds: u64,
    /// The seeds that failed, and how.
    pub failures: Vec<(u64, Vec<String>)>,
    /// Which rare states were reached.
    pub coverage: Coverage,
    /// How many seeds were run twice.
    pub twice: u64,
}

/// Runs all of `seeds`, or until `failures_max` of them failed.
pub fn campaign(seeds: Range<u64>, threads: usize, failures_max: usize) -> Summary {
    campaign_until(seeds, threads, |summary| summary.failures.len() >= failures_max)
}

/// Runs all of `seeds`, or until `is_enough`, which is asked after each of them.
pub fn campaign_until(
    seeds: Range<u64>,
    threads: usize,
    is_enough: impl Fn(&Summary) -> bool + Sync,
) -> Summary {
    let next = AtomicU64::new(seeds.start);
    let summary = Mutex::new(Summary::default());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    one(seed, &summary);
                    if is_enough(&summary.lock().unwrap()) {
                        return;
                    }
                }
            });
        }
    });
    summary.into_inner().unwrap()
}

fn one(seed: u64, summary: &Mutex<Summary>) {
    let plan = Plan::of(seed);
    let mut outcome = run(&plan);
    let is_twice = seed.is_multiple_of(TWICE_ONE_IN);
    if is_twice && run(&plan).trace != outcome.trace {
        outcome.violations.push("two runs of this seed differ".to_owned());
    }
    let mut summary = summary.lock().unwrap();
    summary.seeds += 1;
    summary.twice += u64::from(is_twice);
    summary.coverage.add(&outcome.coverage);
    if !outcome.violations.is_empty() && summary.failures.len() < FAILURES_MAX {
        summary.failures.push((seed, outcome.violations));
    }
}

/// What a person needs to see a failure again.
pub fn explain(seed: u64) -> String {
    explain_plan(&Plan::of(seed))
}

/// The same for any plan.
pub fn explain_plan(plan: &Plan) -> String {
    let (seed, smallest) = (plan.seed, crate::shrink::shrink(plan));
    let violations = run(&smallest).violations.join("\n  ");
    format!(
        "CBR_SIM_SEED={seed} cargo test -p cbr-sim replay\n  {violations}\nshrunk to {smallest:#?}"
    )
}
