//! What is known of backups beside what the contract shows: what they cost, whether they are whole.
//!
//! From rows of the database, for a whole page of backups at once. The numbers were counted after the
//! last change of the disk's backups; until they are counted again there are none.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, MutexGuard, PoisonError};

use cbr_db::{BackupExtras, CountedSizes, DueDisk, ToCount};
use cbr_model::BackupId;
use cbr_model::backup::{Backup, Content};
use cbr_model::integrity::Integrity;
use cbr_model::size::Bytes;
use cbr_store::{ChainRef, Repository, Scope, Usage};
use tokio::task::spawn_blocking;

use super::service::Backups;
use crate::content::reference;
use crate::error::db;
use crate::{Access, Error, Result};

/// How many backups that are due are looked for at once.
const DUE_MAX: u32 = 1000;

/// What is known of a backup; of a server's, the sums of its disks and what they have in common.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Extras {
    /// Size of the disks.
    pub disk_bytes: u64,
    /// What the guide shows and counts against the vault (BAK-31, BAK-32).
    pub logical_bytes: u64,
    /// What it added to the store when it was made.
    pub stored_bytes: u64,
    /// What has to be counted; what is not known now is none.
    pub counted: CountedSizes,
    /// Whether all of it can be restored, as far as anybody looked.
    pub integrity: Integrity,
    /// How many byte ranges cannot be restored.
    pub affected_ranges: u64,
}

impl Backups {
    /// What is known of these backups and of their disks, each by its id.
    pub async fn extras(
        &self,
        access: &Access,
        backups: &[&Backup],
    ) -> Result<BTreeMap<BackupId, Extras>> {
        let disks = backups.iter().copied().flat_map(disks_of).map(|disk| disk.id);
        let disks: Vec<BackupId> = disks.collect();
        let doing = "reading what is known of backups";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let mut found = tx.backups().extras(access.project(), &disks).await.map_err(db(doing))?;
        drop(tx);
        let mut extras = BTreeMap::new();
        for backup in backups {
            let known: Vec<Extras> = disks_of(backup)
                .filter_map(|disk| {
                    let known = of_disk(disk, found.remove(&disk.id).unwrap_or_default())?;
                    extras.insert(disk.id, known.clone());
                    Some(known)
                })
                .collect();
            if let Some(all) = sum(known) {
                extras.insert(backup.id, all);
            }
        }
        Ok(extras)
    }

    /// Counts again what the backups of some disks cost, where something has changed; says of how
    /// many backups.
    pub async fn count_sizes(&self) -> Result<u64> {
        self.count_some(DUE_MAX).await
    }

    /// The same for at most `limit` backups that are due. The next round goes on where this one ended,
    /// so that what cannot be counted now is in nobody's way.
    pub(crate) async fn count_some(&self, limit: u32) -> Result<u64> {
        let doing = "counting sizes";
        let after = *self.counted();
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let due = tx.backup_sizes().due(after, limit).await.map_err(db(doing))?;
        drop(tx);
        *self.counted() = due.next;
        let (mut counted, mut failure) = (0, None);
        for disk in due.disks {
            match self.count_disk(disk).await {
                Ok(count) => counted += count,
                // One chain that cannot be read keeps no other from being counted.
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(counted), Err)
    }

    fn counted(&self) -> MutexGuard<'_, Option<BackupId>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn count_disk(&self, due: DueDisk) -> Result<u64> {
        let doing = "counting sizes";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let rows = tx.backup_sizes().of_disk(due).await.map_err(db(doing))?;
        drop(tx);
        let repository = Arc::clone(&self.core.repository);
        let counting = move || count(&repository, rows);
        let counted = spawn_blocking(counting).await.map_err(Error::internal(doing))?;
        let counted = counted.map_err(Error::internal(doing))?;
        let mut tx = self.core.db.begin().await.map_err(db(doing))?;
        for (backup, changes, sizes) in &counted {
            tx.backup_sizes().set(*backup, *changes, *sizes).await.map_err(db(doing))?;
        }
        tx.commit().await.map_err(db(doing))?;
        Ok(counted.len() as u64)
    }
}

/// The disks of a backup: itself, or its children.
fn disks_of(backup: &Backup) -> impl Iterator<Item = &Backup> {
    let itself = backup.children.is_empty().then_some(backup);
    itself.into_iter().chain(&backup.children)
}

fn of_disk(disk: &Backup, known: BackupExtras) -> Option<Extras> {
    let Some(Content::Disk(version)) = disk.state.content() else { return None };
    let BackupExtras { sizes: counted, integrity } = known;
    Some(Extras {
        disk_bytes: version.disk_bytes.0,
        logical_bytes: version.logical_bytes.0,
        stored_bytes: version.added_bytes.0,
        counted,
        affected_ranges: integrity.lost.len() as u64,
        integrity,
    })
}

/// Of all disks together; none if there are none.
fn sum(disks: Vec<Extras>) -> Option<Extras> {
    let integrity = Integrity::of_all(disks.iter().map(|disk| disk.integrity.clone()));
    let add = |a: Option<Bytes>, b: Option<Bytes>| a.zip(b).map(|(a, b)| Bytes(a.0 + b.0));
    let all = disks.into_iter().reduce(|all, disk| Extras {
        disk_bytes: all.disk_bytes + disk.disk_bytes,
        logical_bytes: all.logical_bytes + disk.logical_bytes,
        stored_bytes: all.stored_bytes + disk.stored_bytes,
        counted: CountedSizes {
            used: add(all.counted.used, disk.counted.used),
            changed: add(all.counted.changed, disk.counted.changed),
            unique: add(all.counted.unique, disk.counted.unique),
            shared: add(all.counted.shared, disk.counted.shared),
        },
        integrity: Integrity::default(),
        affected_ranges: all.affected_ranges + disk.affected_ranges,
    })?;
    Some(Extras { integrity, ..all })
}

/// Each chain is read once. What a damaged one's backups cost is unknown until something changes there:
/// it would be read in vain every minute.
fn count(
    repository: &Repository,
    rows: Vec<ToCount>,
) -> cbr_store::Result<Vec<(BackupId, i64, CountedSizes)>> {
    let mut chains: BTreeMap<ChainRef, Option<Usage>> = BTreeMap::new();
    let mut counted = Vec::with_capacity(rows.len());
    for ToCount { backup, changes, disk } in rows {
        let mut sizes = CountedSizes::default();
        if let Some(disk) = disk {
            let version = reference(&disk.version);
            let usage = match chains.entry(version.chain) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(usage(repository, &version.chain)?),
            };
            if let Some(found) = usage.as_ref().and_then(|usage| usage.version(version.seq)) {
                let changed = if found.is_first { found.used_bytes } else { found.logical_bytes };
                // What other chains share of it changes without this one; it is counted when asked for.
                let is_alone = version.chain.scope == Scope::Volume;
                sizes = CountedSizes {
                    used: Some(Bytes(found.used_bytes)),
                    changed: Some(Bytes(changed)),
                    unique: is_alone.then_some(Bytes(found.unique_bytes)),
                    shared: is_alone.then_some(Bytes(found.shared_bytes)),
                };
            }
        }
        counted.push((backup, changes, sizes));
    }
    Ok(counted)
}

/// None for a chain of which nobody can say it. An error is one that may pass.
fn usage(repository: &Repository, chain: &ChainRef) -> cbr_store::Result<Option<Usage>> {
    match repository.usage(chain) {
        Ok(usage) => Ok(Some(usage)),
        Err(error) if error.is_no_verdict() => Err(error),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(%chain, error, "what its backups cost is unknown until something changes there");
            Ok(None)
        }
    }
}
