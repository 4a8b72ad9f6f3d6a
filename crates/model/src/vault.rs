//! Vaults: containers of resources and their backups.
//!
//! ```text
//!            capacity, specification or billing changes
//!   Available ◀──────────────────────────────────────▶ Locked
//!       │  ▲                                             │
//!       │  └──────── paid ──────── Frozen ◀── arrears ───┤
//!       ├───────────────── delete ──────────▶ Deleting ──▶ (row gone)
//!       └──▶ Error ─────── delete ────────────▲
//! ```

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::{OrderId, ProjectId, UserId, VaultId};
use crate::name::Name;
use crate::order::PeriodUnit;
use crate::resource::{BoundResource, ResourceKind, ResourceType};
use crate::size::{Bytes, Gib};
use crate::tag::Tag;

/// Most resources in one vault (RES-01).
pub const RESOURCES_MAX: usize = 256;
/// Largest capacity of a vault (VLT-10).
pub const CAPACITY_MAX: Gib = Gib(10_485_760);
/// Smallest capacity the API takes (contract C1; consoles start at 10).
pub const CAPACITY_MIN: Gib = Gib(1);
/// The capacity of a file vault is a number of these: 1 to 10 240 TB (VLT-11).
pub const FILE_CAPACITY_STEP: Gib = Gib(1024);

/// What a vault holds (contract `object_type`; VLT-01).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VaultKind {
    /// Servers.
    Server,
    /// Disks.
    Disk,
    /// File systems. There are none to bind.
    Turbo,
    /// Directories of hosts: the vault of a hybrid cloud (Z-28).
    File,
}

impl VaultKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Server, Self::Disk, Self::Turbo, Self::File];

    /// The contract's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Disk => "disk",
            Self::Turbo => "turbo",
            Self::File => "file",
        }
    }

    /// The kind the contract's word means.
    pub fn from_str_exact(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The only type of resource such a vault takes (contract B.6).
    pub const fn resource_type(self) -> ResourceType {
        match self {
            Self::Server => ResourceType::Kind(ResourceKind::Server),
            Self::Disk => ResourceType::Kind(ResourceKind::Volume),
            Self::Turbo => ResourceType::Turbo,
            Self::File => ResourceType::Kind(ResourceKind::Native),
        }
    }

    /// The kind of resource such a vault holds; none: there is nothing here that it could hold.
    pub const fn resource_kind(self) -> Option<ResourceKind> {
        match self.resource_type() {
            ResourceType::Kind(kind) => Some(kind),
            ResourceType::Turbo => None,
        }
    }

    /// Whether it is the vault of a hybrid cloud (Z-28).
    pub const fn is_hybrid(self) -> bool {
        matches!(self, Self::File)
    }

    /// Whether backups in it may be copied to another region (REP-07, contract C1).
    pub const fn is_replicable(self) -> bool {
        matches!(self, Self::Server | Self::Turbo)
    }

    /// A capacity is a whole number of these; the first is the smallest (VLT-10, VLT-11).
    pub const fn capacity_step(self) -> Gib {
        match self {
            Self::Server | Self::Disk | Self::Turbo => CAPACITY_MIN,
            Self::File => FILE_CAPACITY_STEP,
        }
    }
}

/// Specification of a server vault (VLT-02).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// Ordinary backups.
    CrashConsistent,
    /// Database backups.
    AppConsistent,
}

impl Consistency {
    /// The contract's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CrashConsistent => "crash_consistent",
            Self::AppConsistent => "app_consistent",
        }
    }

    /// The consistency the contract's word means.
    pub fn from_str_exact(text: &str) -> Option<Self> {
        [Self::CrashConsistent, Self::AppConsistent].into_iter().find(|c| c.as_str() == text)
    }
}

/// State of a vault (VLT-50; contract B.2 `billing.status`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VaultStatus {
    /// Everything is allowed.
    Available,
    /// Capacity, specification or billing is changing.
    Lock,
    /// It and its backups are being removed.
    Deleting,
    /// Unpaid or barred.
    Frozen,
    /// An operation failed in a way that needs a person.
    Error,
}

/// What somebody wants to do with a vault: a row of table Y.1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum VaultUse {
    /// Execute a backup.
    Backup,
    /// Restore from it, or make something new from a backup.
    Restore,
    /// Delete one backup.
    DeleteBackup,
    /// Bind or unbind a resource.
    Bind,
    /// Bind a policy to it.
    BindPolicy,
    /// Take a policy off it.
    UnbindPolicy,
    /// Move a resource into or out of it.
    Migrate,
    /// Change capacity, specification or billing.
    Resize,
    /// Rename it, switch automatic expansion.
    Edit,
    /// Change its tags.
    Tag,
    /// Delete it.
    Delete,
}

impl VaultStatus {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Available, Self::Lock, Self::Deleting, Self::Frozen, Self::Error];

    /// The contract's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Lock => "lock",
            Self::Deleting => "deleting",
            Self::Frozen => "frozen",
            Self::Error => "error",
        }
    }

    /// The status the contract's word means.
    pub fn from_str_exact(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Table Y.1 (VLT-51 … VLT-60).
    pub const fn allows(self, wanted: VaultUse) -> bool {
        use VaultUse as U;
        match self {
            Self::Available => true,
            Self::Lock => !matches!(wanted, U::Resize | U::Delete),
            Self::Deleting => false,
            Self::Frozen => matches!(wanted, U::DeleteBackup | U::Tag),
            Self::Error => {
                use U::{Delete, DeleteBackup, Edit, Tag, UnbindPolicy};
                matches!(wanted, DeleteBackup | UnbindPolicy | Edit | Tag | Delete)
            }
        }
    }
}

/// How a vault is charged for (BIL-01).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargingMode {
    /// By use.
    #[default]
    PostPaid,
    /// By the period of an order.
    PrePaid,
}

impl ChargingMode {
    /// The contract's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PostPaid => "post_paid",
            Self::PrePaid => "pre_paid",
        }
    }

    /// The mode the contract's word means.
    pub fn from_str_exact(text: &str) -> Option<Self> {
        [Self::PostPaid, Self::PrePaid].into_iter().find(|mode| mode.as_str() == text)
    }
}

/// What was agreed about paying for a vault.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Charging {
    /// By use or by period.
    pub mode: ChargingMode,
    /// The order that made it prepaid; none as long as it is charged by use.
    pub order: Option<OrderId>,
    /// Whether backups go on when it is full (contract `demand_billing`; prepaid only).
    pub demand_billing: bool,
    /// Why it is frozen, in a word of the operator's or one of [`Self::SCENES`]; none when it is not.
    pub frozen_scene: Option<String>,
    /// Until when it is paid; none: it is charged by use, or its period has no end.
    pub paid_until: Option<Timestamp>,
    /// By what its period is renewed when it ends (BIL-03); none: it is not.
    pub renew: Option<PeriodUnit>,
}

impl Charging {
    /// The account owes for vaults that are charged by use.
    pub const ARREARS: &'static str = "ARREARS";
    /// Its period is over.
    pub const EXPIRED: &'static str = "EXPIRED";
    /// It was ordered and is not paid yet.
    pub const UNPAID: &'static str = "UNPAID";
    /// Why vaults are frozen because of money. Whoever pays lifts that, and nobody else's words (VLT-54).
    pub const SCENES: [&'static str; 3] = [Self::ARREARS, Self::EXPIRED, Self::UNPAID];

    /// Whether it is frozen because of money, for this reason.
    pub fn is_frozen_for(&self, scene: &str) -> bool {
        self.frozen_scene.as_deref() == Some(scene)
    }
}

/// A vault with what is bound to it.
#[derive(Clone, PartialEq, Debug)]
pub struct Vault {
    /// Its id.
    pub id: VaultId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// Who created it.
    pub user: UserId,
    /// Its name; need not be unique (VLT-23).
    pub name: Name,
    /// Free text, or none.
    pub description: Option<String>,
    /// What it holds.
    pub kind: VaultKind,
    /// Specification.
    pub consistency: Consistency,
    /// Capacity.
    pub size: Gib,
    /// Logical size of all backups in it.
    pub used: Bytes,
    /// State.
    pub status: VaultStatus,
    /// `0` is the default one.
    pub enterprise_project: String,
    /// In insertion order.
    pub tags: Vec<Tag>,
    /// Whether unprotected resources that match `bind_rules` are bound by themselves (RES-30).
    pub auto_bind: bool,
    /// All must match (RES-31).
    pub bind_rules: Vec<Tag>,
    /// Whether capacity grows by itself (VLT-72).
    pub auto_expand: bool,
    /// Whether somebody is told when `threshold` is passed.
    pub smn_notify: bool,
    /// Per cent of the capacity.
    pub threshold: u8,
    /// Backup locking (WORM); one-way.
    pub locked: bool,
    /// Who pays how.
    pub charging: Charging,
    /// Where it was asked to be; none: not said.
    pub availability_zone: Option<String>,
    /// Put in front of the names of automatic backups; usually empty.
    pub backup_name_prefix: String,
    /// The service that made it for itself (`SMB`); usually empty.
    pub lock_source: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// In insertion order (contract C4).
    pub resources: Vec<BoundResource>,
}

impl Vault {
    /// Total size of what is bound (`billing.allocated`, RES-05).
    pub fn allocated(&self) -> Gib {
        Gib(self.resources.iter().map(|resource| resource.size.0).sum())
    }

    /// Whether another backup may start: used ≤ capacity (VLT-80, VLT-81), or more than that was agreed.
    pub fn has_room(&self) -> bool {
        self.charging.demand_billing || self.used <= self.size.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Y.1, row by row: Available, Locked, Deleting, Frozen, Error.
    #[test]
    fn what_a_vault_allows_in_each_state() {
        let table = [
            (VaultUse::Backup, [true, true, false, false, false]),
            (VaultUse::Restore, [true, true, false, false, false]),
            (VaultUse::DeleteBackup, [true, true, false, true, true]),
            (VaultUse::Bind, [true, true, false, false, false]),
            (VaultUse::BindPolicy, [true, true, false, false, false]),
            (VaultUse::UnbindPolicy, [true, true, false, false, true]),
            (VaultUse::Migrate, [true, true, false, false, false]),
            (VaultUse::Resize, [true, false, false, false, false]),
            (VaultUse::Edit, [true, true, false, false, true]),
            (VaultUse::Tag, [true, true, false, true, true]),
            (VaultUse::Delete, [true, false, false, false, true]),
        ];
        for (wanted, expected) in table {
            for (status, allowed) in VaultStatus::ALL.into_iter().zip(expected) {
                assert_eq!(status.allows(wanted), allowed, "{wanted:?} while {status:?}");
            }
        }
    }
}
