//! What images and requests for them look like.

use cbr_model::backup::Backup;
use cbr_model::image::{Image, ImageStatus};
use cbr_model::size::{Bytes, Gib};
use cbr_model::tag::Tag;
use cbr_model::{BackupId, ImageId, ResourceId, TaskId, VaultId};

use crate::content;

/// What a new image is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImageSource {
    /// A backup of a whole server (IMG-01).
    Backup(BackupId),
    /// A server, which is backed up first (IMG-12).
    Server {
        /// The server.
        server: ResourceId,
        /// The vault that protects it.
        vault: VaultId,
    },
}

/// An image that is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewImage {
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Its enterprise project; none: the vault's.
    pub enterprise_project: Option<String>,
    /// What it is made of.
    pub source: ImageSource,
    /// The least memory of a server made from it, in MiB; 0: any.
    pub min_ram_mib: u64,
    /// The most; none: any.
    pub max_ram_mib: Option<u64>,
    /// Its tags.
    pub tags: Vec<Tag>,
}

/// An image that is being made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImageStarted {
    /// The job.
    pub job: TaskId,
    /// The id the image has.
    pub image: ImageId,
}

/// What shall change of an image; `None` stays.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ImageChange {
    /// The name.
    pub name: Option<String>,
    /// The description.
    pub description: Option<String>,
    /// The least memory, in MiB.
    pub min_ram_mib: Option<u64>,
    /// The most memory, in MiB; 0: any.
    pub max_ram_mib: Option<u64>,
    /// Whether it is protected from deletion.
    pub protected: Option<bool>,
}

/// An image with what follows from its backup.
#[derive(Clone, PartialEq, Debug)]
pub struct ImageView {
    /// The record.
    pub image: Image,
    /// What may be done with it.
    pub status: ImageStatus,
    /// The server it is of.
    pub server: ResourceId,
    /// What its backup counts (IMG-07: less than the disks' sizes).
    pub size: Bytes,
    /// The size of the system disk: that of a new server cannot be smaller.
    pub min_disk: Gib,
}

impl ImageView {
    pub(super) fn of(image: Image, backup: &Backup) -> Self {
        let system = backup.children.iter().find(|disk| disk.system_disk);
        let sizes = content::versions(backup).into_iter().map(|it| it.logical_bytes.0);
        Self {
            status: ImageStatus::of(&backup.state),
            server: backup.resource,
            size: Bytes(sizes.sum()),
            min_disk: system.map_or(Gib(0), |disk| disk.resource_size),
            image,
        }
    }
}
