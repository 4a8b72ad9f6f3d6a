//! One run: from a plan to what went wrong in it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread;

use cbr_env::SeededRandom;
use cbr_store::backend::{Backend, MemoryBackend};
use cbr_store::{MasterKey, Repository};

use crate::actor::{Actor, options};
use crate::coverage::Coverage;
use crate::model::MASTER;
use crate::oracle::Objects;
use crate::plan::{Plan, Setting};
use crate::settle::settle;
use crate::world::World;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What must not have happened; empty if all is well.
    pub violations: Vec<String>,
    /// Which rare states were reached.
    pub coverage: Coverage,
    /// Two runs of one plan have the same.
    pub trace: u64,
}

/// Runs a plan from start to end.
pub fn run(plan: &Plan) -> Outcome {
    let world = World::new(plan, empty().clone());
    thread::scope(|scope| {
        for (me, ops) in plan.actors.iter().enumerate() {
            let world = &world;
            scope.spawn(move || {
                world.start(me);
                let mut actor = Actor::new(world, me, plan);
                let done = catch_unwind(AssertUnwindSafe(|| {
                    for op in ops {
                        actor.perform(op);
                    }
                }));
                if done.is_err() {
                    world.lock().violation("an actor panicked".to_owned());
                }
                world.finish(me);
            });
        }
    });
    let trace = world.lock().trace_hash();
    if catch_unwind(AssertUnwindSafe(|| settle(&world, plan))).is_err() {
        world.lock().violation("at rest: the engine panicked".to_owned());
    }
    let mut inner = world.lock();
    Outcome {
        violations: std::mem::take(&mut inner.violations),
        coverage: std::mem::take(&mut inner.coverage),
        trace,
    }
}

/// A repository nobody has used. Made once: making one probes the place with threads.
fn empty() -> &'static Objects {
    static EMPTY: OnceLock<Objects> = OnceLock::new();
    EMPTY.get_or_init(|| {
        let memory = Arc::new(MemoryBackend::default());
        let backend: Arc<dyn Backend> = memory.clone();
        let random = Arc::new(SeededRandom::new(0));
        let master = MasterKey::from_bytes(MASTER);
        Repository::init(backend, master, random, options(60, &Setting::default())).unwrap();
        memory.snapshot()
    })
}
