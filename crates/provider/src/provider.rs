//! The traits, split by ability.
//!
//! What a provider cannot do it does not implement: [`Provider`] answers `None`,
//! and there is no "not supported" error to forget.
//!
//! Contract of every method that changes something: it may be called again after
//! a crash, with the same arguments, and then leaves the same result behind.
//! `contract.rs` is that sentence as code.
//!
//! A backup is `open`, `disks`, `reader` …, `confirm`, *commit*, `close`. A restore
//! is (`power_off`,) `prepare` all volumes, then `writer` …, `finish` or `abandon`, or `withdraw` if
//! one of them cannot be prepared (, `power_on`).

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use cbr_model::ResourceId;

use crate::disk::{DiskReader, DiskWriter};
use crate::error::Result;
use crate::resource::{NewServer, NewVolume, Page, PageRequest, Pool, Server, Volume};
use crate::snapshot::{DiskSelection, Leftover, SnapshotDisk, SnapshotName, TaskEnd};

/// One way to reach resources.
#[async_trait]
pub trait Provider: Send + Sync + fmt::Debug {
    /// A short name for logs, for example `local`.
    fn name(&self) -> &'static str;
    /// What there is.
    fn inventory(&self) -> &dyn Inventory;
    /// Reading.
    fn source(&self) -> &dyn BackupSource;
    /// Overwriting; `None` for what can only be read.
    fn target(&self) -> Option<&dyn RestoreTarget>;
    /// Making and deleting; `None` where volumes come from elsewhere.
    fn factory(&self) -> Option<&dyn Factory>;
    /// Making servers of volumes and changing those; `None` where servers come from elsewhere.
    fn server_factory(&self) -> Option<&dyn ServerFactory>;
    /// Everything that is open on the provider's side, in any order.
    ///
    /// The service releases those whose task is gone.
    async fn leftovers(&self) -> Result<Vec<Leftover>>;
    /// Closes the snapshot of this name, and ends its restores as their task `ended`: if it succeeded, another
    /// machine finished them, so the volumes are whole and their marks are lifted, also of what failed
    /// before; otherwise they are abandoned (P1). Repeating is fine.
    async fn release(&self, name: &SnapshotName, ended: TaskEnd) -> Result<()>;
}

/// What can be protected.
#[async_trait]
pub trait Inventory: Send + Sync {
    /// All volumes that can be reached. **What is not listed is not gone**: it may lie in a pool that
    /// cannot be read ([`Pool::problem`]), which is in the way of no other (RGN-07).
    async fn volumes(&self, page: PageRequest) -> Result<Page<Volume>>;
    /// One volume; `NotFound` only if it is certain that there is none, otherwise `Unreachable`.
    async fn volume(&self, id: ResourceId) -> Result<Volume>;
    /// All servers. One with a volume that cannot be reached is in fault.
    async fn servers(&self, page: PageRequest) -> Result<Page<Server>>;
    /// One server, or `NotFound`.
    async fn server(&self, id: ResourceId) -> Result<Server>;
    /// Where volumes can be made, also what cannot be read.
    async fn pools(&self) -> Result<Vec<Pool>>;
}

/// Reads volumes and servers as they were at one instant.
#[async_trait]
pub trait BackupSource: Send + Sync {
    /// Freezes a point in time of a volume, or of the chosen disks of a server at one
    /// and the same instant. A second call with the same name does nothing.
    async fn open(
        &self,
        resource: ResourceId,
        disks: &DiskSelection,
        name: &SnapshotName,
    ) -> Result<()>;

    /// What the snapshot holds, the system disk first. `NotFound` if it is not open.
    async fn disks(&self, name: &SnapshotName) -> Result<Vec<SnapshotDisk>>;

    /// Reads one disk of the snapshot. `NotFound` if it is not open.
    async fn reader(&self, name: &SnapshotName, volume: ResourceId) -> Result<Arc<dyn DiskReader>>;

    /// Says, after the last byte was read, whether all of it was one point in time.
    ///
    /// Must be asked **before** the backup is committed: `Changed` means that what
    /// was read is torn and must not become a backup.
    async fn confirm(&self, name: &SnapshotName) -> Result<()>;

    /// Lets go. Closing what is not open is fine.
    async fn close(&self, name: &SnapshotName) -> Result<()>;
}

/// Overwrites volumes.
#[async_trait]
pub trait RestoreTarget: Send + Sync {
    /// Makes sure that the volume may be overwritten with `needed_bytes` bytes and marks
    /// it as being restored. From here on its content is nobody's until `finish`.
    ///
    /// Refused: `InUse` (RST-40), `TooSmall` (RST-09), another restore under way.
    async fn prepare(
        &self,
        volume: ResourceId,
        needed_bytes: u64,
        name: &SnapshotName,
    ) -> Result<()>;

    /// Writes to a prepared volume. `NotFound` if it was not prepared under this name.
    async fn writer(&self, volume: ResourceId, name: &SnapshotName) -> Result<Arc<dyn DiskWriter>>;

    /// Everything is written: makes it durable and lifts the mark.
    async fn finish(&self, volume: ResourceId, name: &SnapshotName) -> Result<()>;

    /// Gives up: the volume is in error until another restore into it finishes (P1).
    async fn abandon(&self, volume: ResourceId, name: &SnapshotName, why: &str) -> Result<()>;

    /// Gives up a restore that began where this provider does not see: on another machine, which left its work
    /// to this one. The volume is in error until a restore into it finishes, also if nothing is known of it
    /// here. One into which another restore goes on, or was given up, is left as it is.
    async fn condemn(&self, volume: ResourceId, name: &SnapshotName, why: &str) -> Result<()>;

    /// Gives up before the first byte: the volume is what it was before `prepare`, also if that
    /// was an error. Only as long as nobody wrote to it under this name.
    async fn withdraw(&self, volume: ResourceId, name: &SnapshotName) -> Result<()>;

    /// Stops a server and returns once it is off (RST-07).
    async fn power_off(&self, server: ResourceId) -> Result<()>;

    /// Starts a server. Refused: `InUse` while a restore writes to one of its volumes.
    async fn power_on(&self, server: ResourceId) -> Result<()>;
}

/// Makes and deletes volumes.
#[async_trait]
pub trait Factory: Send + Sync {
    /// Makes an empty volume that reads as zeros. A repeat returns the one there is.
    async fn create_volume(&self, volume: &NewVolume) -> Result<Volume>;

    /// Deletes a volume and its content. Deleting what is not there is fine.
    async fn delete_volume(&self, volume: ResourceId) -> Result<()>;
}

/// Makes servers, and changes those that were made here ([`Server::is_made`]). All of them have to be
/// off for that.
#[async_trait]
pub trait ServerFactory: Send + Sync {
    /// Makes a server of volumes that no server has. It is off. A repeat returns the one there is.
    async fn create_server(&self, server: &NewServer) -> Result<Server>;

    /// Deletes a server; its volumes stay. Deleting what is not there is fine.
    async fn delete_server(&self, server: ResourceId) -> Result<()>;

    /// Gives a server a volume that no server has, as its last disk. A repeat does nothing.
    async fn attach(&self, server: ResourceId, volume: ResourceId) -> Result<()>;

    /// Takes a disk from a server; its system disk stays. Taking what it does not have is fine.
    async fn detach(&self, server: ResourceId, volume: ResourceId) -> Result<()>;
}
