//! What disks, their jobs and requests for them look like.

use std::collections::BTreeMap;

use cbr_model::size::{Bytes, Gib};
use cbr_model::{BackupId, ResourceId, TaskId, Timestamp};

/// A disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VolumeView {
    /// Its id.
    pub id: ResourceId,
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Its size, rounded up.
    pub size: Gib,
    /// Its size.
    pub size_bytes: Bytes,
    /// Its state.
    pub status: VolumeStatus,
    /// The pool it lies in, shown as its type.
    pub volume_type: String,
    /// How it is stored: `raw`, `qcow2` or `block_device`.
    pub format: &'static str,
    /// Its availability zone.
    pub availability_zone: String,
    /// The servers that have it.
    pub attachments: Vec<AttachmentView>,
    /// Whether a server boots from it.
    pub bootable: bool,
    /// Whether its owner encrypts it (BAK-17).
    pub encrypted: bool,
    /// When it was made, as far as known.
    pub created_at: Timestamp,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A disk at a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AttachmentView {
    /// The server.
    pub server: ResourceId,
    /// Its name there, e.g. `/dev/vda`.
    pub device: String,
}

/// State of a disk (contract F.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum VolumeStatus {
    /// Not attached.
    Available,
    /// Attached.
    InUse,
    /// Being made.
    Creating,
    /// A backup reads it.
    BackingUp,
    /// A restore writes it.
    RestoringBackup,
    /// Being deleted.
    Deleting,
    /// Unusable.
    Error,
    /// A restore failed: its content is undefined (P1).
    ErrorRestoring,
}

impl VolumeStatus {
    /// EVS's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::InUse => "in-use",
            Self::Creating => "creating",
            Self::BackingUp => "backing-up",
            Self::RestoringBackup => "restoring-backup",
            Self::Deleting => "deleting",
            Self::Error => "error",
            Self::ErrorRestoring => "error_restoring",
        }
    }
}

/// Which disks. Empty lists and `None` do not filter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VolumeFilter {
    /// One of these.
    pub ids: Vec<ResourceId>,
    /// Name contains.
    pub name: Option<String>,
    /// EVS's word.
    pub status: Option<String>,
    /// In this availability zone.
    pub availability_zone: Option<String>,
    /// At this server.
    pub server: Option<ResourceId>,
}

/// A disk to be made (NEW-01).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewVolumeRequest {
    /// Its name; none: its id.
    pub name: Option<String>,
    /// Free text.
    pub description: String,
    /// None: the size of the backup.
    pub size: Option<Gib>,
    /// The pool; none or one that does not exist: the default one.
    pub volume_type: Option<String>,
    /// The availability zone; none: any.
    pub availability_zone: Option<String>,
    /// Its first content; none: zeros.
    pub backup: Option<BackupId>,
}

/// A disk that is being made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VolumeJobStarted {
    /// The job.
    pub job: TaskId,
    /// The id the disk has or will have.
    pub volume: ResourceId,
}
