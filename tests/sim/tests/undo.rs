//! An undo of a repair beside sweeps: what goes by it is never all there is of a pack (P9, I14).
//!
//! Few plans of the campaign come here, so these are made for it.

use cbr_sim::campaign::explain_plan;
use cbr_sim::plan::{End, Harm, Op, Plan, Setting};
use cbr_sim::run::run;

/// One damages a pack, deletes, repairs and undoes; another one sweeps.
fn plan(seed: u64) -> Plan {
    let backup = |edits| Op::Backup {
        chain: 0,
        edits,
        resize: None,
        clones: None,
        with_map: false,
        end: End::Commit,
    };
    let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let harm = if seed & 1 == 0 { Harm::Flip } else { Harm::Truncate };
    let healer = vec![
        backup((0..12).map(|block| (block, 1 + block)).collect()),
        backup((0..6).map(|block| (2 * block, 100 + block)).collect()),
        Op::Corrupt { harm, choice: mixed },
        Op::Delete { chain: 0, choice: 0, count: 1 },
        Op::Repair,
        Op::Undo { choice: 0 },
    ];
    Plan {
        seed,
        chains: 1,
        setting: Setting { pack_bytes: 64 << 10, ..Setting::default() },
        compact_below_percent: 100,
        sticky: [0, 50, 90][usize::try_from(seed % 3).unwrap_or(0)],
        actors: vec![healer, vec![Op::Reclaim { chain: 0 }; 12]],
        faults: Vec::new(),
    }
}

#[test]
fn an_undo_beside_sweeps_never_takes_the_last_of_a_pack() {
    let seeds = std::env::var("CBR_SIM_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    let mut undone = 0;
    for seed in 0..seeds {
        let plan = plan(seed);
        let outcome = run(&plan);
        let violations = &outcome.violations;
        assert!(violations.is_empty(), "seed {seed}: {violations:?}\n{}", explain_plan(&plan));
        let count = |what| outcome.coverage.counts().find(|(name, _)| *name == what);
        undone += count("a repair was undone").map_or(0, |(_, count)| count);
    }
    assert!(undone > 0, "no repair was undone");
}
