//! What is tidied up from time to time: what tasks that are over have left behind.
//!
//! Every sweep may run at any time, on any node, and be interrupted anywhere. What
//! an unfinished task may need is never touched.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cbr_db::{DbError, Tx};
use cbr_model::operation::OperationStatus;
use cbr_model::{ProjectId, TaskId};
use cbr_provider::{Leftover, TaskEnd};
use cbr_store::{ChainRef, VersionInfo, VersionRef};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::content::reference;
use crate::core::Core;
use crate::error::db;
use crate::resources::refused;
use crate::tasks::restore::end_of_disks;
use crate::{
    Backups, Billing, Error, Expiry, Exports, Identity, OrganizationPolicies, Result, Trash,
};

/// How often the quick sweeps run.
const EVERY: Duration = Duration::from_mins(1);
/// Of so many rounds, one looks whether something has been in the trash long enough: an hour matters
/// to nobody who waits for days.
const TRASH_ROUNDS: u64 = 60;
/// How often the whole store is looked at, which may take hours.
const STORE_EVERY: Duration = Duration::from_hours(6);
/// TSK-01: operation logs are kept for 30 days.
const HISTORY_SECONDS: i64 = 30 * 24 * 60 * 60;

/// The sweeps.
#[derive(Debug)]
pub struct Sweeps {
    pub(crate) core: Arc<Core>,
    pub(crate) trash: Arc<Trash>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) exports: Arc<Exports>,
    pub(crate) backups: Arc<Backups>,
    pub(crate) billing: Arc<Billing>,
    pub(crate) organization_policies: Arc<OrganizationPolicies>,
    pub(crate) expiry: Arc<Expiry>,
}

impl Sweeps {
    /// Sweeps until `shutdown`. The first round, right after a start, does everything.
    ///
    /// The sweep of the store goes at its own pace: nothing else waits for it.
    pub async fn run(&self, shutdown: CancellationToken) {
        tokio::join!(
            self.run_quick(&shutdown),
            self.run_store(&shutdown),
            self.run_node(&shutdown)
        );
    }

    async fn run_store(&self, shutdown: &CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                swept = self.store() => report("store", swept),
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.core.clock.sleep(STORE_EVERY) => {}
            }
        }
    }

    /// Says again and again that this node is there, whatever else takes long: one that seems to be gone
    /// may be taken over.
    async fn run_node(&self, shutdown: &CancellationToken) {
        loop {
            report("node", self.node().await.map(|()| 0));
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.core.clock.sleep(EVERY) => {}
            }
        }
    }

    async fn run_quick(&self, shutdown: &CancellationToken) {
        for round in 0.. {
            report("tokens", self.tokens().await);
            report("history", self.history().await);
            report("leftovers", self.leftovers().await);
            report("exports", self.exports.reconcile().await);
            report("organization policies", self.organization_policies.sync().await);
            report("expired backups", self.expiry.sweep().await);
            report("metering", self.billing.meter().await);
            report("billing", self.billing.sweep().await);
            report("queue", self.queue().await.map(|()| 0));
            report("sizes", self.backups.count_sizes().await);
            if round % TRASH_ROUNDS == 0 {
                report("trash", self.trash.sweep().await);
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.pause() => {}
            }
        }
    }

    /// Waits for the next round. Copies of organization policies are awaited by somebody, so they
    /// do not wait for it.
    async fn pause(&self) {
        let mut end = self.core.clock.sleep(EVERY);
        loop {
            tokio::select! {
                () = &mut end => return,
                () = self.organization_policies.changed() => {
                    report("organization policies", self.organization_policies.sync().await);
                }
            }
        }
    }

    /// Notes that this node is there, for who asks what became of it.
    async fn node(&self) -> Result<()> {
        let mut tx = self.core.db.begin_beside().await.map_err(db("noting the node"))?;
        tx.nodes().note(&self.core.node).await.map_err(db("noting the node"))?;
        tx.commit().await.map_err(db("noting the node"))
    }

    /// Forgets tokens that are over; says how many.
    pub async fn tokens(&self) -> Result<u64> {
        self.identity.sweep_tokens().await
    }

    /// Forgets operation logs that are too old to be shown; says how many.
    pub async fn history(&self) -> Result<u64> {
        let mut tx = self.core.db.begin().await.map_err(db("sweeping tasks"))?;
        let before = tx.now().plus_seconds(-HISTORY_SECONDS);
        let swept = tx.tasks().delete_ended_before(before).await.map_err(db("sweeping tasks"))?;
        tx.commit().await.map_err(db("sweeping tasks"))?;
        Ok(swept)
    }

    /// Releases snapshots and restores whose task is over, as it ended; says how many.
    pub async fn leftovers(&self) -> Result<u64> {
        let provider = self.core.resources.provider();
        // In this order: what is opened after the list is not in it, and the task of what is in
        // it was there before.
        let leftovers = provider.leftovers().await.map_err(refused)?;
        if leftovers.is_empty() {
            return Ok(0);
        }
        let mut tx = self.core.db.read().await.map_err(db("listing tasks"))?;
        let over = over(&mut tx, leftovers).await.map_err(db("listing tasks"))?;
        drop(tx);
        let mut released = Tally::default();
        for (Leftover { name, kind }, ended) in over {
            tracing::warn!(%name, ?kind, ?ended, "releasing what a task left");
            released.note(provider.release(&name, ended).await.map_err(refused));
        }
        released.end()
    }

    /// Frees what tasks that are over have left in the store; says how many versions went.
    ///
    /// A version goes only if this database knows that its task is over and lists no
    /// backup with it, also not in the trash: then it is being taken back. So nothing goes when the database is lost or belongs to
    /// another store.
    pub async fn store(&self) -> Result<u64> {
        let repository = Arc::clone(&self.core.repository);
        let versions = blocking("listing the store", move || repository.catalogue()).await?;
        let orphans = self.orphans(&versions).await.map_err(db("comparing with the store"))?;
        let mut deleted = Tally::default();
        for orphan in &orphans {
            tracing::warn!(version = %orphan, "deleting a version that belongs to no backup");
            let (repository, gone) = (Arc::clone(&self.core.repository), *orphan);
            let delete = move || repository.delete(&gone.chain, &[gone.seq]);
            deleted.note(blocking("deleting", delete).await.map(drop));
        }
        let repository = Arc::clone(&self.core.repository);
        let chains = blocking("listing chains", move || repository.chains()).await?;
        let mut tidied = Tally::default();
        // Chains that share blocks are swept together, when the dead sessions of all of them are over.
        let mut domains = BTreeMap::new();
        for chain in chains {
            tidied.note(self.end_dead_sessions(chain).await);
            domains.entry(chain.domain()).or_insert(chain);
        }
        for chain in domains.into_values() {
            tidied.note(self.reclaim(chain).await);
        }
        tidied.end()?;
        deleted.end()
    }

    async fn reclaim(&self, chain: ChainRef) -> Result<()> {
        let repository = Arc::clone(&self.core.repository);
        let freed = blocking("reclaiming", move || repository.reclaim(&chain)).await?;
        metrics::counter!("cbr_reclaimed_bytes_total").increment(freed.removed_object_bytes);
        metrics::counter!("cbr_store_audit_rescues_total").increment(freed.rescued_packs);
        Ok(())
    }

    /// Ends sessions of tasks that this database knows to be over: they pin what they build on.
    async fn end_dead_sessions(&self, chain: ChainRef) -> Result<()> {
        let repository = Arc::clone(&self.core.repository);
        for owner in blocking("listing sessions", move || repository.unfinished(&chain)).await? {
            let mut tx = self.core.db.read().await.map_err(db("reading a task"))?;
            let is_over = is_over(&mut tx, &owner, chain).await.map_err(db("reading a task"))?;
            drop(tx);
            if is_over {
                tracing::warn!(%chain, owner, "ending a session whose task is over");
                let repository = Arc::clone(&self.core.repository);
                blocking("aborting", move || repository.abort_unfinished(&chain, &owner)).await?;
            }
        }
        Ok(())
    }

    /// In this order: a version that was listed has its row by the time its task is over.
    async fn orphans(
        &self,
        versions: &[VersionInfo],
    ) -> std::result::Result<Vec<VersionRef>, DbError> {
        let mut tx = self.core.db.read().await?;
        let mut unlisted: BTreeMap<VersionRef, &VersionInfo> =
            versions.iter().map(|info| (info.version, info)).collect();
        tx.backups()
            .each_stored_disk(|disk| {
                unlisted.remove(&reference(&disk.version));
            })
            .await?;
        // A backup that is being taken back has its versions before it has its row.
        for disk in tx.trash().stored_disks().await? {
            unlisted.remove(&reference(&disk.version));
        }
        let mut orphans = Vec::new();
        for info in unlisted.into_values() {
            if is_over(&mut tx, &info.owner, info.version.chain).await? {
                orphans.push(info.version);
            }
        }
        Ok(orphans)
    }

    /// Shows how many tasks wait and run.
    async fn queue(&self) -> Result<()> {
        let mut tx = self.core.db.read().await.map_err(db("listing tasks"))?;
        let tasks = tx.tasks().list_readable().await.map_err(db("listing tasks"))?;
        for status in [OperationStatus::Waiting, OperationStatus::Running] {
            let count = tasks.iter().filter(|task| task.status == status).count();
            metrics::gauge!("cbr_tasks", "status" => status.as_str()).set(count as f64);
        }
        Ok(())
    }
}

/// How far a sweep got. What cannot be tidied up now keeps nothing else from being so.
#[derive(Default)]
struct Tally {
    done: u64,
    failure: Option<Error>,
}

impl Tally {
    fn note(&mut self, result: Result<()>) {
        match result {
            Ok(()) => self.done += 1,
            // The first is reported; more of them are most often the same.
            Err(error) => self.failure = self.failure.take().or(Some(error)),
        }
    }

    fn end(self) -> Result<u64> {
        self.failure.map_or(Ok(self.done), Err)
    }
}

/// Those of these whose task is over, and how it ended: another node may have taken over a restore that began
/// here, and finished it. Of one that is not known that cannot be said, so it is taken as failed (P1).
async fn over(
    tx: &mut Tx,
    leftovers: Vec<Leftover>,
) -> std::result::Result<Vec<(Leftover, TaskEnd)>, DbError> {
    let unfinished = tx.tasks().unfinished_ids().await?;
    let mut over = Vec::new();
    for leftover in leftovers {
        let task = leftover.name.task();
        if unfinished.contains(&task) {
            continue;
        }
        let ended = tx.tasks().ended(task).await?;
        over.push((leftover, ended.as_ref().map_or(TaskEnd::Failed, end_of_disks)));
    }
    Ok(over)
}

/// Whether this database knows the task that owns a session or version, and knows it to be over.
async fn is_over(tx: &mut Tx, owner: &str, chain: ChainRef) -> std::result::Result<bool, DbError> {
    let Ok(task) = owner.parse::<TaskId>() else { return Ok(false) };
    let project = ProjectId::from_uuid(chain.tenant);
    // Only this of it is read: a row that cannot be read otherwise keeps nothing from being freed.
    let status = tx.operations().status(project, task).await?;
    Ok(status.is_some_and(OperationStatus::is_final))
}

async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> cbr_store::Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(work).await.map_err(Error::internal(doing))?.map_err(Error::internal(doing))
}

fn report(sweep: &'static str, result: Result<u64>) {
    match result {
        Ok(0) => {}
        Ok(count) => tracing::info!(sweep, count, "swept"),
        Err(error) => {
            tracing::warn!(sweep, error = &error as &dyn std::error::Error, "sweep failed");
        }
    }
}
