//! One disk of an open snapshot, or an image in a bucket, becomes one version of its chain.
//!
//! ```text
//! look for a version of this task ──found──▶ done before the last crash
//!        │ none
//! abort what this task left ─▶ begin ─▶ write ─▶ confirm ─▶ commit
//! ```
//! The owner of a session is the task's id. The task has the resource to itself,
//! so any other unfinished session of the chain belongs to a dead task.

use std::sync::Arc;

use cbr_model::backup::StoredVersion;
use cbr_model::{ProjectId, ResourceId, TaskId};
use cbr_provider::{DiskReader, SnapshotName};
use cbr_store::{ChainRef, DomainId, Job, Repository, Session, VersionInfo, WriteStats};
use cbr_task::TaskContext;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::disk_bytes::{Share, Source};
use super::image::Image;
use super::trouble::Trouble;
use crate::card::Card;
use crate::content;
use crate::core::Core;
use crate::error::db;
use crate::verification::apply_domain;

/// A version this task made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Made {
    /// Where it lies.
    pub(crate) version: StoredVersion,
    /// Whether it builds on an earlier one.
    pub(crate) incremental: bool,
}

/// What to copy, and where to.
pub(super) struct DiskCopy<'a> {
    pub(super) core: &'a Core,
    pub(super) run: &'a TaskContext,
    pub(super) from: ReadFrom<'a>,
    /// What is asked for; where it lies, and with what it shares, the store knows.
    pub(super) chain: ChainRef,
    pub(super) share: Share,
}

/// Where the bytes come from.
#[derive(Clone, Copy)]
pub(super) enum ReadFrom<'a> {
    /// This disk, in the snapshot of the task.
    Snapshot(ResourceId),
    /// An image in a bucket that the project may read.
    Image(ProjectId, &'a Image),
}

enum Begun {
    /// A crashed attempt had finished it.
    Before(VersionInfo),
    Now(Box<Session>),
}

impl DiskCopy<'_> {
    /// Copies the disk; `card` gets whether the version builds on an earlier one.
    pub(super) async fn run(
        &self,
        card: impl FnOnce(bool) -> Card + Send,
    ) -> Result<Made, Trouble> {
        let repository = Arc::clone(&self.core.repository);
        let (chain, owner) = (self.chain, owner(self.run.id()));
        let session = match spawn_blocking(move || begin(&repository, &chain, &owner)).await?? {
            Begun::Before(info) => return Ok(made(&info)),
            Begun::Now(session) => session,
        };
        let session = self.warned(session).await?;
        let reader = match self.reader().await {
            Ok(reader) => reader,
            Err(trouble) => return Err(given_up(session, trouble).await),
        };
        let job = self.share.job(self.run);
        let source_of_bytes = Source { reader, pace: Arc::clone(&self.core.pace) };
        let (session, stats) = write(session, source_of_bytes, job).await?;
        // Asked before the commit: what was read might be no point in time (P1).
        if let Err(trouble) = self.confirm().await {
            return Err(given_up(session, trouble).await);
        }
        if self.run.is_cancelled() {
            return Err(given_up(session, Trouble::Stopped).await);
        }
        let card = card(!session.is_first()).encode();
        let info = spawn_blocking(move || session.commit(&card)).await??;
        count(&stats);
        self.look_again(info.version.chain.domain()).await;
        Ok(made(&info))
    }
}

impl DiskCopy<'_> {
    async fn reader(&self) -> Result<Arc<dyn DiskReader>, Trouble> {
        match self.from {
            ReadFrom::Snapshot(volume) => {
                let snapshot = SnapshotName::for_task(self.run.id());
                let source = self.core.resources.provider().source();
                Ok(source.reader(&snapshot, volume).await?)
            }
            ReadFrom::Image(project, image) => image.open(self.core, project).await,
        }
    }

    /// That what was read is one point in time.
    async fn confirm(&self) -> Result<(), Trouble> {
        match self.from {
            ReadFrom::Snapshot(_) => {
                let snapshot = SnapshotName::for_task(self.run.id());
                Ok(self.core.resources.provider().source().confirm(&snapshot).await?)
            }
            ReadFrom::Image(project, image) => image.confirm(self.core, project).await,
        }
    }

    /// The session knows what is damaged, does not build on it, and heals what it can (P5).
    async fn warned(&self, mut session: Box<Session>) -> Result<Box<Session>, Trouble> {
        match self.core.known_damage(session.version().chain.domain()).await {
            Ok(known) => {
                session.distrust(&known);
                Ok(session)
            }
            Err(error) => Err(given_up(session, error.into()).await),
        }
    }

    /// Earlier versions may be whole again. If that cannot be seen now, a later scrub sees it.
    async fn look_again(&self, domain: DomainId) {
        let core = self.core;
        let looked = async {
            let known = core.known_damage(domain).await?;
            if known.is_empty() {
                return Ok::<(), crate::Error>(());
            }
            let finding = core.recheck(domain, known).await?;
            let mut tx = core.db.begin().await.map_err(db("noting damage"))?;
            apply_domain(&mut tx, &finding).await.map_err(db("noting damage"))?;
            tx.commit().await.map_err(db("noting damage"))
        };
        if let Err(error) = looked.await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "cannot see whether earlier backups were healed");
        }
    }
}

/// Who the store says began a session.
pub(super) fn owner(task: TaskId) -> String {
    task.to_string()
}

fn begin(repository: &Repository, chain: &ChainRef, owner: &str) -> cbr_store::Result<Begun> {
    let chain = &repository.resolve(chain)?;
    if let Some(info) = repository.find_by_owner(chain, owner)? {
        return Ok(Begun::Before(info));
    }
    repository.abort_unfinished(chain, owner)?;
    // A commit that was on its way may have been faster than the abort.
    if let Some(info) = repository.find_by_owner(chain, owner)? {
        return Ok(Begun::Before(info));
    }
    match repository.begin(chain, owner) {
        Err(cbr_store::Error::ChainBusy { owner: dead }) => {
            repository.abort_unfinished(chain, &dead)?;
            repository.begin(chain, owner)
        }
        begun => begun,
    }
    .map(|session| Begun::Now(Box::new(session)))
}

async fn write(
    mut session: Box<Session>,
    source: Source,
    job: Job,
) -> Result<(Box<Session>, WriteStats), Trouble> {
    let (session, written) = spawn_blocking(move || {
        let written = session.write(&source, None, &job);
        (session, written)
    })
    .await?;
    match written {
        Ok(stats) => Ok((session, stats)),
        Err(error) => Err(given_up(session, error.into()).await),
    }
}

/// Frees what the session wrote. What cannot be freed now, the next attempt or the sweep frees.
async fn given_up(session: Box<Session>, trouble: Trouble) -> Trouble {
    match spawn_blocking(move || session.abort()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot abort a session");
        }
        Err(error) => tracing::warn!(%error, "cannot abort a session"),
    }
    trouble
}

/// Frees everything a failed task left in a chain, committed or not.
pub(super) async fn undo(core: &Core, chain: ChainRef, task: TaskId) -> Result<(), Trouble> {
    let repository = Arc::clone(&core.repository);
    let owner = owner(task);
    spawn_blocking(move || {
        let chain = repository.resolve(&chain)?;
        repository.abort_unfinished(&chain, &owner)?;
        while let Some(info) = repository.find_by_owner(&chain, &owner)? {
            repository.delete(&chain, &[info.version.seq])?;
        }
        Ok::<(), cbr_store::Error>(())
    })
    .await?
    .map_err(Trouble::from)
}

fn made(info: &VersionInfo) -> Made {
    // What its card says: one that builds only on what is in the trash is no increment to the tenant.
    let incremental = match Card::decode(&info.card) {
        Ok(card) => card.disk.map_or(card.backup.incremental, |disk| disk.incremental),
        Err(_) => info.parent.is_some(),
    };
    Made { version: content::stored(info), incremental }
}

fn count(stats: &WriteStats) {
    metrics::counter!("cbr_backup_read_bytes_total").increment(stats.read_bytes);
    metrics::counter!("cbr_backup_changed_bytes_total").increment(stats.changed_bytes);
    metrics::counter!("cbr_backup_stored_bytes_total").increment(stats.stored_bytes);
    metrics::counter!("cbr_healed_bytes_total").increment(stats.healed_bytes);
}
