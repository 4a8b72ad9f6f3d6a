//! What is asked of checkpoints, and what they look like.

use cbr_model::checkpoint::{Checkpoint, CheckpointStatus};
use cbr_model::resource::BoundResource;
use cbr_model::vault::VaultKind;
use cbr_model::{ResourceId, VaultId};

/// A run that is asked for (contract C23).
#[derive(Clone, PartialEq, Debug)]
pub struct NewCheckpoint {
    /// Over which vault.
    pub vault: VaultId,
    /// Name of the backups; none: `manualbk_xxxx` or `autobk_xxxx` (BAK-06).
    pub name: Option<String>,
    /// Free text.
    pub description: String,
    /// Only these; empty: all.
    pub resources: Vec<ResourceChoice>,
    /// Whether backups may build on earlier ones; `false`: full backups (BAK-08).
    pub incremental: bool,
    /// Whether a policy asks.
    pub auto_trigger: bool,
    /// 1 to 36 500, or -1 for ever.
    pub retention_days: Option<i64>,
}

/// One resource a run shall take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResourceChoice {
    /// Which.
    pub id: ResourceId,
    /// Disks of a server left out in this run, in addition to those always left out.
    pub exclude_volumes: Vec<ResourceId>,
}

/// A checkpoint as it stands (contract C23, C24).
#[derive(Clone, PartialEq, Debug)]
pub struct CheckpointView {
    /// The run, with what it left out.
    pub checkpoint: Checkpoint,
    /// Derived from its backups.
    pub status: CheckpointStatus,
    /// Name of the vault.
    pub vault_name: String,
    /// Kind of the vault.
    pub vault_kind: VaultKind,
    /// What it really took; never empty. `protect_status` is the state of *this run's* backup.
    pub resources: Vec<BoundResource>,
}
