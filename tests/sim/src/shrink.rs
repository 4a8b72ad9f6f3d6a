//! Makes a failing plan as small as it gets: removes operations, then faults.

use crate::plan::Plan;
use crate::run::run;

/// Runs that a shrinking may take.
const RUNS_MAX: usize = 400;

/// What tells kinds of failures apart: so many of their first words, without names of objects.
const WORDS_OF_A_KIND: usize = 6;

/// The kind of a failure by its first violation.
pub fn kind(violations: &[String]) -> Vec<String> {
    let text = violations.first().map_or("", String::as_str);
    let words = text.split_whitespace().filter(|word| !word.contains('/'));
    words.take(WORDS_OF_A_KIND).map(str::to_owned).collect()
}

/// The smallest plan found that still fails in the same way.
pub fn shrink(plan: &Plan) -> Plan {
    let wanted = kind(&run(plan).violations);
    let mut smallest = plan.clone();
    let mut runs = 0;
    loop {
        let before = smallest.size();
        for candidate in candidates(&smallest) {
            runs += 1;
            if runs > RUNS_MAX {
                return smallest;
            }
            if candidate.size() < smallest.size() && kind(&run(&candidate).violations) == wanted {
                smallest = candidate;
                break;
            }
        }
        if smallest.size() == before {
            return smallest;
        }
    }
}

/// Plans with a little less in them. Actors keep their numbers.
fn candidates(plan: &Plan) -> Vec<Plan> {
    let mut smaller = Vec::new();
    for actor in 0..plan.actors.len() {
        let mut without = plan.clone();
        without.actors[actor].clear();
        smaller.push(without);
    }
    for actor in 0..plan.actors.len() {
        for op in 0..plan.actors[actor].len() {
            let mut without = plan.clone();
            without.actors[actor].remove(op);
            smaller.push(without);
        }
    }
    for fault in 0..plan.faults.len() {
        let mut without = plan.clone();
        without.faults.remove(fault);
        smaller.push(without);
    }
    smaller
}
