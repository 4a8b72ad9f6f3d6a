//! What the local provider remembers over restarts.
//!
//! Directories of small files: open snapshots, restores that did not finish, power states
//! of servers without commands, servers that were made here, whose an id is that two volumes claim. Each is written before the effect it
//! speaks of, so a crash never leaves an effect nobody knows of.

use std::path::Path;

use cbr_model::ResourceId;
use serde::{Deserialize, Serialize};

use super::durable::{Directory, JsonDirectory};
use super::made::MadeServer;
use super::place::{Fingerprint, Place};
use super::reach::Keeper;
use crate::error::{Doing, ProviderError, Result};
use crate::snapshot::{SnapshotDisk, SnapshotName};

/// The directories.
#[derive(Debug)]
pub(crate) struct State {
    /// By the name of the snapshot.
    pub(crate) snapshots: JsonDirectory<SnapshotRecord>,
    /// By the id of the volume.
    restores: JsonDirectory<RestoreMark>,
    /// By the id of the server.
    power: JsonDirectory<Power>,
    /// By the id of the server.
    pub(crate) servers: JsonDirectory<MadeServer>,
    /// By the id of the volume.
    pub(crate) twins: JsonDirectory<Keeper>,
}

/// A snapshot that is open or about to be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct SnapshotRecord {
    /// What it is of.
    pub(crate) resource: ResourceId,
    /// The server whose writes may be held for it and must be let go.
    pub(crate) frozen: Option<ResourceId>,
    /// The disks; `None` as long as not all of them are taken.
    pub(crate) disks: Option<Vec<DiskRecord>>,
}

/// One disk of an open snapshot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct DiskRecord {
    pub(crate) disk: SnapshotDisk,
    /// Where to read it.
    pub(crate) place: Place,
    /// For a disk that is read in place: what shows a change.
    pub(crate) fingerprint: Option<Fingerprint>,
}

/// A restore that has begun and not finished: the content of the volume is nobody's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct RestoreMark {
    /// The restore.
    pub(crate) name: SnapshotName,
    /// Why it was given up; `None` as long as it may go on.
    pub(crate) failure: Option<String>,
    /// Why an earlier one was given up that this one shall mend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failed_before: Option<String>,
}

/// The power state of a server that has no commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Power {
    Running,
    Stopped,
}

impl State {
    /// Opens the directories in `path`, making them if need be.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        make_directory(path)?;
        Ok(Self {
            snapshots: JsonDirectory::open(path, "snapshots", "snapshot record")?,
            restores: JsonDirectory::open(path, "restores", "restore mark")?,
            power: JsonDirectory::open(path, "power", "power state")?,
            servers: JsonDirectory::open(path, "servers", "server")?,
            twins: JsonDirectory::open(path, "twins", "record of volumes with one id")?,
        })
    }

    pub(crate) fn snapshot(&self, name: &SnapshotName) -> Result<Option<SnapshotRecord>> {
        self.snapshots.get(&name.to_string())
    }

    /// The disks of an open snapshot.
    pub(crate) fn open_disks(&self, name: &SnapshotName) -> Result<Vec<DiskRecord>> {
        let record = self.snapshot(name)?.and_then(|record| record.disks);
        record.ok_or_else(|| ProviderError::not_found("open snapshot", name))
    }

    pub(crate) fn restore(&self, volume: ResourceId) -> Result<Option<RestoreMark>> {
        self.restores.get(&volume.to_string())
    }

    pub(crate) fn set_restore(&self, volume: ResourceId, mark: &RestoreMark) -> Result<()> {
        self.restores.put(&volume.to_string(), mark)
    }

    pub(crate) fn clear_restore(&self, volume: ResourceId) -> Result<()> {
        self.restores.remove(&volume.to_string())
    }

    /// All marks, of restores that may go on and of failed ones.
    pub(crate) fn all_restores(&self) -> Result<Vec<(ResourceId, RestoreMark)>> {
        let mut marks = Vec::new();
        for name in self.restores.names()? {
            let Ok(volume) = name.parse() else { continue };
            if let Some(mark) = self.restores.get(&name)? {
                marks.push((volume, mark));
            }
        }
        Ok(marks)
    }

    /// A server nobody ever switched on is off.
    pub(crate) fn power(&self, server: ResourceId) -> Result<Power> {
        Ok(self.power.get(&server.to_string())?.unwrap_or(Power::Stopped))
    }

    pub(crate) fn set_power(&self, server: ResourceId, power: Power) -> Result<()> {
        self.power.put(&server.to_string(), &power)
    }

    pub(crate) fn forget_power(&self, server: ResourceId) -> Result<()> {
        self.power.remove(&server.to_string())
    }
}

/// Makes a directory, and those above it, durable one by one.
fn make_directory(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let doing = || format!("make the directory {}", path.display());
    let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
    else {
        return Err(ProviderError::Configuration {
            key: "state directory".into(),
            why: format!("{} is no directory and cannot be made", path.display()),
        });
    };
    make_directory(parent)?;
    Directory::open(parent).and_then(|parent| parent.make_subdirectory(name)).doing(doing)?;
    Ok(())
}
