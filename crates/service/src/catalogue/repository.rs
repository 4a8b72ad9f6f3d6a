//! Which repository the rows of the database are about.
//!
//! A row names a version by its chain and its number. Another repository – an empty mount point where the
//! service made a new one – counts from one again: its versions have the names of the old ones, and not
//! their content (P1, P10). So the database keeps the id of its repository, and is used with no other one
//! unless an operator says so (docs/adr/0031).

use std::collections::BTreeMap;
use std::sync::Arc;

use cbr_db::{Db, StoredDisk, Tx};
use cbr_env::Random;
use cbr_model::audit::Event;
use cbr_model::{BackupId, ChainId};
use cbr_store::{Repository, VersionRef};
use cbr_task::Task;
use uuid::Uuid;

use super::plan::Found;
use super::service::contents;
use crate::audit::{Subject, record_system};
use crate::content::reference;
use crate::error::db;
use crate::nodes::heard_of;
use crate::resources::owner;
use crate::topics::DeliverTask;
use crate::{Error, Result};

/// Where the id is kept.
const SETTING: &str = "repository.id";
/// Kept there instead, where the next start makes one although there are rows.
const NONE_YET: &str = "none yet";
/// What taking another one is recorded as.
const ACCEPTED: Event = Event::new("acceptRepository", "repository");

/// What the database knows of its repository.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expected {
    /// It is this one.
    This(Uuid),
    /// There are disks of so many backups in one whose id was not kept: an older release made them.
    Unnamed(usize),
    /// Nothing: a repository may be made.
    Nothing,
}

/// Why another repository was not accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotAccepted {
    /// Disks that the database has backups of are not in it, and it was not said that just so many are lost;
    /// or something else has their names there.
    Lacks(Lack),
    /// So many tasks that work with backups have not ended.
    Tasks(usize),
    /// Another node works with the present one; it was there so many seconds ago.
    NodeThere { name: String, seconds: i64 },
}

/// What a repository does not have of what the database has backups of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lack {
    /// So many disks are not in it.
    pub missing: usize,
    /// Of so many.
    pub of: usize,
    /// Of so many of those that are not, something else has the name: it would be taken for them.
    pub taken: usize,
}

impl Lack {
    /// A version of the same number is not enough: it has to be that backup's.
    fn new(rows: &[StoredDisk], there: &BTreeMap<VersionRef, BackupId>) -> Self {
        let named = |row: &StoredDisk| there.get(&reference(&row.version)).copied();
        let is_missing = |row: &&StoredDisk| named(row) != Some(row.backup);
        let missing: Vec<_> = rows.iter().filter(is_missing).collect();
        let taken = missing.iter().filter(|row| named(row).is_some()).count();
        Self { missing: missing.len(), of: rows.len(), taken }
    }
}

/// What the database knows of its repository.
pub async fn expected(database: &Db) -> Result<Expected> {
    let doing = "reading which repository it is";
    let mut tx = database.read().await.map_err(db(doing))?;
    if let Some(id) = known(&mut tx).await? {
        return Ok(Expected::This(id));
    }
    if tx.settings().find(SETTING).await.map_err(db(doing))?.is_some() {
        return Ok(Expected::Nothing);
    }
    Ok(match rows(&mut tx).await?.len() {
        0 => Expected::Nothing,
        count => Expected::Unnamed(count),
    })
}

/// Keeps the id of the repository, if none is known; returns the one that is.
pub async fn keep(database: &Db, id: Uuid) -> Result<Uuid> {
    let doing = "keeping which repository it is";
    let mut tx = database.begin().await.map_err(db(doing))?;
    if let Some(known) = known(&mut tx).await? {
        return Ok(known);
    }
    tx.settings().set(SETTING, &id.to_string()).await.map_err(db(doing))?;
    tx.commit().await.map_err(db(doing))?;
    tracing::info!(repository.id = %id, "the database keeps the id of its repository");
    Ok(id)
}

/// What `repository` does not have of what the database has backups of.
pub async fn lack(database: &Db, repository: Arc<Repository>) -> Result<Lack> {
    // In this order: what another node backs up meanwhile has no row that is looked at.
    let mut tx = database.read().await.map_err(db("listing stored disks"))?;
    let rows = rows(&mut tx).await?;
    drop(tx);
    Ok(Lack::new(&rows, &disks(repository).await?))
}

/// Makes `repository` the one of the database; none: the next start makes a new one, or takes what is
/// there. Nothing may depend on another one: every row has its content here, no task works with
/// backups, and no other node than `own` is there. Recorded in the account that runs the installation.
///
/// `lost`: just so many disks of the database's are lost with their repository. Their rows stay, and what is
/// backed up from now on has other names: nothing is ever taken for them.
pub async fn accept(
    database: &Db,
    repository: Option<Arc<Repository>>,
    own: Option<&str>,
    lost: usize,
    random: &dyn Random,
) -> Result<std::result::Result<(), NotAccepted>> {
    let doing = "accepting a repository";
    let id = repository.as_ref().map(|repository| repository.id());
    let there = match repository {
        Some(repository) => disks(repository).await?,
        None => BTreeMap::new(),
    };
    let mut tx = database.begin().await.map_err(db(doing))?;
    let rows = rows(&mut tx).await?;
    let lack = Lack::new(&rows, &there);
    if lack.missing != lost || lack.taken > 0 {
        return Ok(Err(NotAccepted::Lacks(lack)));
    }
    let tasks = tx.tasks().list_unfinished().await.map_err(db(doing))?;
    // All but messages.
    let tasks = tasks.iter().filter(|task| task.kind != DeliverTask::KIND).count();
    if tasks > 0 {
        return Ok(Err(NotAccepted::Tasks(tasks)));
    }
    let now = tx.now();
    for node in tx.nodes().list().await.map_err(db(doing))? {
        if let Some(seconds) = heard_of(&node, now).filter(|_| own != Some(&node.name)) {
            return Ok(Err(NotAccepted::NodeThere { name: node.name, seconds }));
        }
    }
    let before = known(&mut tx).await?;
    match id {
        Some(id) => tx.settings().set(SETTING, &id.to_string()).await,
        None if rows.is_empty() => tx.settings().remove(SETTING).await,
        None => tx.settings().set(SETTING, NONE_YET).await,
    }
    .map_err(db(doing))?;
    if lost > 0 {
        begin_chains_anew(&mut tx, random).await.map_err(db(doing))?;
    }
    let name = |id: Option<Uuid>| id.map_or_else(|| "none yet".to_owned(), |id| id.to_string());
    if let Some(project) = owner(&mut tx).await? {
        let without = if lost > 0 { format!(", {lost} disks lost") } else { String::new() };
        let subject = Subject::new(name(id), format!("instead of {}{without}", name(before)));
        record_system(&mut tx, random, project, ACCEPTED, subject).await?;
    }
    tx.commit().await.map_err(db(doing))?;
    tracing::warn!(before = name(before), now = name(id), lost, "another repository was accepted");
    Ok(Ok(()))
}

/// Another repository counts from one again: no version of it may get the name of one that is lost.
async fn begin_chains_anew(
    tx: &mut Tx,
    random: &dyn Random,
) -> std::result::Result<(), cbr_db::DbError> {
    for resource in tx.bindings().resources().await? {
        tx.bindings().begin_chain(resource, ChainId::random(random)).await?;
    }
    Ok(())
}

/// Whose disk each version is.
async fn disks(repository: Arc<Repository>) -> Result<BTreeMap<VersionRef, BackupId>> {
    let contents = contents(repository).await?;
    let of = |Found { version, card }: &Found| {
        let backup = card.disk.as_ref().map_or(card.backup.id, |disk| disk.backup);
        (reference(version), backup)
    };
    Ok(contents.found.iter().chain(&contents.trashed).map(of).collect())
}

async fn known(tx: &mut Tx) -> Result<Option<Uuid>> {
    let doing = "reading which repository it is";
    let text = tx.settings().find(SETTING).await.map_err(db(doing))?;
    let text = text.filter(|text| text != NONE_YET);
    text.map(|text| text.parse().map_err(Error::internal(doing))).transpose()
}

async fn rows(tx: &mut Tx) -> Result<Vec<StoredDisk>> {
    let doing = "listing stored disks";
    let mut rows = tx.backups().stored_disks().await.map_err(db(doing))?;
    rows.extend(tx.trash().stored_disks().await.map_err(db(doing))?);
    Ok(rows)
}
