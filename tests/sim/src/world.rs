//! The simulated store and its scheduler: exactly one actor runs at a time, and at every call of
//! the backend chance decides who goes on.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use cbr_store::ChainRef;
use cbr_store::backend::{Backend, BackendError, Entry, Key, Op, Page, Put};
use cbr_store::format::place::Place;

use crate::chance::Chance;
use crate::coverage::Coverage;
use crate::disk::Disk;
use crate::oracle::{Objects, Oracle};
use crate::plan::{FaultAt, Kind, Plan};

/// The key of every simulated repository.
pub(crate) const MASTER: [u8; 32] = [0x51; 32];

/// A version as its maker knows it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// What it must restore to.
    pub(crate) disk: Arc<Disk>,
    /// Somebody asked for its deletion.
    pub(crate) delete_asked: bool,
    /// Somebody was told that it is deleted.
    pub(crate) is_deleted: bool,
}

/// What the users of the store know.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// Versions that were acknowledged.
    pub(crate) versions: BTreeMap<(usize, u64), Known>,
    /// What each owner backs up; one owner, one content.
    pub(crate) owners: BTreeMap<(usize, String), Arc<Disk>>,
    /// The disk of each chain as it is now, and who backed it up last.
    pub(crate) disks: BTreeMap<usize, (Arc<Disk>, String)>,
}

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

/// Everything of a run.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) objects: Objects,
    pub(crate) oracle: Oracle,
    pub(crate) model: Model,
    pub(crate) coverage: Coverage,
    pub(crate) violations: Vec<String>,
    actors: Vec<Actor>,
    faults: Vec<FaultAt>,
    current: Option<usize>,
    steps: u64,
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
    pub(crate) fn new(plan: &Plan, objects: Objects, oracle: Oracle) -> Self {
        let actors: Vec<Actor> = plan.actors.iter().map(|_| Actor::default()).collect();
        let wakes = actors.iter().map(|_| Condvar::new()).collect();
        let inner = Inner {
            objects,
            oracle,
            model: Model::default(),
            coverage: Coverage::default(),
            violations: Vec::new(),
            current: (!actors.is_empty()).then_some(0),
            actors,
            faults: plan.faults.clone(),
            steps: 0,
            chance: Chance::new(plan.seed ^ 0x7a17),
            sticky: plan.sticky,
            is_harmed: plan.is_harmed(),
            trace: DefaultHasher::new(),
        };
        Self { inner: Mutex::new(inner), wakes }
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

    fn turn<'a>(&'a self, mut inner: MutexGuard<'a, Inner>, me: usize) -> MutexGuard<'a, Inner> {
        inner.steps += 1;
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
        let sweeps = self.actors.iter().filter(|a| matches!(a.doing, "reclaim" | "delete")).count();
        if sweeps > 1 {
            self.saw("two sweeps at once");
        }
        let others = self.actors.iter().filter(|a| matches!(a.doing, "backup" | "delete")).count();
        if others > 0 && self.actors.iter().any(|a| a.doing == "check") {
            self.saw("a check ran beside changes");
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
            _ => {}
        }
    }

    /// Counts the call; what goes wrong with it.
    fn fault(&mut self, me: usize, op: Op, key: &str) -> Option<Kind> {
        let actor = &mut self.actors[me];
        actor.calls += 1;
        let (call, life) = (actor.calls, actor.life);
        (me, op, key, life).hash(&mut self.trace);
        if self.actors[me].failing > 0 {
            self.actors[me].failing -= 1;
            self.actors[me].faults += 1;
            return Some(Kind::Unavailable(0));
        }
        let found = self.faults.iter().position(|f| (f.actor, f.call) == (me, call))?;
        let kind = self.faults.remove(found).kind;
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

    fn put(&mut self, key: &Key, body: &[&[u8]]) -> Put {
        if self.objects.contains_key(key) {
            return Put::Existed;
        }
        if matches!(Place::parse(key), Some(Place::Pack(_, 1..))) {
            self.saw("a pack was rewritten");
        }
        self.objects.insert(key.clone(), body.concat());
        let wrong = self.oracle.saw_put(&self.objects, &MASTER, key);
        if let Some(what) = wrong
            && !self.is_harmed
        {
            self.violation(what);
        }
        self.see_pins();
        Put::Created
    }

    fn see_pins(&mut self) {
        let pinned = |(chain, seq): (ChainRef, u64)| {
            self.oracle.is_pinned(chain, seq) && !self.oracle.is_live(chain, seq)
        };
        if self.oracle.dead_pins().any(pinned) {
            self.saw("a version was deleted while a session built on it");
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(what) = self.oracle.sees_removal(&self.objects, key)
            && self.objects.contains_key(key)
            && !self.is_harmed
        {
            self.violation(what);
        }
        self.objects.remove(key);
    }
}

/// One process's way to the store. It ends when the process dies.
#[derive(Debug)]
pub(crate) struct Port {
    world: Arc<World>,
    me: usize,
    life: u64,
}

impl Port {
    /// Of the actor's present process.
    pub(crate) fn new(world: &Arc<World>, me: usize) -> Self {
        let life = world.lock().life(me);
        Self { world: Arc::clone(world), me, life }
    }

    /// Waits for the next turn, and decides what goes wrong with this call.
    fn call(
        &self,
        op: Op,
        key: &str,
    ) -> Result<(MutexGuard<'_, Inner>, Option<Kind>), BackendError> {
        let mut inner = self.world.turn(self.world.lock(), self.me);
        if inner.life(self.me) != self.life {
            return Err(failed(op, key, "the process is dead"));
        }
        let mut fault = inner.fault(self.me, op, key);
        if let Some(Kind::Pause(_)) = fault {
            inner = self.world.turn(inner, self.me);
            fault = None;
        }
        if inner.life(self.me) != self.life && !matches!(fault, Some(Kind::CrashAfter)) {
            return Err(failed(op, key, "the process is dead"));
        }
        if let Some(Kind::Unavailable(_)) = fault {
            return Err(failed(op, key, "503"));
        }
        Ok((inner, fault))
    }

    /// For calls that change nothing: faults that are about changes are plain failures.
    fn reading(&self, op: Op, key: &str) -> Result<(MutexGuard<'_, Inner>, bool), BackendError> {
        match self.call(op, key)? {
            // What is only about listings leaves other reads alone.
            (inner, None | Some(Kind::PartialList | Kind::EmptyList)) => Ok((inner, false)),
            (mut inner, Some(Kind::TornRead)) => {
                inner.saw("a read was torn");
                Ok((inner, true))
            }
            _ => Err(failed(op, key, "injected")),
        }
    }
}

impl Backend for Port {
    fn put_new(&self, key: &Key, body: &[&[u8]]) -> Result<Put, BackendError> {
        let (mut inner, fault) = self.call(Op::Put, key.as_str())?;
        match fault {
            None | Some(Kind::TornRead | Kind::PartialList | Kind::EmptyList) => {
                Ok(inner.put(key, body))
            }
            Some(Kind::NoSpace) => {
                inner.saw("there was no space");
                Err(BackendError::NoSpace { op: Op::Put, key: key.to_string() })
            }
            Some(Kind::LostRequest) => {
                inner.saw("a put was unknown and had not happened");
                Ok(Put::Unknown)
            }
            Some(Kind::LostAnswer) => {
                inner.saw("a put was unknown and had happened");
                let _ = inner.put(key, body);
                Ok(Put::Unknown)
            }
            Some(Kind::CrashAfter) => {
                let _ = inner.put(key, body);
                Err(failed(Op::Put, key.as_str(), "died after it"))
            }
            Some(_) => Err(failed(Op::Put, key.as_str(), "injected")),
        }
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, BackendError> {
        let (inner, is_torn) = self.reading(Op::Get, key.as_str())?;
        let mut object = inner.objects.get(key).cloned();
        if let Some(bytes) = object.as_mut().filter(|_| is_torn) {
            bytes.truncate(bytes.len() / 2);
        }
        Ok(object)
    }

    fn get_range(&self, key: &Key, at: u64, into: &mut [u8]) -> Result<Option<()>, BackendError> {
        let (mut inner, is_torn) = self.reading(Op::GetRange, key.as_str())?;
        inner.see_moved(key);
        let Some(object) = inner.objects.get(key) else { return Ok(None) };
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        let part = object.get(start..start.saturating_add(into.len()));
        let end = at.saturating_add(into.len() as u64);
        let short = || BackendError::Short { key: key.to_string(), end };
        into.copy_from_slice(part.ok_or_else(short)?);
        if is_torn {
            let half = into.len() / 2;
            into[half..].fill(0);
        }
        Ok(Some(()))
    }

    fn size(&self, key: &Key) -> Result<Option<u64>, BackendError> {
        let (mut inner, is_torn) = self.reading(Op::Size, key.as_str())?;
        inner.see_moved(key);
        let size = inner.objects.get(key).map(|object| object.len() as u64);
        Ok(if is_torn { size.map(|size| size / 2) } else { size })
    }

    fn list(&self, prefix: &str, after: Option<&Key>) -> Result<Page, BackendError> {
        let (mut inner, fault) = self.call(Op::List, prefix)?;
        let entry = |(key, object): (&Key, &Vec<u8>)| Entry {
            key: key.clone(),
            size_bytes: object.len() as u64,
        };
        let wanted = |key: &Key| key.as_str().starts_with(prefix) && after.is_none_or(|a| key > a);
        let mut entries: Vec<Entry> =
            inner.objects.iter().filter(|(key, _)| wanted(key)).map(entry).collect();
        match fault {
            None | Some(Kind::TornRead) => {}
            Some(Kind::PartialList) => {
                entries.truncate(entries.len() / 2);
                inner.saw("a listing was cut short");
            }
            Some(Kind::EmptyList) => {
                entries.clear();
                inner.saw("a listing was empty");
            }
            Some(_) => return Err(failed(Op::List, prefix, "injected")),
        }
        Ok(Page { entries, is_last: true })
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        let (mut inner, fault) = self.call(Op::Delete, key.as_str())?;
        match fault {
            None | Some(Kind::TornRead | Kind::PartialList | Kind::EmptyList) => {
                inner.remove(key);
                Ok(())
            }
            Some(Kind::LostAnswer | Kind::CrashAfter) => {
                inner.remove(key);
                Err(failed(Op::Delete, key.as_str(), "the answer was lost"))
            }
            Some(_) => Err(failed(Op::Delete, key.as_str(), "injected")),
        }
    }

    fn describe(&self) -> String {
        "simulation".to_owned()
    }
}

impl Inner {
    fn see_moved(&mut self, key: &Key) {
        let Some(Place::Pack(pack, generation)) = Place::parse(key) else { return };
        if self.objects.contains_key(key) {
            return;
        }
        let is_other = |found: &Key| match Place::parse(found) {
            Some(Place::Pack(other, newer)) => other == pack && newer > generation,
            _ => false,
        };
        if self.objects.keys().any(is_other) {
            self.saw("a reader found its pack moved");
        }
    }
}

fn failed(op: Op, key: &str, why: &'static str) -> BackendError {
    BackendError::Unavailable { op, key: key.to_owned(), source: io::Error::other(why) }
}
