//! Damage: done, found, healed, and healing undone.

use cbr_store::{Job, Problem, ScrubBudget, ScrubLevel};

use crate::actor::{Actor, Began};
use crate::plan::Harm;

/// What an object begins with.
const HEADER_BYTES: usize = 64;
/// How many requests a step of a scrub may make.
const SCRUB_REQUESTS: u64 = 40;
/// How many steps a pass may take before it is left for later.
const SCRUB_STEPS_MAX: usize = 40;

impl Actor {
    /// Problems that were found: remembered, and wrong if nothing is damaged.
    pub(crate) fn saw_problems(&self, by: &str, began: Began, problems: &[Problem]) {
        if problems.is_empty() {
            return;
        }
        // A key that is ended or new may be on a list and gone, or not known yet.
        let key = |problem: &Problem| format!("{} {}", problem.object, problem.what);
        let is_key = problems.iter().all(|problem| {
            let text = key(problem);
            text.contains("/k/") || text.contains("store.v1") || text.contains("sealed with key")
        });
        let is_hit = self.was_hit(began) || (is_key && self.keys_changed(began));
        let mut inner = self.world.lock();
        inner.saw("a check found damage");
        for problem in problems {
            if let (Some(domain), Some(spot)) = (problem.domain, problem.spot) {
                inner.model.spots.entry(domain).or_default().insert(spot);
            }
        }
        // While a tenant is being destroyed anything of it may be missing.
        let is_excused = is_hit
            || inner.is_harmed()
            || inner.model.is_shredding()
            || inner.model.reigns > began.reigns;
        if !is_excused {
            inner.violation(format!("a false alarm of a {by}: {problems:?}"));
        }
    }

    pub(crate) fn scrub(&mut self) {
        let budget =
            ScrubBudget { bytes: 4 << 20, requests: SCRUB_REQUESTS, level: ScrubLevel::Full };
        for _ in 0..SCRUB_STEPS_MAX {
            let (began, cursor) = (self.begin("check"), self.cursor.clone());
            let step = self.repository().and_then(|r| r.scrub(&budget, &cursor, &Job::quiet()));
            match step {
                Err(error) => {
                    self.refused("scrub", began, &error, None);
                    return;
                }
                Ok(step) => {
                    self.saw_problems("scrub", began, &step.problems);
                    self.cursor = step.cursor;
                    if step.is_pass_complete {
                        self.world.lock().saw("a scrub came to its end");
                        return;
                    }
                }
            }
        }
    }

    pub(crate) fn repair(&mut self) {
        let count = self.next_count();
        let name = format!("of actor {} number {count}", self.me);
        let began = self.begin("heal");
        let plan = match self.repository().and_then(|r| r.plan_repair(&Job::quiet())) {
            Ok(plan) => plan,
            Err(error) => return self.refused("plan of a repair", began, &error, None),
        };
        self.saw_problems("repair", began, &plan.problems);
        let is_empty = plan.is_empty();
        let before = self.world.lock().objects.len();
        let began = self.begin("heal");
        match self.repository().and_then(|r| r.repair(&plan, &name)) {
            Err(error) => self.refused("repair", began, &error, None),
            Ok(done) => {
                let mut inner = self.world.lock();
                if done.objects > 0 {
                    inner.saw("a repair healed something");
                }
                if is_empty && done.objects > 0 {
                    inner.violation(format!("a repair of nothing did {done:?}, {before}"));
                }
            }
        }
    }

    pub(crate) fn undo(&mut self, choice: u64) {
        let began = self.begin("heal");
        let past = match self.repository().and_then(cbr_store::Repository::past_repairs) {
            Ok(past) => past,
            Err(error) => return self.refused("list of repairs", began, &error, None),
        };
        if past.is_empty() {
            return;
        }
        let name = &past[usize::try_from(choice % past.len() as u64).unwrap()].name;
        self.world.lock().model.undone.insert(format!("repair {name}"));
        let done = self.repository().and_then(|r| r.undo_repair(name));
        if done.is_ok_and(|done| done.objects > 0) {
            self.world.lock().saw("a repair was undone");
        }
    }

    pub(crate) fn corrupt(&self, harm: Harm, choice: u64) {
        let mut inner = self.world.lock();
        let is_pack = |key: &str| key.contains("/p/") || key.contains("/m/");
        let mut keys: Vec<_> =
            inner.objects.keys().filter(|key| is_pack(key.as_str())).cloned().collect();
        if harm == Harm::FlipBlocks {
            keys.retain(|key| inner.oracle.is_of_several(key));
        }
        if keys.is_empty() {
            return;
        }
        let pick = |choice: u64| keys[usize::try_from(choice % keys.len() as u64).unwrap()].clone();
        let key = pick(choice);
        let mut object = inner.objects[&key].clone();
        match harm {
            Harm::FlipBlocks => {
                // Behind the header slots come first.
                let at = HEADER_BYTES + usize::try_from(choice >> 20).unwrap() % (object.len() / 3);
                object[at] ^= 1 << (choice >> 61);
            }
            Harm::Flip => {
                let at = usize::try_from((choice >> 20) % object.len() as u64).unwrap();
                object[at] ^= 1 << (choice >> 61);
            }
            Harm::Truncate => object.truncate(object.len() / 3 * 2),
            Harm::Swap => object.clone_from(&inner.objects[&pick(choice >> 16)]),
            Harm::Lose => return inner.harm(&key, None),
        }
        inner.harm(&key, Some(object));
    }
}
