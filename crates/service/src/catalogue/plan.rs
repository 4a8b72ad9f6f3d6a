//! Which rows a rebuild has to write: a pure function of cards and what is known.

use std::collections::{BTreeMap, BTreeSet};

use cbr_model::backup::{Backup, BackupState, Content, StoredVersion};
use cbr_model::checkpoint::Checkpoint;
use cbr_model::resource::{BoundResource, ProtectStatus, ResourceKind};
use cbr_model::size::Bytes;
use cbr_model::vault::{Charging, Vault, VaultStatus};
use cbr_model::{BackupId, ChainId, ProjectId};

use super::moves::Moves;
use crate::card::{Card, VaultCard};

/// A version with its card.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) version: StoredVersion,
    pub(super) card: Card,
}

/// What to write, each in the order in which it can be written.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// With their bindings.
    pub(super) vaults: Vec<Vault>,
    /// In whichever vault; what is written is in the vault of its backups.
    pub(super) checkpoints: Vec<Checkpoint>,
    pub(super) backups: Vec<Backup>,
    /// Versions that belong to server backups of which disks are missing.
    pub(super) incomplete: u64,
}

/// The rows that `found` describes. All its cards belong to project `home` now.
pub(super) fn plan(home: ProjectId, found: &[Found], moves: &Moves) -> Plan {
    let mut by_backup: BTreeMap<BackupId, Vec<&Found>> = BTreeMap::new();
    for one in found {
        by_backup.entry(one.card.backup.id).or_default().push(one);
    }
    let mut plan = Plan::default();
    let mut complete: Vec<&Found> = Vec::new();
    for disks in by_backup.into_values() {
        if let Some(backup) = backup(home, &disks) {
            plan.backups.push(backup);
            complete.extend(disks);
        } else {
            plan.incomplete += disks.len() as u64;
        }
    }
    plan.backups.sort_by_key(|backup| (backup.created_at, backup.id));
    // The newest card knows best how vault and resource were called, and where a chain is, if it was not
    // moved since: it moves with its resource from one vault to another (RES-21).
    complete.sort_by_key(|found| std::cmp::Reverse(found.card.backup.created_at));
    let mut places: BTreeMap<ChainId, &VaultCard> = BTreeMap::new();
    let mut chains: BTreeMap<BackupId, ChainId> = BTreeMap::new();
    let mut checkpoints = BTreeSet::new();
    for found in complete {
        let card = &found.card;
        let place = *places.entry(card.resource.chain).or_insert_with(|| moves.place(card));
        chains.insert(card.backup.id, card.resource.chain);
        if checkpoints.insert(card.checkpoint.id) {
            plan.checkpoints.push(checkpoint(home, card));
        }
        let known = plan.vaults.iter().position(|vault| vault.id == place.id);
        let at = known.unwrap_or_else(|| {
            plan.vaults.push(vault(home, place));
            plan.vaults.len() - 1
        });
        // What is elsewhere is in no vault: only its backups are.
        if card.resource.kind == ResourceKind::Native {
            continue;
        }
        let resources = &mut plan.vaults[at].resources;
        match resources.iter_mut().find(|bound| bound.id == card.resource.id) {
            Some(bound) => bound.epoch = bound.epoch.max(card.resource.epoch),
            None => resources.push(resource(card)),
        }
    }
    for backup in &mut plan.backups {
        let place = chains.get(&backup.id).and_then(|chain| places.get(chain));
        for part in std::iter::once(&mut backup.vault)
            .chain(backup.children.iter_mut().map(|child| &mut child.vault))
        {
            *part = place.map_or(*part, |place| place.id);
        }
    }
    plan
}

/// The backup that the versions make up; none if disks of a server are missing.
fn backup(home: ProjectId, disks: &[&Found]) -> Option<Backup> {
    let first = disks.first()?;
    let card = &first.card;
    let Some(disk) = &card.disk else {
        let content = Content::Disk(first.version.clone());
        return Some(Backup { incremental: card.backup.incremental, ..root(home, card, content) });
    };
    let mut server = root(home, card, Content::Server);
    for index in 0..disk.count {
        let is_here =
            |found: &&&Found| found.card.disk.as_ref().is_some_and(|disk| disk.index == index);
        server.children.push(child(&server, disks.iter().find(is_here)?)?);
    }
    server.incremental = server.children.iter().any(|child| child.incremental);
    Some(server)
}

fn root(home: ProjectId, card: &Card, content: Content) -> Backup {
    Backup {
        id: card.backup.id,
        project: home,
        vault: card.vault.id,
        checkpoint: card.checkpoint.id,
        parent: None,
        name: card.backup.name.clone(),
        description: card.backup.description.clone(),
        resource: card.resource.id,
        resource_name: card.resource.name.clone(),
        resource_kind: card.resource.kind,
        resource_size: card.resource.size,
        resource_az: card.resource.az.clone(),
        state: BackupState::Available { content },
        incremental: false,
        auto_trigger: card.backup.auto_trigger,
        system_disk: card.backup.system_disk,
        encrypted: card.backup.encrypted,
        app_consistency: card.backup.app_consistency.clone(),
        created_at: card.backup.created_at,
        updated_at: card.backup.created_at,
        protected_at: Some(card.backup.created_at),
        expired_at: card.backup.expired_at,
        children: Vec::new(),
    }
}

fn child(server: &Backup, found: &Found) -> Option<Backup> {
    let disk = found.card.disk.as_ref()?;
    Some(Backup {
        id: disk.backup,
        parent: Some(server.id),
        name: disk.name.clone(),
        resource: disk.volume,
        resource_name: disk.volume_name.clone(),
        resource_kind: ResourceKind::Volume,
        resource_size: disk.size,
        state: BackupState::Available { content: Content::Disk(found.version.clone()) },
        incremental: disk.incremental,
        system_disk: disk.system_disk,
        encrypted: disk.encrypted,
        app_consistency: None,
        children: Vec::new(),
        ..server.clone()
    })
}

fn checkpoint(home: ProjectId, card: &Card) -> Checkpoint {
    let from = &card.checkpoint;
    Checkpoint {
        id: from.id,
        project: home,
        vault: card.vault.id,
        name: from.name.clone(),
        description: from.description.clone(),
        retention_days: from.retention_days,
        created_at: from.created_at,
        skipped: from.skipped.clone(),
    }
}

fn vault(home: ProjectId, from: &VaultCard) -> Vault {
    Vault {
        id: from.id,
        project: home,
        user: from.user,
        name: from.name.clone(),
        description: from.description.clone(),
        kind: from.kind,
        consistency: from.consistency,
        size: from.size,
        used: Bytes(0),
        status: VaultStatus::Available,
        enterprise_project: from.enterprise_project.clone(),
        tags: from.tags.clone(),
        auto_bind: from.auto_bind,
        bind_rules: from.bind_rules.clone(),
        auto_expand: from.auto_expand,
        smn_notify: from.smn_notify,
        threshold: from.threshold,
        locked: from.locked,
        // What was agreed about paying is not kept with the backups.
        charging: Charging::default(),
        availability_zone: None,
        backup_name_prefix: String::new(),
        lock_source: String::new(),
        created_at: from.created_at,
        updated_at: from.created_at,
        resources: Vec::new(),
    }
}

fn resource(card: &Card) -> BoundResource {
    let from = &card.resource;
    BoundResource {
        id: from.id,
        kind: from.kind,
        name: from.name.clone(),
        size: from.size,
        protect_status: ProtectStatus::Available,
        exclude_volumes: from.exclude_volumes.clone(),
        include_volumes: from.include_volumes.clone(),
        auto_protect: from.auto_protect,
        chain: from.chain,
        epoch: from.epoch,
        backup_bytes: Bytes(0),
        backup_count: 0,
    }
}
