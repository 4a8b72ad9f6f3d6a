//! A short campaign, the seeds that once failed, and one seed again.

use std::path::Path;

use cbr_sim::campaign::{campaign, explain, explain_plan};
use cbr_sim::plan::Plan;
use cbr_sim::run::run;

/// Plans that once failed, by their seeds, each with what it had found; they run first.
fn regressions() -> Vec<Plan> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions.txt");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let plan = |line: &str| {
        let mut words = line.split_whitespace();
        match words.next()? {
            "plain" => Some(Plan::plain(words.next()?.parse().ok()?)),
            "early" => Some(Plan::early(words.next()?.parse().ok()?)),
            "middle" => Some(Plan::middle(words.next()?.parse().ok()?)),
            seed => Some(Plan::of(seed.parse().ok()?)),
        }
    };
    text.lines().filter_map(plan).collect()
}

/// P1, P2, P3, P5, P7, P9, P10, P14, P21; I1–I5, I13.
#[test]
fn no_seed_loses_anything_or_leaves_anything() {
    let regressions = regressions();
    assert!(regressions.len() >= 4, "the list of regressions is there");
    for plan in regressions {
        let (seed, violations) = (plan.seed, run(&plan).violations);
        assert!(violations.is_empty(), "seed {seed}: {violations:?}\n{}", explain_plan(&plan));
    }
    let seeds = std::env::var("CBR_SIM_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    let summary = campaign(0..seeds, 2, 1);
    if let Some((seed, violations)) = summary.failures.first() {
        panic!("seed {seed}: {violations:?}\n{}", explain(*seed));
    }
    assert_eq!(summary.seeds, seeds);
}

/// Everything that decides anything comes from the seed.
#[test]
fn a_seed_is_a_whole_run() {
    for seed in 1000..1010 {
        let (first, second) = (run(&Plan::of(seed)), run(&Plan::of(seed)));
        assert_eq!(first.trace, second.trace, "seed {seed}");
    }
}

/// `CBR_SIM_SEED=7 cargo test -p cbr-sim replay`
#[test]
fn replay() {
    let Ok(seed) = std::env::var("CBR_SIM_SEED") else { return };
    let seed = seed.parse().expect("CBR_SIM_SEED is a number");
    let violations = run(&Plan::of(seed)).violations;
    assert!(violations.is_empty(), "{}", explain(seed));
}
