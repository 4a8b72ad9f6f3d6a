//! What backups cost, and what deleting them would free (VLT-85).
//!
//! A backup of a server is the sum of its disks. Each chain is read once, however many of its
//! backups are asked for.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cbr_model::BackupId;
use cbr_model::backup::StoredVersion;
use cbr_store::{ChainRef, Repository, Scope, Usage, VersionSizes};

use super::requests::{BackupSizes, WhatIf};
use super::service::Backups;
use crate::content;
use crate::{Access, Error, Result};

impl Backups {
    /// What each of these backups costs, and what deleting all of them together would free: known
    /// before, equal after.
    pub async fn what_if(&self, access: &Access, ids: &BTreeSet<BackupId>) -> Result<WhatIf> {
        let mut asked = Vec::with_capacity(ids.len());
        for id in ids {
            let backup = self.own(access, *id).await?;
            asked.push((backup.id, content::versions(&backup)));
        }
        let repository = Arc::clone(&self.core.repository);
        tokio::task::spawn_blocking(move || answer(&repository, &asked))
            .await
            .map_err(Error::internal("computing sizes"))?
            .map_err(Error::internal("computing sizes"))
    }
}

fn answer(
    repository: &Repository,
    asked: &[(BackupId, Vec<StoredVersion>)],
) -> cbr_store::Result<WhatIf> {
    let mut usages: BTreeMap<ChainRef, Usage> = BTreeMap::new();
    let mut chosen: BTreeMap<ChainRef, BTreeSet<u64>> = BTreeMap::new();
    let mut what_if = WhatIf::default();
    // A disk of a server counts once, also if the server is asked for as well.
    let mut counted = BTreeSet::new();
    // The disks that are in the store, and the backup each belongs to.
    let (mut found, mut of_backup) = (Vec::new(), Vec::new());
    for (position, (id, versions)) in asked.iter().enumerate() {
        let mut sizes = BackupSizes::default();
        for version in versions {
            let reference = content::reference(version);
            let usage = match usages.entry(reference.chain) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(repository.usage(&reference.chain)?),
            };
            if let Some(one) = add(&mut sizes, version, usage) {
                found.push(*one);
                of_backup.push(position);
                chosen.entry(reference.chain).or_default().insert(reference.seq);
            }
            if counted.insert(reference) {
                what_if.logical_bytes += version.logical_bytes.0;
            }
        }
        what_if.backups.push((*id, sizes));
    }
    for (exact, position) in repository.exact(found)?.into_iter().zip(of_backup) {
        let (_, sizes) = &mut what_if.backups[position];
        sizes.unique_bytes += exact.unique_bytes;
        sizes.shared_bytes += exact.shared_bytes;
    }
    let (alone, sharing): (BTreeMap<_, _>, BTreeMap<_, _>) =
        chosen.into_iter().partition(|(chain, _)| chain.scope == Scope::Volume);
    for (chain, seqs) in &alone {
        what_if.freed_bytes += usages.get(chain).map_or(0, |usage| usage.freed_bytes(seqs));
    }
    what_if.freed_bytes += repository.predict_deletions(&sharing)?.freed_bytes;
    Ok(what_if)
}

/// Adds one disk. One that is no longer in the store needs nothing.
fn add<'a>(
    sizes: &mut BackupSizes,
    version: &StoredVersion,
    usage: &'a Usage,
) -> Option<&'a VersionSizes> {
    sizes.disk_bytes += version.disk_bytes.0;
    sizes.logical_bytes += version.logical_bytes.0;
    sizes.stored_bytes += version.added_bytes.0;
    let found = usage.version(version.seq)?;
    sizes.used_bytes += found.used_bytes;
    sizes.changed_bytes += if found.is_first { found.used_bytes } else { found.logical_bytes };
    Some(found)
}
