//! Use cases of the operator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cbr_db::{DbError, NodeRecord, StoredDisk, Tx};
use cbr_model::audit::Event;
use cbr_model::backup::Backup;
use cbr_model::checkpoint::Checkpoint;
use cbr_model::identity::{Domain, Project};
use cbr_model::vault::Vault;
use cbr_model::{CheckpointId, ProjectId, ResourceId, VaultId};
use cbr_provider::LeftoverKind;
use cbr_store::{Repository, VersionInfo, VersionRef};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::moves::Moves;
use super::owners::claims;
use super::plan::{Found, Plan, plan};
use super::report::{Finding, Health, Rebuilt};
use crate::audit::Subject;
use crate::card::{AccountCard, Card};
use crate::content::{self, reference};
use crate::core::Core;
use crate::error::{chain, db};
use crate::nodes;
use crate::resources::owner;
use crate::store_watch;
use crate::{Error, Result};

/// What leaving what was found to its policies is recorded as.
const RELEASED: Event = Event::new("releaseRebuilt", "repository");

/// Use cases of the operator.
#[derive(Debug)]
pub struct Catalogue {
    core: Arc<Core>,
}

/// What the store holds.
pub(super) struct Contents {
    pub(super) found: Vec<Found>,
    /// What is in the trash.
    pub(super) trashed: Vec<Found>,
    unreadable: u64,
}

impl Catalogue {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Creates the rows that the store knows and the database does not (P8). Repeating is fine.
    ///
    /// A project that is gone is found by the names of account and project, so that
    /// a new first start and a rebuild may come in either order.
    pub async fn rebuild(&self) -> Result<Rebuilt> {
        let Contents { found, trashed, unreadable } =
            contents(Arc::clone(&self.core.repository)).await?;
        let moves = moves(Arc::clone(&self.core.repository)).await?;
        let claims = claims(found.iter().chain(&trashed));
        let mut tx = self.core.db.begin().await.map_err(db("rebuilding the catalogue"))?;
        tx.backup_counts().recount().await.map_err(db("counting backups"))?;
        let rows = tx.backups().stored_disks().await.map_err(db("listing stored disks"))?;
        let rows = references(&rows);
        // What is being taken back is live before its row is; the row comes with its task.
        let trash = tx.trash().stored_disks().await.map_err(db("listing the trash"))?;
        let trash = references(&trash);
        let mut rebuilt = Rebuilt { unreadable, ..Rebuilt::default() };
        let mut missing: BTreeMap<ProjectId, Vec<Found>> = BTreeMap::new();
        let mut returned: BTreeMap<ProjectId, Vec<Found>> = BTreeMap::new();
        let mut present = 0;
        for one in found {
            let version = reference(&one.version);
            let project = one.card.account.project;
            if rows.contains(&version) {
                present += 1;
            } else if trash.contains(&version) {
                rebuilt.known += 1;
                returned.entry(project).or_default().push(one);
            } else {
                missing.entry(project).or_default().push(one);
            }
        }
        rebuilt.known += present;
        rebuilt.lost = (rows.len() as u64).saturating_sub(present);
        let mut is_older = !missing.is_empty() || rebuilt.lost > 0;
        for found in missing.into_values() {
            let Some(first) = found.first() else { continue };
            let home = home(&mut tx, &first.card.account).await.map_err(db("finding a project"))?;
            let plan = plan(home, &found, &moves);
            write(&mut tx, plan, &mut rebuilt).await.map_err(db("writing the catalogue"))?;
        }
        for found in returned.into_values() {
            let Some(first) = found.first() else { continue };
            let home = home(&mut tx, &first.card.account).await.map_err(db("finding a project"))?;
            let plan = plan(home, &found, &moves);
            let back = take_back(&mut tx, plan, &mut rebuilt).await;
            is_older |= back.map_err(db("taking back what the store has"))?;
        }
        let trash = rebuild_trash(&mut tx, trashed, &moves, &mut rebuilt).await;
        trash.map_err(db("writing the trash"))?;
        if is_older || rebuilt.trashed > 0 {
            // What holds and images kept meanwhile is not known, also of the backups it has (ADR 34).
            let held = tx.retention().hold_rebuilt().await;
            rebuilt.held = held.map_err(db("holding what was found"))?;
        }
        tx.commit().await.map_err(db("rebuilding the catalogue"))?;
        rebuilt.disk_owners = self.own_disks(claims).await?;
        Ok(rebuilt)
    }

    /// Notes whose disks are, of those that are there. A provider that does not answer is asked by the next
    /// rebuild.
    async fn own_disks(&self, claims: BTreeMap<ResourceId, AccountCard>) -> Result<u64> {
        let mut there = Vec::new();
        for (disk, account) in claims {
            match self.core.resources.provider().inventory().volume(disk).await {
                Ok(_) => there.push((disk, account)),
                Err(error) if error.is_not_found() => {}
                Err(error) => {
                    tracing::warn!(%disk, error = %chain(&error), "whose a disk is stays unknown");
                }
            }
        }
        let noted = async {
            let (mut tx, mut noted) = (self.core.db.begin().await?, 0);
            for (disk, account) in there {
                if tx.disk_owners().find(disk).await?.is_none() {
                    let project = home(&mut tx, &account).await?;
                    tx.disk_owners().insert(disk, project).await?;
                    noted += 1;
                }
            }
            tx.commit().await.map(|()| noted)
        };
        noted.await.map_err(db("noting whose disks are"))
    }

    /// Leaves everything that rebuilds found to its policies again; says how many backups that are. For
    /// who runs the installation, when all that has to stay is held, or has its images, again.
    pub async fn release_rebuilt(&self) -> Result<u64> {
        let doing = "leaving backups to their policies";
        let mut tx = self.core.db.begin().await.map_err(db(doing))?;
        let count = tx.retention().release_rebuilt().await.map_err(db(doing))?;
        if count > 0
            && let Some(project) = owner(&mut tx).await?
        {
            let subject = Subject::new("rebuilt", format!("{count} backups"));
            self.core.record_by_system(&mut tx, project, RELEASED, subject).await?;
        }
        tx.commit().await.map_err(db(doing))?;
        tracing::warn!(count, "backups that a rebuild found are left to their policies again");
        Ok(count)
    }

    /// Looks whether database, store and provider work and agree.
    pub async fn doctor(&self) -> Result<Vec<Finding>> {
        let mut findings = vec![self.provider().await];
        findings.extend(self.leftovers().await?);
        findings.push(self.database().await);
        findings.push(self.counts().await);
        findings.extend(self.names().await);
        findings.extend(self.other_nodes().await?);
        findings.push(self.agreement().await);
        findings.extend(self.rebuilt().await?);
        findings.extend(self.object_store().await?);
        Ok(findings)
    }

    /// Whether backups are kept because a rebuild found them.
    async fn rebuilt(&self) -> Result<Option<Finding>> {
        let doing = "counting what a rebuild found";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let count = tx.retention().count_rebuilt().await.map_err(db(doing))?;
        let next = "hold what has to stay, make its images again, then: cbr repo release";
        let told = || warning("after a rebuild", format!("{count} backups do not expire; {next}"));
        Ok((count > 0).then(told))
    }

    /// What the service was told when it last asked the object store, if there is one.
    async fn object_store(&self) -> Result<Option<Finding>> {
        const SUBJECT: &str = "object store, asked daily";
        let Some(asked) = store_watch::last(&self.core).await? else { return Ok(None) };
        let hours = self.core.clock.now().seconds().saturating_sub(asked.at) / 3600;
        let (kept, all) =
            (asked.answers.iter().filter(|answer| answer.holds).count(), asked.answers.len());
        let told = format!("last asked {hours} hours ago: {kept} of {all} answers were yes");
        Ok(Some(match asked.stopped {
            None => good(SUBJECT, told),
            Some(reason) => bad(SUBJECT, format!("{told}; {reason}")),
        }))
    }

    /// Whether the database counted right (P17): wrong only where somebody changed its rows by hand.
    async fn counts(&self) -> Finding {
        const SUBJECT: &str = "counts of backups";
        let differing = async {
            let mut tx = self.core.db.read().await?;
            tx.backup_counts().differing().await
        };
        match differing.await.map_err(db("counting backups")) {
            Ok(0) => good(SUBJECT, "they are what the backups say".to_owned()),
            Ok(wrong) => bad(
                SUBJECT,
                format!(
                    "{wrong} are not what the backups say: used capacities are wrong, and backups may be \
                     impossible to delete. Were rows changed by hand? `cbr repo rebuild` counts anew"
                ),
            ),
            Err(error) => bad(SUBJECT, chain(&error)),
        }
    }

    /// Whether a part of a name is found by an index; nothing to say if so.
    async fn names(&self) -> Option<Finding> {
        const SUBJECT: &str = "search by name";
        let asked = async { self.core.db.read().await?.backups().has_name_index().await };
        match asked.await.map_err(db("looking for an index")) {
            Ok(true) => None,
            Ok(false) => Some(warning(
                SUBJECT,
                "every name is looked at, which is slow with very many backups: PostgreSQL had no pg_trgm. Install \
                 it (contrib), then run in this database: CREATE EXTENSION pg_trgm; CREATE INDEX CONCURRENTLY \
                 backups_names ON backups USING gin (name gin_trgm_ops) WHERE parent_id IS NULL"
                    .to_owned(),
            )),
            Err(error) => Some(bad(SUBJECT, chain(&error))),
        }
    }

    async fn database(&self) -> Finding {
        let count = async {
            let mut tx = self.core.db.read().await?;
            let accounts = tx.domains().count().await?;
            let unfinished = tx.tasks().unfinished_ids().await?.len();
            Ok::<_, DbError>((accounts, unfinished))
        };
        match count.await {
            Ok((accounts, unfinished)) => good(
                "database",
                format!(
                    "{} answers; {accounts} accounts, {unfinished} unfinished tasks",
                    self.core.db.engine_name()
                ),
            ),
            Err(error) => bad("database", chain(&error)),
        }
    }

    /// Other nodes whose work waits for them.
    async fn other_nodes(&self) -> Result<Vec<Finding>> {
        let (all, now) = nodes::nodes(&self.core.db).await?;
        let others = all.iter().filter(|node| node.name != self.core.node);
        let told = |node: &NodeRecord| {
            let (name, bound) =
                (&node.name, format!("{} tasks, {} exports", node.tasks, node.exports));
            if let Some(seconds) = nodes::heard_of(node, now) {
                return Some(good(
                    "other node",
                    format!("{name} is there ({seconds} s ago): {bound}"),
                ));
            }
            let waits = node.tasks + node.exports > 0;
            waits.then(|| {
                let next =
                    format!("start it, or if it is gone for good: cbr node take-over {name}");
                warning(
                    "other node",
                    format!("{name} is not there; waiting for it: {bound}; {next}"),
                )
            })
        };
        Ok(others.filter_map(told).collect())
    }

    async fn provider(&self) -> Finding {
        match self.core.resources.provider().inventory().pools().await {
            Ok(pools) if pools.is_empty() => {
                warning("provider", "it has no pool: no disk can be made".to_owned())
            }
            // RGN-07: the others work; what lies in these is neither listed nor taken for gone.
            Ok(pools) if pools.iter().any(|pool| pool.problem.is_some()) => {
                let told = |pool: &cbr_provider::Pool| {
                    let why = pool.problem.as_ref()?;
                    Some(format!("pool {} cannot be read: {why}", pool.name))
                };
                let lost: Vec<String> = pools.iter().filter_map(told).collect();
                bad("provider", format!("{}; see that it is mounted", lost.join("; ")))
            }
            Ok(pools) => {
                let names: Vec<&str> = pools.iter().map(|pool| pool.name.as_str()).collect();
                good("provider", format!("it answers; pools: {}", names.join(", ")))
            }
            Err(error) => bad("provider", chain(&error)),
        }
    }

    /// What tasks that are over have left at the provider.
    async fn leftovers(&self) -> Result<Option<Finding>> {
        let Ok(leftovers) = self.core.resources.provider().leftovers().await else {
            return Ok(None);
        };
        let mut tx = self.core.db.read().await.map_err(db("listing tasks"))?;
        let unfinished = tx.tasks().unfinished_ids().await.map_err(db("listing tasks"))?;
        let is_orphan = |name: &cbr_provider::SnapshotName| !unfinished.contains(&name.task());
        let orphans: Vec<_> = leftovers.iter().filter(|left| is_orphan(&left.name)).collect();
        if orphans.is_empty() {
            return Ok(Some(good("leftovers", "none".to_owned())));
        }
        let restores =
            orphans.iter().filter(|left| matches!(left.kind, LeftoverKind::Restore { .. })).count();
        Ok(Some(warning(
            "leftovers",
            format!(
                "{} snapshots and {restores} restores of tasks that are over; the service releases them",
                orphans.len() - restores
            ),
        )))
    }

    /// Whether every backup has its content, and all content its backup.
    async fn agreement(&self) -> Finding {
        let compared = async {
            let contents = contents(Arc::clone(&self.core.repository)).await?;
            let mut tx = self.core.db.read().await.map_err(db("comparing"))?;
            let rows = tx.backups().stored_disks().await.map_err(db("comparing"))?;
            let trash = tx.trash().stored_disks().await.map_err(db("comparing"))?;
            let names = |found: &[Found]| -> BTreeSet<VersionRef> {
                found.iter().map(|found| reference(&found.version)).collect()
            };
            let (stored, trashed) = (names(&contents.found), names(&contents.trashed));
            let (rows_listed, trash_listed) = (references(&rows), references(&trash));
            let lost = rows_listed.difference(&stored).count();
            // What is being deleted or taken back is for a moment in the one and listed in the other.
            let known: BTreeSet<VersionRef> = rows_listed.union(&trash_listed).copied().collect();
            let unlisted =
                stored.union(&trashed).filter(|version| !known.contains(*version)).count();
            Ok::<_, Error>((rows.len(), lost, unlisted, contents.unreadable))
        };
        match compared.await {
            Ok((rows, 0, 0, 0)) => {
                good("store", format!("it answers; {rows} disks, all agree with the database"))
            }
            Ok((_, 0, unlisted, unreadable)) => warning(
                "store",
                format!(
                    "{unlisted} versions are not in the database ({unreadable} without a readable \
                     card); `cbr repo rebuild` lists those that should be"
                ),
            ),
            Ok((rows, lost, ..)) => {
                bad("store", format!("{lost} of {rows} disks of the database are not in the store"))
            }
            Err(error) => bad("store", chain(&error)),
        }
    }
}

/// What the store holds, with cards that can be read.
pub(super) async fn contents(repository: Arc<Repository>) -> Result<Contents> {
    let stored = spawn_blocking(move || repository.contents())
        .await
        .map_err(Error::internal("listing the store"))?
        .map_err(Error::internal("listing the store"))?;
    let mut unreadable = 0;
    let mut read = |versions: Vec<VersionInfo>| -> Vec<Found> {
        let found = versions.iter().filter_map(|info| match Card::decode(&info.card) {
            Ok(card) => Some(Found { version: content::stored(info), card }),
            Err(error) => {
                tracing::warn!(version = %info.version, %error, "a version has no card of ours");
                unreadable += 1;
                None
            }
        });
        found.collect()
    };
    let (found, trashed) = (read(stored.live), read(stored.trashed));
    Ok(Contents { found, trashed, unreadable })
}

/// Where resources were moved, by the notes in the store.
async fn moves(repository: Arc<Repository>) -> Result<Moves> {
    let notes = spawn_blocking(move || repository.notes())
        .await
        .map_err(Error::internal("reading notes"))?
        .map_err(Error::internal("reading notes"))?;
    Ok(Moves::of(notes))
}

fn good(subject: &str, message: String) -> Finding {
    Finding { subject: subject.to_owned(), health: Health::Good, message }
}

fn warning(subject: &str, message: String) -> Finding {
    Finding { subject: subject.to_owned(), health: Health::Warning, message }
}

fn bad(subject: &str, message: String) -> Finding {
    Finding { subject: subject.to_owned(), health: Health::Bad, message }
}

/// The versions that rows name.
fn references(rows: &[StoredDisk]) -> BTreeSet<VersionRef> {
    rows.iter().map(|row| reference(&row.version)).collect()
}

/// Takes backups out of the database's trash that are live in the store and that no task is taking back: they came
/// back after the copy of the database was made, and would be given up by it. Says whether there were any.
async fn take_back(
    tx: &mut Tx,
    plan: Plan,
    rebuilt: &mut Rebuilt,
) -> std::result::Result<bool, DbError> {
    let mut back = Vec::new();
    for backup in &plan.backups {
        if tx.trash().find(backup.project, backup.id).await?.is_some()
            && !tx.trash().is_coming_back(backup.id).await?
        {
            back.push((backup.project, backup.id, backup.vault));
        }
    }
    if back.is_empty() {
        return Ok(false);
    }
    // Only the vaults, and what is bound: the backups have rows, which know more than their cards.
    write(tx, Plan { backups: Vec::new(), incomplete: 0, ..plan }, rebuilt).await?;
    for (project, backup, vault) in back {
        if tx.trash().take_back(project, backup, vault).await? {
            rebuilt.backups += 1;
        }
    }
    Ok(true)
}

/// The rows of what is in the store's trash. The time to take it back begins anew: when it was deleted
/// is not known any more. Its vaults do not come back with it; they may have been deleted as well.
async fn rebuild_trash(
    tx: &mut Tx,
    trashed: Vec<Found>,
    moves: &Moves,
    rebuilt: &mut Rebuilt,
) -> std::result::Result<(), DbError> {
    let mut rows = tx.backups().stored_disks().await?;
    rows.extend(tx.trash().stored_disks().await?);
    let known = references(&rows);
    let mut missing: BTreeMap<ProjectId, Vec<Found>> = BTreeMap::new();
    for one in trashed.into_iter().filter(|one| !known.contains(&reference(&one.version))) {
        missing.entry(one.card.account.project).or_default().push(one);
    }
    for found in missing.into_values() {
        let Some(first) = found.first() else { continue };
        let plan = plan(home(tx, &first.card.account).await?, &found, moves);
        rebuilt.incomplete += plan.incomplete;
        for backup in &plan.backups {
            let run = plan.checkpoints.iter().find(|run| run.id == backup.checkpoint);
            if let Some(run) = run
                && tx.trash().find(backup.project, backup.id).await?.is_none()
                && tx.backups().find(backup.project, backup.id).await?.is_none()
            {
                let run = Checkpoint { vault: backup.vault, ..run.clone() };
                tx.trash().insert(backup, &run).await?;
                rebuilt.trashed += 1;
            }
        }
    }
    Ok(())
}

/// The project that takes what belonged to the card's: itself, the one of its names, or a new one.
async fn home(tx: &mut Tx, card: &AccountCard) -> std::result::Result<ProjectId, DbError> {
    if tx.projects().find(card.project).await?.is_some() {
        return Ok(card.project);
    }
    let mut known = tx.domains().find(card.domain).await?;
    if known.is_none() {
        known = tx.domains().find_by_name(&card.domain_name).await?;
    }
    let domain = if let Some(domain) = known {
        domain.id
    } else {
        let domain = Domain { id: card.domain, name: card.domain_name.clone() };
        tx.domains().insert(&domain).await?;
        domain.id
    };
    if let Some(project) = tx.projects().find_by_name(domain, &card.project_name).await? {
        return Ok(project.id);
    }
    let name = card.project_name.clone();
    let project = Project { id: card.project, domain, name, enabled: true };
    tx.projects().insert(&project).await?;
    Ok(project.id)
}

async fn write(tx: &mut Tx, plan: Plan, rebuilt: &mut Rebuilt) -> std::result::Result<(), DbError> {
    rebuilt.incomplete += plan.incomplete;
    for vault in &plan.vaults {
        if tx.vaults().find(vault.project, vault.id).await?.is_none() {
            tx.vaults().insert(&Vault { resources: Vec::new(), ..vault.clone() }).await?;
            rebuilt.vaults += 1;
        }
        for bound in &vault.resources {
            // RES-02: bound anew meanwhile, it stays where it is; its old backups are restorable.
            if tx.bindings().find(bound.id).await?.is_none() {
                tx.bindings().insert(vault.id, bound).await?;
                rebuilt.resources += 1;
            }
        }
    }
    for backup in &plan.backups {
        let run = plan.checkpoints.iter().find(|run| run.id == backup.checkpoint);
        if let Some(run) = run
            && tx.backups().find(backup.project, backup.id).await?.is_none()
        {
            let checkpoint = run_in_its_vault(tx, run, backup.vault, rebuilt).await?;
            let mut backup = Backup { checkpoint, ..backup.clone() };
            backup.children.iter_mut().for_each(|child| child.checkpoint = checkpoint);
            tx.backups().insert(&backup).await?;
            rebuilt.backups += 1;
        }
    }
    Ok(())
}

/// The run of a backup, in the backup's own vault: of a run of several resources one may have moved to
/// another vault, and there it has a run of its own.
async fn run_in_its_vault(
    tx: &mut Tx,
    run: &Checkpoint,
    vault: VaultId,
    rebuilt: &mut Rebuilt,
) -> std::result::Result<CheckpointId, DbError> {
    let (run_bits, vault_bits) = (run.id.as_uuid().as_u128(), vault.as_uuid().as_u128());
    let mut attempt = 0;
    loop {
        // The run's own id first, then ids that every rebuild finds again.
        let id = Uuid::from_u128(run_bits ^ vault_bits.wrapping_mul(attempt));
        let id = CheckpointId::from_uuid(id);
        attempt += 1;
        match tx.checkpoints().find(run.project, id).await? {
            Some(known) if known.vault == vault => return Ok(id),
            Some(_) => {} // In another vault.
            None => {
                tx.checkpoints().insert(&Checkpoint { id, vault, ..run.clone() }).await?;
                rebuilt.checkpoints += 1;
                return Ok(id);
            }
        }
    }
}
