//! `cbr-sim [--seeds N] [--from S]`: a campaign, its speed, what it reached, and what it found.
//! `cbr-sim --scenarios N`: power cuts after every change of N scenarios.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::thread::available_parallelism;

use cbr_env::{Clock, SystemClock};
use cbr_sim::campaign::{Summary, campaign, explain};
use cbr_sim::crash::{CrashSummary, crash_states};
use cbr_sim::shrink::kind;

/// Failures after which a campaign ends.
const FAILURES_MAX: usize = 12;
/// Failures that are made smaller.
const KINDS_MAX: usize = 4;
const USAGE: &str = "cbr-sim [--seeds N] [--from S] | cbr-sim --scenarios N";
/// Fewer seeds than this need not reach every rare state.
const SEEDS_FOR_COVERAGE: u64 = 5000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let asked = options(&arguments).map(|given| {
        let number = |name: &str, default| given.get(name).copied().unwrap_or(default);
        (number("--seeds", 1000), number("--from", 0), number("--scenarios", 0))
    });
    let mut out = std::io::stdout().lock();
    let threads = available_parallelism().map_or(1, usize::from);
    let clock = SystemClock::default();
    let begin = clock.monotonic_micros();
    let seconds = || clock.monotonic_micros().saturating_sub(begin) as f64 / 1e6;
    let done = match asked {
        Err(wrong) => writeln!(out, "{wrong}").map(|()| false),
        Ok((seeds, from, 0)) => {
            let summary = campaign(from..from.saturating_add(seeds), threads, FAILURES_MAX);
            report(&mut out, &summary, seconds())
        }
        Ok((_, _, scenarios)) => {
            let summary = crash_states(scenarios, 1, threads);
            report_crashes(&mut out, scenarios, &summary, seconds())
        }
    };
    if matches!(done, Ok(true)) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The numbers of the options that were given. What is no option, or lacks its number, is an error.
fn options(arguments: &[String]) -> Result<BTreeMap<&str, u64>, String> {
    let pair = |pair: &[String]| match pair {
        [name, value] if ["--seeds", "--from", "--scenarios"].contains(&name.as_str()) => {
            value.parse().map_err(|_| format!("{name} needs a number"))
        }
        [name, ..] => Err(format!("`{name}`: usage: {USAGE}")),
        [] => Err(USAGE.to_owned()),
    };
    arguments.chunks(2).map(|words| Ok((words[0].as_str(), pair(words)?))).collect()
}

fn report_crashes(
    out: &mut impl Write,
    scenarios: u64,
    summary: &CrashSummary,
    seconds: f64,
) -> std::io::Result<bool> {
    for failure in &summary.failures {
        writeln!(out, "{failure}")?;
    }
    writeln!(
        out,
        "power cuts: {scenarios} scenarios, {} states, {} failed, {:.0} states/s",
        summary.states,
        summary.failures.len(),
        summary.states as f64 / seconds.max(0.001)
    )?;
    Ok(summary.failures.is_empty())
}

/// One seed of each kind of failure, as far as their first words tell them apart; a few.
fn kinds(summary: &Summary) -> Vec<u64> {
    let mut kinds = BTreeMap::new();
    for (seed, violations) in &summary.failures {
        kinds.entry(kind(violations)).or_insert(*seed);
    }
    kinds.into_values().take(KINDS_MAX).collect()
}

/// Prints the summary; whether all is well.
fn report(out: &mut impl Write, summary: &Summary, seconds: f64) -> std::io::Result<bool> {
    for (what, count) in summary.coverage.counts() {
        writeln!(out, "{count:>9}  {what}")?;
    }
    for (seed, violations) in &summary.failures {
        writeln!(out, "seed {seed}: {violations:?}")?;
    }
    for seed in kinds(summary) {
        writeln!(out, "{}", explain(seed))?;
    }
    let blind = summary.coverage.blind_spots();
    let is_blind = summary.seeds >= SEEDS_FOR_COVERAGE && !blind.is_empty();
    if !blind.is_empty() {
        writeln!(out, "never reached: {blind:?}")?;
    }
    let speed = summary.seeds as f64 / seconds.max(0.001);
    writeln!(
        out,
        "simulation: {} seeds, {} of them twice, {} failed, {speed:.0} seeds/s",
        summary.seeds,
        summary.twice,
        summary.failures.len()
    )?;
    Ok(summary.failures.is_empty() && !is_blind)
}
