//! Volumes, servers and pools as a provider sees them now.
//!
//! These are facts, not API objects: sizes in bytes, instants, states. The API
//! shows them as EVS disks and ECS servers (contract F.3, F.4).

use std::collections::BTreeMap;

use cbr_model::{ResourceId, Timestamp};
use serde::{Deserialize, Serialize};

/// A disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Volume {
    /// Stable over restarts.
    pub id: ResourceId,
    /// What people call it.
    pub name: String,
    /// What they wrote about it.
    pub description: String,
    /// The size the guest sees; 0 if it cannot be told.
    pub size_bytes: u64,
    /// Whether it can be backed up and restored.
    pub status: VolumeStatus,
    /// Who has it open right now, if that can be told: such a volume can be neither
    /// overwritten nor read in place. A volume that is only attached to a stopped
    /// server is not busy.
    pub busy: Option<String>,
    /// Whether it is the first disk of a server, the system disk.
    pub bootable: bool,
    /// Whether its owner encrypts it: it is a LUKS container from its first byte on. What is backed up is
    /// what is encrypted (BAK-17).
    pub encrypted: bool,
    /// How its bytes are stored.
    pub format: VolumeFormat,
    /// The pool it lies in, or `block_devices`.
    pub pool: String,
    /// The availability zone of the pool.
    pub availability_zone: String,
    /// When it came to be, as far as known.
    pub created_at: Timestamp,
    /// The servers that have it.
    pub attachments: Vec<Attachment>,
    /// What vaults that bind by themselves choose by (RES-31).
    pub tags: BTreeMap<String, String>,
}

/// What may be done with a volume.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum VolumeStatus {
    /// Not attached and not open anywhere.
    Available,
    /// Attached to a server, or open somewhere.
    InUse,
    /// A restore is writing to it.
    Restoring,
    /// Its content cannot be relied on: a restore did not finish (P1), or the image is damaged.
    Error {
        /// What is wrong.
        why: String,
    },
}

/// How the bytes of a volume are stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeFormat {
    /// A file that holds the disk byte by byte.
    Raw,
    /// A qcow2 image without backing file and without external data file.
    Qcow2,
    /// A block device of the host.
    BlockDevice,
}

/// A volume's place in a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attachment {
    /// The server.
    pub server: ResourceId,
    /// Where the server sees it, for example `/dev/vda`.
    pub device: String,
    /// 0 for the disk the server boots from.
    pub index: usize,
}

/// A server: a named group of volumes with a power state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// Stable over restarts.
    pub id: ResourceId,
    /// What people call it.
    pub name: String,
    /// Its power state.
    pub status: ServerStatus,
    /// The availability zone of its first volume.
    pub availability_zone: String,
    /// Its volumes, the system disk first.
    pub volumes: Vec<AttachedVolume>,
    /// Whether there are commands that start and stop it. Without them its power state is a note.
    pub can_power: bool,
    /// Whether users of the service made it, so that they may change and delete it. Others are the
    /// operator's.
    pub is_made: bool,
    /// Whether its databases can be brought to rest for the instant of a snapshot.
    pub databases: Quiescence,
    /// When its oldest volume came to be.
    pub created_at: Timestamp,
    /// What vaults that bind by themselves choose by (RES-31).
    pub tags: BTreeMap<String, String>,
}

/// Whether the databases in a server can be brought to rest for the instant of a snapshot, so that what is backed up
/// is application consistent (DBS-01). Nothing does that yet, so there is only one answer; whoever adds another has to
/// say in the task of a backup what then happens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Quiescence {
    /// No: no agent in the server does it (DBS-16).
    NoAgent {
        /// Why there is none, without names of the provider's machine: tenants read it.
        why: String,
    },
}

/// A server to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewServer {
    /// Chosen by the caller, so that a repeat finds the server.
    pub id: ResourceId,
    /// What people call it.
    pub name: String,
    /// Its volumes, the system disk first; at least one.
    pub volumes: Vec<ResourceId>,
}

/// The power state of a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ServerStatus {
    /// It runs.
    Running,
    /// It is off.
    Stopped,
    /// Something is wrong with it; it can be neither backed up nor restored (RST-03).
    Fault {
        /// What.
        why: String,
    },
}

/// A server's volume.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AttachedVolume {
    /// The volume.
    pub volume: ResourceId,
    /// Where the server sees it, for example `/dev/vda`.
    pub device: String,
    /// 0 for the disk the server boots from.
    pub index: usize,
}

/// A place where volumes lie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pool {
    /// Its name; the API shows it as a volume type.
    pub name: String,
    /// Its availability zone.
    pub availability_zone: String,
    /// The size of its file system.
    pub total_bytes: u64,
    /// What is left of it.
    pub free_bytes: u64,
    /// Whether volumes in use can be backed up there, by reflink copies.
    pub can_snapshot: bool,
    /// Why the pool cannot be read; its volumes are not listed then, and nothing else is said of it.
    pub problem: Option<String>,
}

/// A volume to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewVolume {
    /// Chosen by the caller, so that a repeat finds the volume.
    pub id: ResourceId,
    /// What people call it.
    pub name: String,
    /// What they wrote about it.
    pub description: String,
    /// A multiple of 512.
    pub size_bytes: u64,
    /// How to store it; `None`: as is usual in the pool.
    pub format: Option<VolumeFormat>,
    /// Where; `None`: the first pool.
    pub pool: Option<String>,
}

/// Which part of a list is wanted: what follows `after`, in order of the ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageRequest {
    /// The last id of the page before.
    pub after: Option<ResourceId>,
    /// At most this many.
    pub limit: usize,
}

impl PageRequest {
    /// Everything in one page.
    pub const ALL: Self = Self { after: None, limit: usize::MAX };
}

/// A part of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<T> {
    /// In order of the ids.
    pub items: Vec<T>,
    /// Whether more follow.
    pub more: bool,
}

impl<T> Page<T> {
    /// Cuts the wanted part out of the whole list.
    pub(crate) fn cut(mut all: Vec<T>, page: PageRequest, id: impl Fn(&T) -> ResourceId) -> Self {
        all.sort_by_key(&id);
        let mut items = all
            .into_iter()
            .skip_while(|item| page.after.is_some_and(|after| id(item) <= after))
            .collect::<Vec<_>>();
        let more = items.len() > page.limit;
        items.truncate(page.limit);
        Self { items, more }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn pages_follow_each_other_without_gap_or_repetition() {
        let all = || (1..=5).rev().map(|n| ResourceId::from_uuid(Uuid::from_u128(n))).collect();
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = Page::cut(all(), PageRequest { after, limit: 2 }, |id| *id);
            after = page.items.last().copied();
            seen.extend(page.items);
            if !page.more {
                break;
            }
        }
        let mut expected: Vec<ResourceId> = all();
        expected.reverse();
        assert_eq!(seen, expected);
    }
}
