//! A toy task that opens something outside, works, and closes it again.
//!
//! What its working stage does is told by a script. What it leaves outside is
//! in [`Outside`]; what it leaves in the database are counts of the stages entered.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cbr_db::{Db, DbError, NewTask, TaskRecord, Tx};
use cbr_env::{Clock, ManualClock, SeededRandom, SystemClock};
use cbr_model::{ProjectId, TaskId, Timestamp};
use cbr_task::{Engine, Failure, Options, Outcome, StepError, Task, TaskContext, Wake, new_task};
use cbr_testkit::TestDatabase;
use serde::{Deserialize, Serialize};

/// What the working stage does.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Retry,
    /// Got a part further before it failed.
    RetryFurther,
    Wait(Duration),
    Fail,
    Panic,
    /// Goes on until told to stop.
    UntilCancelled,
    /// Does not notice that it is told to stop.
    Hang,
    Progress(u8),
    /// The next stage's `enter` fails.
    FailEnter,
}

/// The world outside the database.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    pub(crate) script: Mutex<VecDeque<Act>>,
    pub(crate) open: Mutex<HashSet<TaskId>>,
    pub(crate) done: Mutex<HashSet<u32>>,
    pub(crate) tries: AtomicUsize,
    pub(crate) working: AtomicUsize,
    pub(crate) most_working: AtomicUsize,
    fail_enter: Mutex<bool>,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(crate) enum Toy {
    Open { parts: u32 },
    Work { next: u32, parts: u32 },
    Close { failure: Option<Failure> },
    Done { failure: Option<Failure> },
}

impl Toy {
    const fn name(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Work { .. } => "work",
            Self::Close { .. } => "close",
            Self::Done { .. } => "done",
        }
    }
}

#[async_trait]
impl Task for Toy {
    const KIND: &'static str = "toy";
    const TIME_LIMIT: Option<Duration> = Some(Duration::from_hours(1));
    type Ctx = Outside;

    async fn step(self, ctx: &Outside, run: &TaskContext) -> Result<Self, StepError<Self>> {
        match self {
            Self::Open { parts } => {
                ctx.open.lock().unwrap().insert(run.id());
                Ok(Self::Work { next: 0, parts })
            }
            Self::Work { next, parts } => {
                ctx.tries.fetch_add(1, Ordering::SeqCst);
                let working = ctx.working.fetch_add(1, Ordering::SeqCst) + 1;
                ctx.most_working.fetch_max(working, Ordering::SeqCst);
                let act = ctx.script.lock().unwrap().pop_front();
                let acted = play(act, Self::Work { next, parts }, ctx, run).await;
                ctx.working.fetch_sub(1, Ordering::SeqCst);
                acted?;
                ctx.done.lock().unwrap().insert(next);
                Ok(if next + 1 < parts {
                    Self::Work { next: next + 1, parts }
                } else {
                    Self::Close { failure: None }
                })
            }
            Self::Close { failure } => {
                ctx.open.lock().unwrap().remove(&run.id());
                Ok(Self::Done { failure })
            }
            done @ Self::Done { .. } => Ok(done),
        }
    }

    async fn enter(&self, ctx: &Outside, _: &TaskContext, tx: &mut Tx) -> Result<(), DbError> {
        let key = match self {
            Self::Work { next, .. } => format!("work {next}"),
            other => other.name().to_owned(),
        };
        let count = entered(tx, &key).await? + 1;
        tx.settings().set(&key, &count.to_string()).await?;
        if std::mem::take(&mut *ctx.fail_enter.lock().unwrap()) {
            return Err(DbError::UnknownMarker);
        }
        Ok(())
    }

    fn unwind(self, failure: Failure) -> Self {
        match self {
            Self::Open { .. } | Self::Work { .. } => Self::Close { failure: Some(failure) },
            Self::Close { failure } | Self::Done { failure } => Self::Done { failure },
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Done { failure: None } => Some(Outcome::Success),
            Self::Done { failure: Some(failure) } => Some(Outcome::Failed(failure.clone())),
            _ => None,
        }
    }

    fn may_cancel(&self) -> bool {
        matches!(self, Self::Open { .. } | Self::Work { .. })
    }
}

async fn play(
    act: Option<Act>,
    stage: Toy,
    ctx: &Outside,
    run: &TaskContext,
) -> Result<(), StepError<Toy>> {
    match act {
        None => Ok(()),
        Some(Act::Retry) => {
            let reason = "the store is away".to_owned();
            Err(StepError::Retry { stage, code: "BackupService.0001", reason, after: None })
        }
        Some(Act::RetryFurther) => {
            let Toy::Work { next, parts } = stage else { return Ok(()) };
            let (stage, reason) = (Toy::Work { next: next + 1, parts }, "cut off".to_owned());
            Err(StepError::Retry { stage, code: "BackupService.0001", reason, after: None })
        }
        Some(Act::Wait(after)) => Err(StepError::Wait { stage, after }),
        Some(Act::Fail) => {
            let reason = "the disk is gone".to_owned();
            Err(StepError::Fail { stage, code: "BackupService.0002", reason })
        }
        Some(Act::Panic) => {
            ctx.working.fetch_sub(1, Ordering::SeqCst);
            panic!("a defect in a step, on purpose")
        }
        Some(Act::UntilCancelled) => {
            while !run.is_cancelled() {
                tokio::task::yield_now().await;
            }
            Err(StepError::Cancelled { stage })
        }
        Some(Act::Hang) => std::future::pending().await,
        Some(Act::Progress(percent)) => {
            run.report_progress(percent);
            Ok(())
        }
        Some(Act::FailEnter) => {
            *ctx.fail_enter.lock().unwrap() = true;
            Ok(())
        }
    }
}

/// How often a stage was entered and saved.
pub(crate) async fn entered(tx: &mut Tx, key: &str) -> Result<u32, DbError> {
    Ok(tx.settings().find(key).await?.map_or(0, |text| text.parse().unwrap()))
}

/// A database, the outside, and a bell.
pub(crate) struct World {
    pub(crate) db: Arc<Db>,
    pub(crate) manual: ManualClock,
    clock: Arc<dyn Clock>,
    pub(crate) outside: Arc<Outside>,
    pub(crate) wake: Wake,
    pub(crate) project: ProjectId,
    random: SeededRandom,
    _database: TestDatabase,
}

impl World {
    /// With a clock that stands still.
    pub(crate) async fn on(database: TestDatabase) -> Self {
        let manual = ManualClock::new(Timestamp(1_000_000));
        Self::with(database, Arc::new(manual.clone()), manual).await
    }

    /// With the machine's clock.
    pub(crate) async fn in_real_time(database: TestDatabase) -> Self {
        let manual = ManualClock::new(Timestamp(0));
        Self::with(database, Arc::new(SystemClock::default()), manual).await
    }

    async fn with(database: TestDatabase, clock: Arc<dyn Clock>, manual: ManualClock) -> Self {
        let db = Db::open(database.url(), Arc::clone(&clock)).await.unwrap();
        let random = SeededRandom::new(3);
        Self {
            db: Arc::new(db),
            manual,
            clock,
            outside: Arc::default(),
            wake: Wake::default(),
            project: ProjectId::random(&random),
            random,
            _database: database,
        }
    }

    pub(crate) fn options() -> Options {
        Options {
            lease: Duration::from_secs(30),
            beat: Duration::from_millis(20),
            poll: Duration::from_millis(20),
            grace: Duration::from_millis(300),
            ..Options::default()
        }
    }

    pub(crate) fn engine(&self) -> Engine {
        self.engine_with(Self::options())
    }

    pub(crate) fn engine_with(&self, options: Options) -> Engine {
        let (db, clock) = (Arc::clone(&self.db), Arc::clone(&self.clock));
        Engine::new(db, clock, self.wake.clone(), options)
            .register::<Toy>(Arc::clone(&self.outside))
    }

    pub(crate) async fn run_due(&self) -> u64 {
        self.engine().run_due().await.unwrap()
    }

    pub(crate) fn script(&self, acts: impl IntoIterator<Item = Act>) {
        self.outside.script.lock().unwrap().extend(acts);
    }

    pub(crate) async fn enqueue(&self, parts: u32) -> TaskId {
        self.enqueue_with(parts, |_| {}).await
    }

    pub(crate) async fn enqueue_with(&self, parts: u32, fill: impl FnOnce(&mut NewTask)) -> TaskId {
        let id = TaskId::random(&self.random);
        let mut task = new_task(id, self.project, &Toy::Open { parts }).unwrap();
        fill(&mut task);
        let mut tx = self.db.begin().await.unwrap();
        tx.tasks().insert(&task).await.unwrap();
        tx.commit().await.unwrap();
        self.wake.wake();
        id
    }

    pub(crate) async fn record(&self, id: TaskId) -> TaskRecord {
        let mut tx = self.db.read().await.unwrap();
        tx.operations().find(self.project, id).await.unwrap().unwrap()
    }

    pub(crate) async fn cancel(&self, id: TaskId) -> bool {
        let mut tx = self.db.begin().await.unwrap();
        let is_asked = tx.operations().request_cancel(self.project, id).await.unwrap();
        tx.commit().await.unwrap();
        self.wake.wake();
        is_asked
    }

    pub(crate) async fn entered(&self, key: &str) -> u32 {
        entered(&mut self.db.read().await.unwrap(), key).await.unwrap()
    }

    /// Waits until `is_so`, in real time, but not for ever.
    /// Waits until the last act of the script has begun. (Entering its stage is not enough:
    /// the act comes after the save.)
    pub(crate) async fn until_played(&self) {
        self.until("the script is played", async || self.outside.script.lock().unwrap().is_empty())
            .await;
    }

    pub(crate) async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let clock = SystemClock::default();
        for _ in 0..2000 {
            if is_so().await {
                return;
            }
            clock.sleep(Duration::from_millis(5)).await;
        }
        panic!("did not happen within ten seconds: {what}");
    }
}
