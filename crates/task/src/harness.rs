//! The crash matrix: a task kind against every way to be interrupted.
//!
//! [`crash_matrix`] first runs a task undisturbed and counts its steps. Then, in a
//! fresh world each time, it runs it again with one fault at one step, goes on
//! with a new claim as another process would, and lets the caller compare the
//! world with what it should be.

use std::sync::Arc;
use std::time::Duration;

use cbr_db::{Claim, ClaimedTask, Db, TaskRecord};
use cbr_env::Clock;
use cbr_model::{ProjectId, TaskId};

use crate::context::TaskContext;
use crate::kind::{AnyTask, Kinds};
use crate::options::Options;
use crate::task::{Outcome, StepError, Task};
use crate::work::{After, SaveError, Saved, Worker};

/// More steps than this are taken for an endless task.
const STEPS_MAX: usize = 2000;

/// A database with one task to run, and what its steps need.
#[derive(Debug)]
pub struct World<T: Task> {
    /// The database.
    pub db: Arc<Db>,
    /// The clock of the database.
    pub clock: Arc<dyn Clock>,
    /// What the steps need.
    pub ctx: Arc<T::Ctx>,
    /// The task, enqueued and due.
    pub task: TaskId,
    /// Whatever else has to live as long as the world, e.g. a temporary folder.
    pub keep: Box<dyn std::any::Any>,
}

/// What goes wrong, and at which step (counted from 0).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing.
    None,
    /// The process dies after the step and before its save: the step runs again.
    CrashBeforeSave(usize),
    /// The process dies right after the save.
    CrashAfterSave(usize),
    /// The worker sleeps through its lease after the step; another finishes the
    /// task, and then the first one tries to save.
    Zombie(usize),
    /// Somebody asks the task to stop before the step.
    CancelBefore(usize),
}

/// How a run went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// How the task ended.
    pub outcome: Outcome,
    /// How many steps were taken.
    pub steps: usize,
}

/// Runs the task undisturbed and then with every fault at every step, each time in
/// the world that `make` gives, and calls `check` after each.
pub async fn crash_matrix<T: Task>(
    make: impl AsyncFn() -> World<T>,
    check: impl AsyncFn(&World<T>, Fault, &Ended),
) {
    let world = make().await;
    let undisturbed = run(&world, Fault::None).await;
    check(&world, Fault::None, &undisturbed).await;
    let faults: [fn(usize) -> Fault; 4] =
        [Fault::CrashBeforeSave, Fault::CrashAfterSave, Fault::Zombie, Fault::CancelBefore];
    for step in 0..undisturbed.steps {
        for fault in faults {
            let fault = fault(step);
            let world = make().await;
            let ended = run(&world, fault).await;
            check(&world, fault, &ended).await;
        }
    }
}

/// One step of a worker that slept, and whose task others have meanwhile ended: what it does outside is
/// done, and what comes of it is saved nowhere (P14).
pub async fn sleeper<T: Task>(
    ctx: &T::Ctx,
    (task, project): (TaskId, ProjectId),
    stage: T,
) -> Result<T, StepError<T>> {
    let run = TaskContext::new(task, project, 1, 1, 0);
    run.begin_stage(stage.may_cancel());
    stage.step(ctx, &run).await
}

/// Runs the world's task to its end with one fault.
pub async fn run<T: Task>(world: &World<T>, fault: Fault) -> Ended {
    let mut runner = Runner::new(world, fault);
    while let Some(task) = runner.claim().await {
        runner.work(task).await;
        assert!(runner.steps < STEPS_MAX, "the task does not end ({fault:?})");
    }
    let outcome = runner.outcome.expect("nothing is due, so the task has ended");
    Ended { outcome, steps: runner.steps }
}

struct Runner {
    worker: Worker,
    task: TaskId,
    fault: Fault,
    steps: usize,
    outcome: Option<Outcome>,
}

impl Runner {
    fn new<T: Task>(world: &World<T>, fault: Fault) -> Self {
        let mut kinds = Kinds::default();
        kinds.register::<T>(Arc::clone(&world.ctx));
        let worker = Worker {
            db: Arc::clone(&world.db),
            clock: Arc::clone(&world.clock),
            options: Options::default(),
            kinds: Arc::new(kinds),
        };
        Self { worker, task: world.task, fault, steps: 0, outcome: None }
    }

    /// Claims with a lease that is over at once, so that a dead worker need not be waited for.
    async fn claim(&self) -> Option<ClaimedTask> {
        let mut tx = self.worker.db.begin().await.expect("a transaction");
        let claim = Claim {
            node: &self.worker.options.node,
            kinds: self.worker.kinds.names(),
            lease_until: tx.now(),
        };
        let claimed = tx.tasks().claim(&claim).await.expect("a claim");
        tx.commit().await.expect("a commit");
        assert!(claimed.as_ref().is_none_or(|task| task.id == self.task), "one task per world");
        claimed
    }

    /// Works on a claim until the task ends, pauses, or the fault strikes.
    async fn work(&mut self, task: ClaimedTask) {
        let run =
            TaskContext::new(task.id, task.project, task.fencing, task.attempts, task.progress);
        if task.cancel_requested {
            run.request_cancel();
        }
        let (mut json, mut attempts) = (task.stage, task.attempts);
        loop {
            let stage = self.worker.kinds.read(&task.kind, &json);
            let stage = stage.expect("a registered kind").expect("a stage that reads");
            let number = self.steps;
            self.steps += 1;
            assert!(number < STEPS_MAX, "the task does not end ({:?})", self.fault);
            if self.fault == Fault::CancelBefore(number) {
                run.request_cancel();
            }
            run.begin_stage(stage.may_cancel());
            let next = match self.worker.advance(stage, &json, attempts, &run).await {
                After::Next(next) => next,
                After::Pause { stage, attempts, .. } => {
                    let stage = stage.to_json().expect("a stage that writes");
                    let back = self.worker.postpone(&run, &stage, attempts, Duration::ZERO);
                    return back.await.expect("a save");
                }
                After::Panicked => panic!("a step panicked ({:?})", self.fault),
                After::Abandon => return,
            };
            if self.fault == Fault::CrashBeforeSave(number) {
                return;
            }
            if self.fault == Fault::Zombie(number) {
                return self.overtake(&run, next).await;
            }
            let outcome = next.outcome();
            json = next.to_json().expect("a stage that writes");
            match self.worker.save(&run, next, &json).await {
                Ok(Saved::Over) => {
                    self.outcome = outcome;
                    return;
                }
                Ok(Saved::Going) => attempts = 1,
                Err(SaveError::Undone(error) | SaveError::Unknown(error)) => {
                    panic!("saving failed ({:?}): {error:?}", self.fault)
                }
            }
            if self.fault == Fault::CrashAfterSave(number) {
                return;
            }
        }
    }

    /// Another worker claims the task, the first one tries to save, the other one
    /// finishes, and the first one tries again: neither save changes anything (P14).
    async fn overtake(&mut self, zombie: &TaskContext, next: AnyTask) {
        let json = next.to_json().expect("a stage that writes");
        let claimed = self.claim().await;
        self.save_in_vain(zombie, &json).await;
        if let Some(task) = claimed {
            Box::pin(self.work(task)).await;
        }
        while let Some(task) = self.claim().await {
            Box::pin(self.work(task)).await;
        }
        self.save_in_vain(zombie, &json).await;
    }

    async fn save_in_vain(&self, zombie: &TaskContext, json: &str) {
        let before = self.record(zombie).await.expect("a row");
        let next = self.worker.kinds.read(&before.kind, json);
        let next = next.expect("a registered kind").expect("a stage that reads");
        let saved = self.worker.save(zombie, next, json).await;
        assert!(matches!(saved, Ok(Saved::Over)), "a zombie's save does not fail, it is void");
        let after = self.record(zombie).await;
        assert_eq!(after, Some(before), "a zombie changed the row ({:?})", self.fault);
    }

    async fn record(&self, run: &TaskContext) -> Option<TaskRecord> {
        let mut tx = self.worker.db.read().await.expect("a transaction");
        tx.operations().find(run.project(), run.id()).await.expect("a row")
    }
}
