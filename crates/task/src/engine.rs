//! The engine: claims due tasks and works on several of them at a time.

use std::sync::Arc;

use cbr_db::{Claim, ClaimedTask, Db};
use cbr_env::Clock;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::context::TaskContext;
use crate::error::TaskError;
use crate::heartbeat::{Heartbeat, after, time_out_at};
use crate::kind::Kinds;
use crate::options::Options;
use crate::task::Task;
use crate::wake::Wake;
use crate::work::Worker;

/// Runs the tasks in the database. Any number of engines share one database.
#[derive(Debug)]
pub struct Engine {
    db: Arc<Db>,
    clock: Arc<dyn Clock>,
    wake: Wake,
    options: Options,
    kinds: Kinds,
}

impl Engine {
    /// An engine that can run nothing yet.
    pub fn new(db: Arc<Db>, clock: Arc<dyn Clock>, wake: Wake, options: Options) -> Self {
        Self { db, clock, wake, options, kinds: Kinds::default() }
    }

    /// Teaches it a kind. Tasks of other kinds are left to other engines.
    #[must_use]
    pub fn register<T: Task>(mut self, ctx: Arc<T::Ctx>) -> Self {
        self.kinds.register::<T>(ctx);
        self
    }

    /// Takes back the tasks that an earlier process of this node was at work on when it died,
    /// so that they need not wait for its leases; says how many. Only for a node whose name
    /// nobody else can be using now. (If somebody is, its saves are fenced out, as ever.)
    pub async fn take_back(&self) -> Result<u64, TaskError> {
        let failed = |error| TaskError::db("take back tasks")(error);
        let mut tx = self.db.begin().await.map_err(failed)?;
        let count = tx.tasks().release_claims_of(&self.options.node).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(count)
    }

    /// Runs tasks until `shutdown`, then lets those at work stop: at the end of
    /// their step, or earlier where the step looks at
    /// [`TaskContext::is_cancelled`]. A step that does neither within
    /// `Options::grace` is dropped; its task goes on after the next start.
    pub async fn run(self, shutdown: CancellationToken) {
        let dispatcher = self.into_dispatcher();
        let mut working = JoinSet::new();
        while !shutdown.is_cancelled() {
            let is_full = working.len() >= dispatcher.worker.options.workers;
            if !is_full && dispatcher.start_one(&mut working, &shutdown).await {
                continue;
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                ended = working.join_next(), if !working.is_empty() => {
                    if let Some(Err(error)) = ended {
                        tracing::error!(%error, "a worker broke off; its lease runs out");
                    }
                }
                () = dispatcher.wake.due.notified(), if !is_full => {}
                () = dispatcher.worker.clock.sleep(dispatcher.worker.options.poll), if !is_full => {}
            }
        }
        let stop = async { while working.join_next().await.is_some() {} };
        tokio::select! {
            () = stop => {}
            () = dispatcher.worker.clock.sleep(dispatcher.worker.options.grace) => {
                tracing::warn!("some steps did not stop in time; their tasks go on after the next start");
            }
        }
        working.shutdown().await;
    }

    /// Runs what is due, one task after the other, until nothing is. For tests and
    /// for commands that want to wait for their own work.
    pub async fn run_due(self) -> Result<u64, TaskError> {
        let dispatcher = self.into_dispatcher();
        let mut count = 0;
        while let Some((task, claimed_at)) = dispatcher.claim().await? {
            dispatcher.work(task, claimed_at, CancellationToken::new()).await;
            count += 1;
        }
        Ok(count)
    }

    fn into_dispatcher(self) -> Dispatcher {
        let Self { db, clock, wake, options, kinds } = self;
        Dispatcher { worker: Worker { db, clock, options, kinds: Arc::new(kinds) }, wake }
    }
}

#[derive(Clone)]
struct Dispatcher {
    worker: Worker,
    wake: Wake,
}

impl Dispatcher {
    /// Claims a task and starts work on it; says whether there was one.
    async fn start_one(&self, working: &mut JoinSet<()>, shutdown: &CancellationToken) -> bool {
        match self.claim().await {
            Ok(Some((task, claimed_at))) => {
                let (this, shutdown) = (self.clone(), shutdown.clone());
                working.spawn(async move { this.work(task, claimed_at, shutdown).await });
                true
            }
            Ok(None) => false,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot claim tasks");
                false
            }
        }
    }

    async fn claim(&self) -> Result<Option<(ClaimedTask, u64)>, TaskError> {
        let failed = |error| TaskError::db("claim a task")(error);
        let worker = &self.worker;
        let claimed_at = worker.clock.monotonic_micros();
        let mut tx = worker.db.begin().await.map_err(failed)?;
        let lease_until = after(tx.now(), worker.options.lease);
        let claim = Claim { node: &worker.options.node, kinds: worker.kinds.names(), lease_until };
        let claimed = tx.tasks().claim(&claim).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(claimed.map(|task| (task, claimed_at)))
    }

    async fn work(&self, task: ClaimedTask, claimed_at: u64, shutdown: CancellationToken) {
        let run =
            TaskContext::new(task.id, task.project, task.fencing, task.attempts, task.progress);
        if task.cancel_requested {
            run.request_cancel();
        }
        let limit = self.worker.kinds.time_limit(&task.kind);
        let heartbeat = Heartbeat {
            db: Arc::clone(&self.worker.db),
            clock: Arc::clone(&self.worker.clock),
            options: self.worker.options.clone(),
            wake: self.wake.clone(),
            run: run.clone(),
            claimed_at,
            time_out_at: time_out_at(&task, limit, &*self.worker.clock),
        };
        // On tasks of their own: they go on while the step keeps its thread busy,
        // and end with this set.
        let mut beside = JoinSet::new();
        beside.spawn(heartbeat.beat());
        let told = run.clone();
        beside.spawn(async move {
            shutdown.cancelled().await;
            told.shut_down();
        });
        let span = tracing::info_span!("task", task.id = %task.id, task.kind = %task.kind);
        let worked = self.worker.work(task, &run).instrument(span).await;
        if let Err(error) = worked {
            tracing::warn!(
                task.id = %run.id(),
                error = &error as &dyn std::error::Error,
                "work broken off; it goes on when the lease has run out"
            );
        }
    }
}
