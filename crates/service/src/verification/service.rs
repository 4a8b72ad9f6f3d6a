//! The scrub as it runs beside everything else, and what is known of a backup.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cbr_db::{DbError, StoredDisk, TaskRecord};
use cbr_model::backup::Backup;
use cbr_model::integrity::Integrity;
use cbr_model::operation::{OperationStatus, OperationType};
use cbr_model::{BackupId, ResourceId, TaskId, Timestamp};
use cbr_store::{DomainId, Job, ScrubBudget, ScrubCursor, ScrubLevel, ScrubStep, Spot};
use cbr_task::Task;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::apply::{Finding, apply_domain};
use super::budget::{State, VerifyOptions};
use crate::audit::Subject;
use crate::backups::existing;
use crate::content::reference;
use crate::core::Core;
use crate::error::db;
use crate::tasks::limit::check_room;
use crate::tasks::verify_backup::{self, VerifyTask};
use crate::vaults::existing as existing_vault;
use crate::{Access, Error, Result};

/// How often it is looked whether there is something to read.
const EVERY: Duration = Duration::from_mins(1);
/// Of so many rounds one counts what is known, which reads a row for every backup there is.
const SHOW_ROUNDS: u64 = 10;
/// A step takes seconds; who holds the scrub longer than this has died.
const BUSY_SECONDS: i64 = 10 * 60;
/// So long backups and restores come first.
const YIELD_SECONDS: i64 = 60 * 60;
/// So many backups are marked in one transaction: a few hundredths of a second.
const MARKED_AT_ONCE: u32 = 2000;
/// Where the state is kept.
const SETTING: &str = "scrub";

/// Use cases of verification.
#[derive(Debug)]
pub struct Verification {
    core: Arc<Core>,
    shown: Mutex<Shown>,
}

/// What was counted when all backups were looked at last.
#[derive(Debug, Default)]
struct Shown {
    /// What the repository holds, about: how much a day has to read follows from it.
    stored_bytes: Option<u64>,
    /// The resources of which a metric is shown.
    resources: BTreeSet<ResourceId>,
}

impl Verification {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core, shown: Mutex::default() }
    }

    /// What is known of a backup; of a server's what its disks have in common.
    pub async fn integrity(&self, access: &Access, id: BackupId) -> Result<Integrity> {
        let mut tx = self.core.db.read().await.map_err(db("reading a backup"))?;
        let backup = existing(&mut tx, access.project(), id).await?;
        let mut disks = Vec::new();
        for disk in disks_of(&backup) {
            let known = tx.verification().integrity(access.project(), disk).await;
            disks.push(known.map_err(db("reading what is known of a backup"))?.unwrap_or_default());
        }
        match (disks.len(), disks.pop()) {
            (1, Some(only)) => Ok(only),
            (_, last) => Ok(Integrity::of_all(disks.into_iter().chain(last))),
        }
    }

    /// Reads everything a restore of it would read; done by the task whose id is returned. While one is
    /// at it, that is its id.
    pub async fn verify(&self, access: &Access, id: BackupId) -> Result<TaskId> {
        let mut tx = self.core.change(access, "verifying a backup").await?;
        let backup = existing(&mut tx, access.project(), id).await?;
        let vault = existing_vault(&mut tx, access.project(), backup.vault).await?;
        let unfinished = tx.tasks().list_readable().await.map_err(db("listing tasks"))?;
        let is_same =
            |task: &&TaskRecord| task.kind == VerifyTask::KIND && task.backup == Some(backup.id);
        if let Some(running) = unfinished.iter().find(is_same) {
            return Ok(running.id);
        }
        check_room(&unfinished, access.project(), VerifyTask::KIND)?;
        let task = verify_backup::new(&self.core, access, &vault, &backup);
        let id = task.id;
        tx.tasks().insert(&task).await.map_err(db("adding a task"))?;
        tx.commit(Subject::new(backup.id, &backup.name)).await?;
        self.core.wake();
        Ok(id)
    }

    /// Scrubs a little every minute until `shutdown`.
    pub async fn run(&self, options: VerifyOptions, shutdown: CancellationToken) {
        for round in 0_u64.. {
            match self.scrub(&options, &shutdown).await {
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "scrubbing failed");
                }
            }
            if round.is_multiple_of(SHOW_ROUNDS)
                && let Err(error) = self.show().await
            {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot show integrity");
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.core.clock.sleep(EVERY) => {}
            }
        }
    }

    /// One step, if it is time for one; says whether there was.
    pub async fn scrub(
        &self,
        options: &VerifyOptions,
        shutdown: &CancellationToken,
    ) -> Result<bool> {
        let stored_bytes = self.shown().stored_bytes;
        let stored_bytes = match stored_bytes {
            Some(bytes) => bytes,
            None => self.count_stored().await.map_err(db("scrubbing"))?,
        };
        let Some((mut state, budget)) =
            self.reserve(options, stored_bytes).await.map_err(db("scrubbing"))?
        else {
            return Ok(false);
        };
        // A cursor of another release begins anew.
        let cursor: ScrubCursor = state.cursor.parse().unwrap_or_default();
        let step = self.step(budget, cursor, shutdown).await;
        let step = match step {
            Ok(step) => step,
            Err(error) => {
                self.release(&state).await.map_err(db("scrubbing"))?;
                return Err(error);
            }
        };
        let (findings, unseen) = match self.findings(&step).await {
            Ok(found) => found,
            Err(error) => (Vec::new(), Some(error)),
        };
        if let Some(error) = unseen {
            // The step is done again, so that nothing it found is lost; what is known already is noted.
            self.note(&findings).await.map_err(db("scrubbing"))?;
            // It was read all the same: what is done again every minute stays within the limits too.
            spend(&mut state, &step);
            self.release(&state).await.map_err(db("scrubbing"))?;
            return Err(error);
        }
        self.save(state, step, options.level, findings).await.map_err(db("scrubbing"))?;
        Ok(true)
    }

    /// What may be read now, kept from others until it is done.
    async fn reserve(
        &self,
        options: &VerifyOptions,
        stored_bytes: u64,
    ) -> std::result::Result<Option<(State, ScrubBudget)>, DbError> {
        let mut tx = self.core.db.begin().await?;
        let now = tx.now();
        let mut state = load(tx.settings().find(SETTING).await?);
        if state.busy_until > now.seconds() {
            return Ok(None);
        }
        let tasks = tx.tasks().list_readable().await?;
        let works =
            |operation| matches!(operation, Some(OperationType::Backup | OperationType::Restore));
        let is_busy = tasks
            .iter()
            .any(|task| task.status == OperationStatus::Running && works(task.operation));
        if is_busy && now.seconds() - state.counted_at < YIELD_SECONDS {
            return Ok(None);
        }
        let budget = state.allow(options, stored_bytes, now);
        if state.pass_started == 0 {
            state.begin(now);
        }
        state.busy_until = if budget.is_some() { now.seconds() + BUSY_SECONDS } else { 0 };
        tx.settings().set(SETTING, &store(&state)).await?;
        tx.commit().await?;
        Ok(budget.map(|budget| (state, budget)))
    }

    /// Looks at all backups, so only before the first step; later it is counted with the metrics.
    async fn count_stored(&self) -> std::result::Result<u64, DbError> {
        let mut tx = self.core.db.read().await?;
        let mut bytes = 0;
        tx.backups().each_stored_disk(|disk| bytes += disk.version.added_bytes.0).await?;
        self.shown().stored_bytes = Some(bytes);
        Ok(bytes)
    }

    fn shown(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn release(&self, state: &State) -> std::result::Result<(), DbError> {
        let mut tx = self.core.db.begin().await?;
        tx.settings().set(SETTING, &store(&State { busy_until: 0, ..state.clone() })).await?;
        tx.commit().await
    }

    async fn step(
        &self,
        budget: ScrubBudget,
        cursor: ScrubCursor,
        shutdown: &CancellationToken,
    ) -> Result<ScrubStep> {
        let repository = Arc::clone(&self.core.repository);
        let job = Job { cancel: Arc::new(AtomicBool::new(false)), ..Job::quiet() };
        let cancel = Arc::clone(&job.cancel);
        let mut running = spawn_blocking(move || repository.scrub(&budget, &cursor, &job));
        let done = tokio::select! {
            done = &mut running => done,
            () = shutdown.cancelled() => {
                cancel.store(true, Ordering::Relaxed);
                running.await
            }
        };
        done.map_err(Error::internal("scrubbing"))?.map_err(Error::internal("scrubbing"))
    }

    /// What is wrong now in the domains the step found something in; at the end of a pass also in
    /// those in which something was known. With an error what could not be seen.
    async fn findings(&self, step: &ScrubStep) -> Result<(Vec<Finding>, Option<Error>)> {
        let mut spots: BTreeMap<DomainId, BTreeSet<Spot>> = BTreeMap::new();
        for problem in &step.problems {
            tracing::error!(
                object = problem.object,
                what = problem.what,
                "the repository is damaged"
            );
            if let Some(domain) = problem.domain {
                spots.entry(domain).or_default().extend(problem.spot);
            }
        }
        let mut tx = self.core.db.read().await.map_err(db("reading known damage"))?;
        let known = tx.verification().damage().await.map_err(db("reading known damage"))?;
        let is_asked = !known.is_empty() && (step.is_pass_complete || !spots.is_empty());
        let disks = if is_asked {
            tx.backups().stored_disks().await.map_err(db("reading known damage"))?
        } else {
            Vec::new()
        };
        drop(tx);
        for domain in disks.iter().map(|disk| reference(&disk.version).chain.domain()) {
            let name = domain.to_string();
            let mut here = known.iter().filter(|damage| damage.domain == name).peekable();
            let is_known = here.peek().is_some();
            let here: Vec<Spot> = here.filter_map(|damage| damage.spot.parse().ok()).collect();
            if is_known && (step.is_pass_complete || spots.contains_key(&domain)) {
                spots.entry(domain).or_default().extend(here);
            }
        }
        let (mut findings, mut unseen) = (Vec::new(), None);
        for (domain, spots) in spots {
            match self.core.recheck(domain, spots.into_iter().collect()).await {
                Ok(finding) => findings.push(finding),
                // What cannot be seen of one says nothing of the others.
                Err(error) => unseen = Some(error),
            }
        }
        Ok((findings, unseen))
    }

    async fn note(&self, findings: &[Finding]) -> std::result::Result<(), DbError> {
        let mut tx = self.core.db.begin().await?;
        for finding in findings {
            apply_domain(&mut tx, finding).await?;
        }
        tx.commit().await
    }

    async fn save(
        &self,
        mut state: State,
        step: ScrubStep,
        level: ScrubLevel,
        findings: Vec<Finding>,
    ) -> std::result::Result<(), DbError> {
        spend(&mut state, &step);
        let mut tx = self.core.db.begin().await?;
        for sound in &step.sound {
            tx.verification().set_scrubbed(&sound.object, word(level)).await?;
        }
        for finding in &findings {
            apply_domain(&mut tx, finding).await?;
        }
        state.cursor = step.cursor.to_string();
        state.busy_until = 0;
        state.read(level);
        if step.is_pass_complete {
            let started = Timestamp(state.pass_started);
            if state.is_full() {
                // What is wrong is known first. Who dies in between does the same step again.
                tx.commit().await?;
                self.mark_whole(started).await?;
                tx = self.core.db.begin().await?;
            }
            tx.verification().forget_scrubbed_before(started).await?;
            tracing::info!(pass = state.passes + 1, "everything in the repository was read again");
            state.passes += 1;
            state.pass_ended = Some(tx.now().0);
            state.begin(tx.now());
        }
        tx.settings().set(SETTING, &store(&state)).await?;
        tx.commit().await
    }

    /// Everything that was there when the pass began was read in it.
    async fn mark_whole(&self, started: Timestamp) -> std::result::Result<(), DbError> {
        let mut after = None;
        loop {
            let mut tx = self.core.db.begin().await?;
            after = tx.verification().mark_whole(started, after, MARKED_AT_ONCE).await?;
            tx.commit().await?;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Shows what is known as metrics (P35).
    pub(crate) async fn show(&self) -> Result<()> {
        let doing = "showing what is known";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let state = load(tx.settings().find(SETTING).await.map_err(db(doing))?);
        let newest = tx.verification().newest_whole().await.map_err(db(doing))?;
        let damaged = tx.verification().damaged_backups().await.map_err(db(doing))?;
        let mut stored_bytes = 0;
        let count = |disk: StoredDisk| stored_bytes += disk.version.added_bytes.0;
        tx.backups().each_stored_disk(count).await.map_err(db(doing))?;
        metrics::gauge!("cbr_damaged_backups").set(damaged as f64);
        if let Some(ended) = state.pass_ended {
            metrics::gauge!("cbr_verify_last_pass_timestamp_seconds")
                .set(Timestamp(ended).seconds() as f64);
        }
        let now: BTreeSet<ResourceId> = newest.keys().copied().collect();
        let before = std::mem::replace(
            &mut *self.shown(),
            Shown { stored_bytes: Some(stored_bytes), resources: now.clone() },
        );
        let gauge = |resource: ResourceId| {
            let resource = resource.to_string();
            metrics::gauge!("cbr_backup_last_verified_timestamp_seconds", "resource" => resource)
        };
        for (resource, at) in newest {
            gauge(resource).set(at.seconds() as f64);
        }
        // A metric cannot be taken back; what is no number is not rendered.
        for gone in before.resources.difference(&now) {
            gauge(*gone).set(f64::NAN);
        }
        Ok(())
    }
}

impl Core {
    /// What is wrong now in a domain.
    pub(crate) async fn recheck(&self, domain: DomainId, spots: Vec<Spot>) -> Result<Finding> {
        let repository = Arc::clone(&self.repository);
        let looked =
            spawn_blocking(move || repository.recheck(&domain, &spots, &Job::quiet())).await;
        let problems = looked
            .map_err(Error::internal("looking at damage again"))?
            .map_err(Error::internal("looking at damage again"))?;
        Ok(Finding { domain, problems, verified: None })
    }

    /// What is known to be damaged in a domain.
    pub(crate) async fn known_damage(&self, domain: DomainId) -> Result<Vec<Spot>> {
        let mut tx = self.db.read().await.map_err(db("reading known damage"))?;
        let known = tx.verification().damage_in(&domain.to_string()).await;
        let known = known.map_err(db("reading known damage"))?;
        Ok(known.iter().filter_map(|damage| damage.spot.parse().ok()).collect())
    }
}

/// Takes off what a step read.
fn spend(state: &mut State, step: &ScrubStep) {
    metrics::counter!("cbr_verify_read_bytes_total").increment(step.read_bytes);
    metrics::counter!("cbr_verify_requests_total").increment(step.requests);
    state.spend(step.read_bytes, step.requests);
}

fn disks_of(backup: &Backup) -> Vec<BackupId> {
    if backup.children.is_empty() {
        return vec![backup.id];
    }
    backup.children.iter().map(|child| child.id).collect()
}

const fn word(level: ScrubLevel) -> &'static str {
    match level {
        ScrubLevel::Structure => "structure",
        ScrubLevel::Sample => "sample",
        ScrubLevel::Full => "full",
    }
}

/// A state of another release, or none, begins anew.
fn load(text: Option<String>) -> State {
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

fn store(state: &State) -> String {
    serde_json::to_string(state).expect("numbers and texts are JSON")
}
