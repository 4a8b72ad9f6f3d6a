//! Checkpoints: one run over a vault.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::{CheckpointId, ProjectId, ResourceId, VaultId};
use crate::resource::ResourceKind;

/// State of a checkpoint, derived from its backups (contract B.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CheckpointStatus {
    /// At least one backup is still being made.
    Protecting,
    /// All backups are done, at least one is usable.
    Available,
    /// All that is left of it failed.
    Error,
    /// Its backups are being removed.
    Deleting,
}

impl CheckpointStatus {
    /// The contract's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Protecting => "protecting",
            Self::Available => "available",
            Self::Error => "error",
            Self::Deleting => "deleting",
        }
    }

    /// The status that follows from the words of the top-level backups; none: it is gone.
    pub fn from_backups<'a>(statuses: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let statuses: Vec<&str> = statuses.into_iter().collect();
        let any = |word: &str| statuses.contains(&word);
        if statuses.is_empty() {
            None
        } else if any("protecting") {
            Some(Self::Protecting)
        } else if any("available") || any("restoring") {
            Some(Self::Available)
        } else if any("error") {
            Some(Self::Error)
        } else {
            Some(Self::Deleting)
        }
    }
}

/// A resource that a run left out, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SkippedResource {
    /// Which one.
    pub id: ResourceId,
    /// What it is.
    pub kind: ResourceKind,
    /// Its name.
    pub name: String,
    /// Error code in the contract's form, e.g. `BackupService.6125`.
    pub code: String,
    /// Why, for people.
    pub reason: String,
}

/// One run over a vault.
#[derive(Clone, PartialEq, Debug)]
pub struct Checkpoint {
    /// Its id.
    pub id: CheckpointId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// The vault.
    pub vault: VaultId,
    /// Name given to the backups.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Days the backups are kept; -1: for ever.
    pub retention_days: i64,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// What the run left out.
    pub skipped: Vec<SkippedResource>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_follows_from_the_backups() {
        let table = [
            (vec![], None),
            (vec!["available", "protecting"], Some("protecting")),
            (vec!["available", "error"], Some("available")),
            (vec!["restoring"], Some("available")),
            (vec!["error", "deleting"], Some("error")),
            (vec!["deleting"], Some("deleting")),
        ];
        for (statuses, want) in table {
            let got = CheckpointStatus::from_backups(statuses.iter().copied());
            assert_eq!(got.map(CheckpointStatus::as_str), want, "{statuses:?}");
        }
    }
}
