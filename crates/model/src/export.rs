//! Exports: backups that are given out as disks over NBD.

use crate::{BackupId, ExportId, ProjectId, Timestamp};

/// A backup that is given out as a disk, for as long as this exists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Export {
    /// Its id.
    pub id: ExportId,
    /// The project of the backup.
    pub project: ProjectId,
    /// The backup of one disk.
    pub backup: BackupId,
    /// The machine that serves it, and that keeps what is written.
    pub node: String,
    /// Whether it can be written. What is written never changes the backup.
    pub writable: bool,
    /// Whether its place was made and somebody may know of it. One that is not, and that nobody is just opening, was
    /// left by a process that died.
    pub opened: bool,
    /// Whether it is being ended: what was written is being removed.
    pub closing: bool,
    /// When it was made.
    pub created_at: Timestamp,
}
