//! The card: what the store keeps beside a disk's content, for the day the database is lost (P8).
//!
//! A card is JSON, sealed by the store with the version it belongs to. It names
//! account, project, vault, resource, run and backup, so that
//! [`crate::Catalogue::rebuild`] can write their rows again. It is written once and
//! never changed; what is renamed later keeps its old name in older cards.
//!
//! The layout is a promise to installations: fields are added, never renamed.

use cbr_model::backup::{AppConsistency, Backup};
use cbr_model::checkpoint::{Checkpoint, SkippedResource};
use cbr_model::identity::{Domain, Project};
use cbr_model::name::Name;
use cbr_model::resource::{IncludedVolume, ResourceKind};
use cbr_model::size::Gib;
use cbr_model::tag::Tag;
use cbr_model::vault::{Consistency, Vault, VaultKind};
use cbr_model::{
    BackupId, ChainId, CheckpointId, DomainId, ProjectId, ResourceId, Timestamp, UserId, VaultId,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The layout described here.
const LAYOUT: u32 = 1;

/// What a version of one disk is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Card {
    /// [`LAYOUT`].
    pub(crate) layout: u32,
    pub(crate) account: AccountCard,
    pub(crate) vault: VaultCard,
    pub(crate) resource: ResourceCard,
    pub(crate) checkpoint: CheckpointCard,
    /// The backup as people see it: of a volume, or of a whole server.
    pub(crate) backup: BackupCard,
    /// Which disk of a server this version is; none for a volume.
    pub(crate) disk: Option<DiskCard>,
}

/// Whose it is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct AccountCard {
    pub(crate) domain: DomainId,
    pub(crate) domain_name: String,
    pub(crate) project: ProjectId,
    pub(crate) project_name: String,
}

/// The vault at that time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct VaultCard {
    pub(crate) id: VaultId,
    pub(crate) name: Name,
    pub(crate) description: Option<String>,
    pub(crate) user: UserId,
    pub(crate) kind: VaultKind,
    pub(crate) consistency: Consistency,
    pub(crate) size: Gib,
    pub(crate) enterprise_project: String,
    pub(crate) tags: Vec<Tag>,
    pub(crate) auto_bind: bool,
    pub(crate) bind_rules: Vec<Tag>,
    pub(crate) auto_expand: bool,
    pub(crate) smn_notify: bool,
    pub(crate) threshold: u8,
    pub(crate) locked: bool,
    pub(crate) created_at: Timestamp,
}

/// The resource at that time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct ResourceCard {
    pub(crate) id: ResourceId,
    pub(crate) kind: ResourceKind,
    pub(crate) name: String,
    pub(crate) size: Gib,
    pub(crate) az: String,
    pub(crate) exclude_volumes: Vec<ResourceId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) include_volumes: Vec<IncludedVolume>,
    pub(crate) auto_protect: bool,
    /// The resource's chain; a server's disks have chains derived from it.
    pub(crate) chain: ChainId,
    pub(crate) epoch: u32,
    /// A disk that the project had made itself: to nobody else it belongs (table `disk_owners`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_own: bool,
}

/// The run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct CheckpointCard {
    pub(crate) id: CheckpointId,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) retention_days: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) skipped: Vec<SkippedResource>,
}

/// The backup.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct BackupCard {
    pub(crate) id: BackupId,
    pub(crate) name: Name,
    pub(crate) description: String,
    pub(crate) incremental: bool,
    pub(crate) auto_trigger: bool,
    pub(crate) system_disk: bool,
    /// Its owner encrypts the disk, or one of them (BAK-17).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) encrypted: bool,
    /// What came of the wish for a database backup (VLT-09, BAK-57).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) app_consistency: Option<AppConsistency>,
    pub(crate) created_at: Timestamp,
    pub(crate) expired_at: Option<Timestamp>,
}

/// One disk of a server backup.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct DiskCard {
    /// The disk's own backup.
    pub(crate) backup: BackupId,
    pub(crate) name: Name,
    /// Its place among the server's disks.
    pub(crate) index: usize,
    /// How many there are: with fewer, the server backup was never complete.
    pub(crate) count: usize,
    pub(crate) volume: ResourceId,
    pub(crate) volume_name: String,
    pub(crate) size: Gib,
    pub(crate) system_disk: bool,
    /// Its owner encrypts it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) encrypted: bool,
    pub(crate) incremental: bool,
}

/// What is kept in the store beside the versions (docs/adr/0032): about a resource, in its order.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct NoteCard {
    /// [`LAYOUT`].
    layout: u32,
    pub(crate) moved: MovedCard,
}

/// The resource was moved to another vault, with all that was kept of it in the one before.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct MovedCard {
    pub(crate) resource: ResourceId,
    pub(crate) from: VaultId,
    pub(crate) to: VaultCard,
    /// When the newest backup of it was ordered that moved.
    pub(crate) newest: Timestamp,
}

/// Bytes that are no card of ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidCard {
    /// Not JSON, or fields are missing.
    #[error("a card does not read")]
    Unreadable(#[from] serde_json::Error),
    /// Written by a newer version.
    #[error("a card has layout {0}, this version knows {LAYOUT}")]
    Layout(u32),
}

impl AccountCard {
    pub(crate) fn new(domain: &Domain, project: &Project) -> Self {
        Self {
            domain: domain.id,
            domain_name: domain.name.clone(),
            project: project.id,
            project_name: project.name.clone(),
        }
    }
}

impl VaultCard {
    pub(crate) fn new(vault: &Vault) -> Self {
        Self {
            id: vault.id,
            name: vault.name.clone(),
            description: vault.description.clone(),
            user: vault.user,
            kind: vault.kind,
            consistency: vault.consistency,
            size: vault.size,
            enterprise_project: vault.enterprise_project.clone(),
            tags: vault.tags.clone(),
            auto_bind: vault.auto_bind,
            bind_rules: vault.bind_rules.clone(),
            auto_expand: vault.auto_expand,
            smn_notify: vault.smn_notify,
            threshold: vault.threshold,
            locked: vault.locked,
            created_at: vault.created_at,
        }
    }
}

impl Card {
    /// The current layout's number.
    pub(crate) const LAYOUT: u32 = LAYOUT;

    /// The bytes to keep.
    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts, numbers and lists of them are JSON")
    }

    /// The card in `bytes`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, InvalidCard> {
        decode(bytes)
    }
}

impl NoteCard {
    /// That it was moved.
    pub(crate) const fn moved(moved: MovedCard) -> Self {
        Self { layout: LAYOUT, moved }
    }

    /// The bytes to keep.
    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts, numbers and lists of them are JSON")
    }

    /// The note in `bytes`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, InvalidCard> {
        decode(bytes)
    }
}

fn decode<C: DeserializeOwned>(bytes: &[u8]) -> Result<C, InvalidCard> {
    #[derive(Deserialize)]
    struct Layout {
        layout: u32,
    }
    // First only the number: a newer layout may read as nothing at all.
    let Layout { layout } = serde_json::from_slice(bytes)?;
    if layout != LAYOUT {
        return Err(InvalidCard::Layout(layout));
    }
    Ok(serde_json::from_slice(bytes)?)
}

impl CheckpointCard {
    pub(crate) fn new(checkpoint: &Checkpoint) -> Self {
        Self {
            id: checkpoint.id,
            name: checkpoint.name.clone(),
            description: checkpoint.description.clone(),
            retention_days: checkpoint.retention_days,
            created_at: checkpoint.created_at,
            skipped: checkpoint.skipped.clone(),
        }
    }
}

impl BackupCard {
    pub(crate) fn new(backup: &Backup, incremental: bool) -> Self {
        Self {
            id: backup.id,
            name: backup.name.clone(),
            description: backup.description.clone(),
            incremental,
            auto_trigger: backup.auto_trigger,
            system_disk: backup.system_disk,
            encrypted: backup.encrypted,
            app_consistency: backup.app_consistency.clone(),
            created_at: backup.created_at,
            expired_at: backup.expired_at,
        }
    }
}

impl DiskCard {
    pub(crate) fn new(disk: &Backup, index: usize, count: usize, incremental: bool) -> Self {
        Self {
            backup: disk.id,
            name: disk.name.clone(),
            index,
            count,
            volume: disk.resource,
            volume_name: disk.resource_name.clone(),
            size: disk.resource_size,
            system_disk: disk.system_disk,
            encrypted: disk.encrypted,
            incremental,
        }
    }
}
