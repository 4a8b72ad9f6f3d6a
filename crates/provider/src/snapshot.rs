//! Names of snapshots, and what a snapshot holds.
//!
//! The name of everything a task leaves outside derives from the task's id, so a
//! repeated step finds what the first attempt made, and the orphan sweep tells
//! ours from other people's.

use std::fmt;
use std::str::FromStr;

use cbr_model::{ResourceId, TaskId};
use serde::{Deserialize, Serialize};

/// The name of a snapshot, or of a restore, on the provider's side: `cbr-<task id>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SnapshotName(TaskId);

/// Text that is not a snapshot name of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a snapshot name")]
pub struct InvalidName(String);

impl SnapshotName {
    const PREFIX: &str = "cbr-";

    /// The name of what `task` opens.
    pub const fn for_task(task: TaskId) -> Self {
        Self(task)
    }

    /// The task it belongs to.
    pub const fn task(&self) -> TaskId {
        self.0
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, self.0)
    }
}

impl FromStr for SnapshotName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let task = text.strip_prefix(Self::PREFIX).and_then(|id| id.parse().ok());
        // Only the form we write ourselves: another one would be a second name of the same task.
        match task.map(Self) {
            Some(name) if name.to_string() == text => Ok(name),
            _ => Err(InvalidName(text.chars().take(64).collect())),
        }
    }
}

impl From<SnapshotName> for String {
    fn from(name: SnapshotName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for SnapshotName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

/// Which disks of a server a snapshot takes (VLT-18, BAK-26, RES-09).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskSelection {
    /// All it has at that moment.
    #[default]
    All,
    /// Exactly these; one that is no longer there is an error.
    Only(Vec<ResourceId>),
    /// All but these.
    Except(Vec<ResourceId>),
}

impl DiskSelection {
    /// Whether `volume` is meant.
    pub fn includes(&self, volume: ResourceId) -> bool {
        match self {
            Self::All => true,
            Self::Only(volumes) => volumes.contains(&volume),
            Self::Except(volumes) => !volumes.contains(&volume),
        }
    }
}

/// One disk in an open snapshot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SnapshotDisk {
    /// The volume it was taken of.
    pub volume: ResourceId,
    /// Its name at that moment.
    pub name: String,
    /// Its size at that moment.
    pub size_bytes: u64,
    /// Whether the server boots from it: a system disk (RST-05, NEW-02).
    pub bootable: bool,
    /// Where the server sees it, for example `/dev/vda`; empty for a volume on its own.
    pub device: String,
}

/// Something a task opened and did not close.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leftover {
    /// By its name the service knows the task.
    pub name: SnapshotName,
    /// What it is.
    pub kind: LeftoverKind,
}

/// What was left open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LeftoverKind {
    /// A snapshot. Releasing closes it.
    Snapshot,
    /// A restore into this volume. Releasing abandons it, unless its task ended well elsewhere.
    Restore {
        /// The volume.
        volume: ResourceId,
    },
}

/// How the task ended that left something open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TaskEnd {
    /// All it restored is whole: another machine took it over and finished it.
    Succeeded,
    /// It was given up before the first byte: what was to be restored is what it was.
    Untouched,
    /// What it restored may be half written: it failed, or nobody knows how it ended.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_back_to_its_task_and_foreign_names_are_not_ours() {
        let task: TaskId = "a1c7f6de-0d0f-4c3a-9d5e-0c7e3f1b2a01".parse().unwrap();
        let name = SnapshotName::for_task(task);
        assert_eq!(name.to_string(), "cbr-a1c7f6de-0d0f-4c3a-9d5e-0c7e3f1b2a01");
        assert_eq!(name.to_string().parse::<SnapshotName>().unwrap().task(), task);
        for foreign in ["", "cbr-", "daily", "cbr-a1c7f6de0d0f4c3a9d5e0c7e3f1b2a01", "cbr-../x"] {
            assert!(foreign.parse::<SnapshotName>().is_err(), "{foreign}");
        }
    }
}
