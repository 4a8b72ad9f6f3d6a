//! The simulated store and its scheduler: exactly one actor runs at a time, and at every call of
//! the backend chance decides who goes on.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use cbr_store::backend::{Key, Op, Put};
use cbr_store::format::id::Scope;
use cbr_store::format::place::Place;

use crate::cache::Shelf;
use crate::chance::Chance;
use crate::coverage::Coverage;
use crate::model::Model;
use crate::oracle::{Objects, Oracle};
use crate::plan::{FaultAt, Kind, Plan, Setting};

/// After so many calls nothing works any more: whoever would go on for ever ends, and is told of. The longest
/// of 2 500 seeds took 8 860.
const STEPS_MAX: u64 = 40_000;

/// One actor, for the scheduler.
#[derive(Debug, Default)]
struct Actor {
    is_done: bool,
    paused_until: u64,
    calls: u64,
    life: u64,
    failing: u8,
    faults: u64,
    doing: &'static str,
}

/// A request that is on its way though nobody waits for it any more.
#[derive(Debug)]
struct Flight {
    due: u64,
    key: Key,
    /// What is put; nothing: it is a removal.
    body: Option<Vec<u8>>,
}

/// Everything of a run.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) objects: Objects,
    pub(crate) oracle: Oracle,
    pub(crate) model: Model,
    pub(crate) coverage: Coverage,
    pub(crate) violations: Vec<String>,
    pub(crate) setting: Setting,
    /// What the arbiter remembers: bytes that are not known to be written, or nothing.
    pub(crate) names: BTreeMap<Key, Option<Vec<u8>>>,
    /// What processes leave for the next ones.
    pub(crate) shelf: Shelf,
    actors: Vec<Actor>,
    faults: Vec<FaultAt>,
    flights: Vec<Flight>,
    current: Option<usize>,
    steps: u64,
    /// Whether it was said that somebody takes no end.
    is_endless: bool,
    chance: Chance,
    sticky: u64,
    is_harmed: bool,
    trace: DefaultHasher,
}

/// A run, shared by its actors.
#[derive(Debug)]
pub(crate) struct World {
    inner: Mutex<Inner>,
    wakes: Vec<Condvar>,
}

impl World {
    pub(crate) fn new(plan: &Plan, objects: Objects) -> Arc<Self> {
        let actors: Vec<Actor> = plan.actors.iter().map(|_| Actor::default()).collect();
        let wakes = actors.iter().map(|_| Condvar::new()).collect();
        let inner = Inner {
            objects,
            oracle: Oracle::default(),
            model: Model::default(),
            coverage: Coverage::default(),
            violations: Vec::new(),
            setting: plan.setting,
            names: BTreeMap::new(),
            shelf: Shelf::default(),
            current: (!actors.is_empty()).then_some(0),
            actors,
            faults: plan.faults.clone(),
            flights: Vec::new(),
            steps: 0,
            is_endless: false,
            chance: Chance::new(plan.seed ^ 0x7a17),
            sticky: plan.sticky,
            is_harmed: false,
            trace: DefaultHasher::new(),
        };
        Arc::new(Self { inner: Mutex::new(inner), wakes })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the actor's first turn.
    pub(crate) fn start(&self, me: usize) {
        let mut inner = self.lock();
        while inner.current != Some(me) {
            inner = self.wakes[me].wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The actor has nothing more to do.
    pub(crate) fn finish(&self, me: usize) {
        let mut inner = self.lock();
        inner.actors[me].is_done = true;
        inner.current = inner.choose(me);
        if let Some(next) = inner.current {
            self.wakes[next].notify_one();
        }
    }

    /// Lets others go on; comes back when it is this actor's turn.
    pub(crate) fn turn<'a>(
        &'a self,
        mut inner: MutexGuard<'a, Inner>,
        me: usize,
    ) -> MutexGuard<'a, Inner> {
        inner.steps += 1;
        inner.land(false);
        let next = inner.choose(me).unwrap_or(me);
        if next == me {
            return inner;
        }
        inner.current = Some(next);
        self.wakes[next].notify_one();
        while inner.current != Some(me) {
            inner = self.wakes[me].wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        inner
    }
}

impl Inner {
    /// Who goes on; `None` if all are done.
    fn choose(&mut self, me: usize) -> Option<usize> {
        let steps = self.steps;
        let can = |at: &usize, actors: &[Actor]| {
            !actors[*at].is_done && actors[*at].paused_until <= steps
        };
        let ready: Vec<usize> = (0..self.actors.len()).filter(|at| can(at, &self.actors)).collect();
        if ready.contains(&me) && self.chance.below(100) < self.sticky {
            return Some(me);
        }
        if !ready.is_empty() {
            return Some(self.chance.pick(&ready));
        }
        // Only sleepers are left: the one that sleeps shortest wakes up.
        let sleepers = (0..self.actors.len()).filter(|at| !self.actors[*at].is_done);
        sleepers.min_by_key(|at| self.actors[*at].paused_until)
    }

    pub(crate) fn violation(&mut self, what: String) {
        if self.violations.len() < 20 {
            self.violations.push(what);
        }
    }

    pub(crate) fn saw(&mut self, what: &'static str) {
        self.coverage.saw(what);
    }

    /// What the actor does now, for coverage.
    pub(crate) fn doing(&mut self, me: usize, what: &'static str) {
        self.actors[me].doing = what;
        let is = |what: &'static [&'static str]| {
            let doing = self.actors.iter().filter(move |actor| what.contains(&actor.doing));
            doing.count()
        };
        let (sweeps, changes) = (is(&["reclaim", "delete"]), is(&["backup", "delete"]));
        let (checks, keys) = (is(&["check"]), is(&["keys"]));
        if sweeps > 1 {
            self.saw("two sweeps at once");
        }
        if changes > 0 && checks > 0 {
            self.saw("a check ran beside changes");
        }
        if changes > 0 && keys > 0 {
            self.saw("keys were changed beside a backup or a deletion");
        }
    }

    pub(crate) fn life(&self, me: usize) -> u64 {
        self.actors[me].life
    }

    /// How many faults hit this actor so far.
    pub(crate) fn faults_of(&self, me: usize) -> u64 {
        self.actors[me].faults
    }

    pub(crate) fn is_harmed(&self) -> bool {
        self.is_harmed
    }

    /// A number that is chance to the run, and the same in each run of it.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.chance.below(end)
    }

    /// Somebody damages an object behind the engine's back; nothing: it is lost.
    pub(crate) fn harm(&mut self, key: &Key, bytes: Option<Vec<u8>>) {
        self.is_harmed = true;
        let before = match bytes {
            Some(bytes) => self.objects.insert(key.clone(), bytes),
            None => self.objects.remove(key),
        };
        if let Some(before) = before {
            self.oracle.saw_harm(key, before);
        }
    }

    /// A number that two runs of one plan agree on.
    pub(crate) fn trace_hash(&self) -> u64 {
        let mut trace = self.trace.clone();
        for (key, object) in &self.objects {
            (key.as_str(), object).hash(&mut trace);
        }
        trace.finish()
    }

    fn crash(&mut self, me: usize) {
        self.actors[me].life += 1;
        self.actors[me].failing = 0;
        self.actors[me].faults += 1;
        match self.actors[me].doing {
            "backup" => self.saw("a crash while a session was open"),
            "delete" | "reclaim" => self.saw("a crash while a version was being removed"),
            "recovery" => self.saw("a crash during recovery"),
            "keys" => self.saw("a crash while keys were changed"),
            "heal" => self.saw("a crash while damage was healed"),
            _ => {}
        }
    }

    /// Counts the call; what goes wrong with it.
    pub(crate) fn fault(&mut self, me: usize, op: Op, key: &str) -> Option<Kind> {
        let actor = &mut self.actors[me];
        actor.calls += 1;
        let (call, life) = (actor.calls, actor.life);
        (me, op, key, life).hash(&mut self.trace);
        if self.steps >= STEPS_MAX {
            if !std::mem::replace(&mut self.is_endless, true) {
                let doing = self.actors[me].doing;
                self.violation(format!("no end: {doing} of actor {me} asks for {op:?} {key}"));
            }
            self.actors[me].faults += 1;
            return Some(Kind::Unavailable(0));
        }
        if self.actors[me].failing > 0 {
            self.actors[me].failing -= 1;
            self.actors[me].faults += 1;
            return Some(Kind::Unavailable(0));
        }
        let found = self.faults.iter().position(|f| (f.actor, f.call) == (me, call))?;
        let FaultAt { kind, .. } = self.faults[found];
        // In the first worlds a fault came when it came, or not at all.
        let waits = self.setting != Setting::default();
        if waits && !kind.is_about(op) {
            self.faults[found].call += 1;
            return None;
        }
        self.faults.remove(found);
        if !matches!(kind, Kind::Pause(_)) {
            self.actors[me].faults += 1;
        }
        match kind {
            Kind::Unavailable(count) => self.actors[me].failing = count,
            Kind::Pause(steps) => {
                self.actors[me].paused_until = self.steps + u64::from(steps);
            }
            Kind::CrashAll => {
                self.saw("a crash of everybody");
                (0..self.actors.len()).for_each(|at| self.crash(at));
            }
            Kind::CrashBefore | Kind::CrashAfter => self.crash(me),
            _ => {}
        }
        Some(kind)
    }

    /// A request goes on its way, and its sender does not learn what becomes of it.
    pub(crate) fn send(&mut self, after: u16, key: &Key, body: Option<Vec<u8>>) {
        let due = self.steps + u64::from(after);
        self.flights.push(Flight { due, key: key.clone(), body });
    }

    /// Requests on their way arrive: those that are due, or all.
    pub(crate) fn land(&mut self, all: bool) {
        while let Some(at) = self.flights.iter().position(|flight| all || flight.due <= self.steps)
        {
            let Flight { key, body, .. } = self.flights.remove(at);
            if let Some(body) = body {
                self.saw("a put arrived late");
                let _: Put = self.put(&key, &[&body]);
            } else {
                self.saw("a removal arrived late");
                self.remove(&key);
            }
        }
    }

    pub(crate) fn put(&mut self, key: &Key, body: &[&[u8]]) -> Put {
        let body = body.concat();
        if let Some(there) = self.objects.get(key) {
            if !self.setting.overwrites {
                return Put::Existed;
            }
            let is_same = *there == body;
            self.saw("an object was written again where writing overwrites");
            if !is_same {
                // What somebody damaged may become again what it was.
                if !self.oracle.was(key, &body) {
                    self.violation(format!("{key} is overwritten with something else"));
                }
                self.objects.insert(key.clone(), body);
                self.oracle.saw_mending(key);
            }
            return Put::Created;
        }
        self.objects.insert(key.clone(), body);
        let Self { oracle, objects, model, .. } = self;
        let wrong = oracle.saw_put(objects, &model.masters, key);
        if let Some(what) = wrong
            && !self.is_of_shredded(key)
        {
            self.violation(what);
        }
        self.see_put(key);
        Put::Created
    }

    fn see_put(&mut self, key: &Key) {
        match Place::parse(key) {
            Some(Place::Pack(_, 1..)) => self.saw("a pack was rewritten"),
            Some(Place::Retire(..)) => self.saw("a slot was retired"),
            Some(Place::Fold(..)) => self.saw("a log was folded"),
            Some(Place::Patch(..)) => self.saw("a pack was healed"),
            Some(Place::Claim(..) | Place::Delete(..)) if self.oracle.has_dead_pin() => {
                self.saw("a version was deleted while a session built on it");
            }
            Some(Place::Outcome(chain, seq)) => {
                if self.oracle.borrows(chain, seq) {
                    self.saw("a version borrowed from another chain");
                }
                if self.oracle.borrows_retired(chain, seq) {
                    self.saw("a slot was borrowed just before it was retired");
                }
                let mixes = self.oracle.keys_of(chain, seq).is_some_and(|keys| keys > 1);
                if mixes {
                    self.saw("a version lies under several keys of its tenant");
                }
            }
            _ => {}
        }
    }

    pub(crate) fn remove(&mut self, key: &Key) {
        if !self.objects.contains_key(key) {
            self.oracle.saw_removal(key);
            return;
        }
        let is_undone = self.is_undone(key);
        let wrong = self.oracle.sees_removal(&self.objects, key, is_undone);
        if let Some(what) = wrong
            && !self.is_of_shredded(key)
        {
            self.violation(what);
        }
        // An undo takes away what a repair added; here it is about sweeps.
        match self.oracle.leaves_to_patches(key).filter(|_| !is_undone) {
            Some(Scope::Volume) => self.saw("a pack lived on in its patches"),
            Some(Scope::Tenant) => self.saw("a pack that is shared lived on in its patches"),
            None => {}
        }
        self.objects.remove(key);
        self.oracle.saw_removal(key);
    }

    /// Whether a repair wrote it that somebody began to undo: a patch, or a generation that a marker names.
    fn is_undone(&self, key: &Key) -> bool {
        self.oracle.menders(key).iter().any(|by| self.model.undone.contains(by))
    }

    /// Whether it belongs to a tenant whose keys somebody began to destroy.
    fn is_of_shredded(&self, key: &Key) -> bool {
        let of = |tenant: &usize| {
            key.as_str().starts_with(&format!("t/{}/", self.setting.tenant(*tenant)))
        };
        self.model.shredded.keys().any(of)
    }
}
