//! Asking an object store once a day whether it still does what was found out at the start.
//!
//! The engine stops all writing if it does not (`cbr_store::Repository::ask_again`). Here the answers
//! are kept in the database and shown: in the log, in metrics, and by `cbr doctor`. A repository in a
//! directory is not asked: nobody else runs it.

use std::sync::Arc;
use std::time::Duration;

use cbr_store::Repository;
use cbr_store::backend::Probe;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::error::db;
use crate::{Error, Result};

/// How often the store is asked.
const EVERY: Duration = Duration::from_hours(24);
/// How soon after it did not answer.
const AGAIN: Duration = Duration::from_mins(10);
/// The last answers.
const SETTING: &str = "object_store.asked";

/// What the store answered when it was last asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Asked {
    /// When, in seconds since the epoch.
    pub at: i64,
    /// The questions and their answers.
    pub answers: Vec<Answered>,
    /// Why nothing is written any more, if so.
    pub stopped: Option<String>,
}

/// One question and its answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Answered {
    /// The question.
    pub question: String,
    /// Whether the store does it.
    pub holds: bool,
}

/// Asks the store now and then.
#[derive(Debug)]
pub struct StoreWatch {
    core: Arc<Core>,
}

impl StoreWatch {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Asks until `shutdown`, once a day. What the start found out is kept first.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut pause = match self.begin().await {
            Ok(false) => return,
            Ok(true) => EVERY,
            Err(error) => failed(&error),
        };
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.core.clock.sleep(pause) => {}
            }
            pause = match self.ask().await {
                Ok(_) => EVERY,
                Err(error) => failed(&error),
            };
        }
    }

    /// Keeps what the start found out; whether there is anybody to ask.
    pub async fn begin(&self) -> Result<bool> {
        match self.core.repository.last_probes() {
            None => Ok(false),
            Some(probes) => self.keep(&probes).await.map(|_| true),
        }
    }

    /// Asks the store and keeps its answers; `None` if nobody else runs it.
    pub async fn ask(&self) -> Result<Option<Asked>> {
        let repository = Arc::clone(&self.core.repository);
        let probes = spawn_blocking(move || repository.ask_again())
            .await
            .map_err(Error::internal("asking the object store"))?
            .map_err(Error::internal("asking the object store"))?;
        match probes {
            None => Ok(None),
            Some(probes) => self.keep(&probes).await.map(Some),
        }
    }

    /// What was last kept, by this process or an earlier one.
    pub async fn last(&self) -> Result<Option<Asked>> {
        last(&self.core).await
    }

    async fn keep(&self, probes: &[Probe]) -> Result<Asked> {
        let repository = &self.core.repository;
        show(repository, probes, self.core.clock.now().seconds());
        let asked = Asked {
            at: self.core.clock.now().seconds(),
            answers: probes.iter().map(Answered::of).collect(),
            stopped: repository.stopped().map(str::to_owned),
        };
        let text = serde_json::to_string(&asked).map_err(Error::internal("keeping answers"))?;
        let mut tx = self.core.db.begin().await.map_err(db("keeping answers"))?;
        tx.settings().set(SETTING, &text).await.map_err(db("keeping answers"))?;
        tx.commit().await.map_err(db("keeping answers"))?;
        Ok(asked)
    }
}

impl Answered {
    fn of(probe: &Probe) -> Self {
        Self { question: probe.name.clone(), holds: probe.holds }
    }
}

/// What the store last answered. What another release has kept and this one does not understand is
/// nothing: it is asked again within a day.
pub(crate) async fn last(core: &Core) -> Result<Option<Asked>> {
    let mut tx = core.db.read().await.map_err(db("reading answers"))?;
    let text = tx.settings().find(SETTING).await.map_err(db("reading answers"))?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

fn failed(error: &Error) -> Duration {
    tracing::warn!(error = error as &dyn std::error::Error, "the object store cannot be asked");
    AGAIN
}

fn show(repository: &Repository, probes: &[Probe], now: i64) {
    for probe in probes {
        let question = probe.name.clone();
        metrics::gauge!("cbr_object_store_promise", "question" => question)
            .set(f64::from(u8::from(probe.holds)));
    }
    metrics::gauge!("cbr_object_store_asked_timestamp_seconds").set(now as f64);
    let stopped = repository.stopped();
    metrics::gauge!("cbr_object_store_writes_stopped").set(f64::from(u8::from(stopped.is_some())));
    if let Some(reason) = stopped {
        tracing::error!(reason, "nothing is written to the object store any more");
    }
}
