//! The provider itself: its volumes, servers and snapshots, and what a test may do to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use cbr_model::{ResourceId, Timestamp};

use super::disk::{Content, lock};
use super::faults::{Fault, Faults, Operation};
use super::inventory::{POOL, POOL_BYTES, ZONE};
use crate::error::{ProviderError, Result};
use crate::provider::{BackupSource, Factory, Inventory, Provider, RestoreTarget, ServerFactory};
use crate::resource::{ServerStatus, VolumeFormat};
use crate::snapshot::{Leftover, LeftoverKind, SnapshotDisk, SnapshotName, TaskEnd};

/// A provider in memory.
#[derive(Debug, Default)]
pub struct FakeProvider {
    world: Mutex<World>,
}

/// Everything there is.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) volumes: BTreeMap<ResourceId, FakeVolume>,
    pub(super) servers: BTreeMap<ResourceId, FakeServer>,
    pub(super) tags: BTreeMap<ResourceId, BTreeMap<String, String>>,
    pub(super) snapshots: BTreeMap<SnapshotName, FakeSnapshot>,
    pub(super) faults: Faults,
    /// What of the pool is not free.
    pub(super) taken_bytes: u64,
    /// Further pools, each with its zone.
    pub(super) pools: BTreeMap<String, String>,
    /// Pools that cannot be read.
    pub(super) lost: BTreeSet<String>,
}

#[derive(Clone, Debug)]
pub(super) struct FakeVolume {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) size_bytes: u64,
    pub(super) format: VolumeFormat,
    pub(super) pool: String,
    pub(super) created_at: Timestamp,
    pub(super) content: Arc<Mutex<Content>>,
    pub(super) busy: Option<String>,
    pub(super) bad_byte: Option<u64>,
    /// Whether a write of the restore under way failed.
    pub(super) broken: Arc<Mutex<bool>>,
    /// The restore under way or failed.
    pub(super) restore: Option<(SnapshotName, Option<String>)>,
    /// The failed restore that the one under way shall mend.
    pub(super) failed_before: Option<(SnapshotName, Option<String>)>,
}

impl FakeVolume {
    /// What writers of the restore that ended write from now on is refused.
    pub(super) fn close_writers(&mut self) {
        let before = std::mem::take(&mut self.broken);
        *lock(&before) = true;
    }
}

#[derive(Clone, Debug)]
pub(super) struct FakeServer {
    pub(super) name: String,
    pub(super) volumes: Vec<ResourceId>,
    pub(super) status: ServerStatus,
    pub(super) can_power: bool,
    pub(super) is_made: bool,
}

#[derive(Debug)]
pub(super) struct FakeSnapshot {
    pub(super) resource: ResourceId,
    pub(super) disks: Vec<(SnapshotDisk, Content)>,
    pub(super) changed: Option<ResourceId>,
}

impl FakeProvider {
    /// Adds an empty volume.
    pub fn add_volume(&self, id: ResourceId, name: &str, size_bytes: u64) {
        let volume = FakeVolume {
            name: name.to_owned(),
            description: String::new(),
            size_bytes,
            format: VolumeFormat::Raw,
            pool: POOL.to_owned(),
            created_at: Timestamp(0),
            content: Arc::default(),
            busy: None,
            bad_byte: None,
            broken: Arc::default(),
            restore: None,
            failed_before: None,
        };
        self.world().volumes.insert(id, volume);
    }

    /// Adds a server that is off; its first volume is the system disk.
    pub fn add_server(&self, id: ResourceId, name: &str, volumes: Vec<ResourceId>) {
        let status = ServerStatus::Stopped;
        let name = name.to_owned();
        let server = FakeServer { name, volumes, status, can_power: true, is_made: false };
        self.world().servers.insert(id, server);
    }

    /// Gives a resource a tag.
    pub fn tag(&self, id: ResourceId, key: &str, value: &str) {
        let mut world = self.world();
        world.tags.entry(id).or_default().insert(key.to_owned(), value.to_owned());
    }

    /// Attaches another volume to a server (RES-08).
    pub fn attach(&self, server: ResourceId, volume: ResourceId) {
        if let Some(server) = self.world().servers.get_mut(&server) {
            server.volumes.push(volume);
        }
    }

    /// Sets the state of a server.
    pub fn set_server_status(&self, server: ResourceId, status: ServerStatus) {
        if let Some(server) = self.world().servers.get_mut(&server) {
            server.status = status;
        }
    }

    /// Takes the commands that start and stop a server away.
    pub fn take_commands(&self, server: ResourceId) {
        if let Some(server) = self.world().servers.get_mut(&server) {
            server.can_power = false;
        }
    }

    /// Takes a volume or server away, as if somebody had deleted it elsewhere.
    pub fn remove(&self, id: ResourceId) {
        let mut world = self.world();
        world.volumes.remove(&id);
        world.servers.remove(&id);
    }

    /// Writes to a volume, as its guest would.
    pub fn write(&self, volume: ResourceId, offset: u64, data: &[u8]) {
        if let Some(volume) = self.world().volumes.get(&volume) {
            lock(&volume.content).write(offset, data);
        }
    }

    /// The whole content of a volume; empty if there is no such volume.
    pub fn content(&self, volume: ResourceId) -> Vec<u8> {
        self.head(volume, usize::MAX)
    }

    /// The first bytes of a volume, up to so many: of one that is large and nearly empty.
    pub fn head(&self, volume: ResourceId, bytes: usize) -> Vec<u8> {
        let world = self.world();
        let Some(volume) = world.volumes.get(&volume) else { return Vec::new() };
        let size = usize::try_from(volume.size_bytes).expect("disks of tests fit into memory");
        let mut bytes = vec![0; size.min(bytes)];
        lock(&volume.content).read(0, &mut bytes);
        bytes
    }

    /// A part of the content of a volume, which may be large; empty if there is no such volume.
    pub fn part(&self, volume: ResourceId, offset: u64, length: usize) -> Vec<u8> {
        let world = self.world();
        let Some(volume) = world.volumes.get(&volume) else { return Vec::new() };
        let mut bytes = vec![0; length];
        lock(&volume.content).read(offset, &mut bytes);
        bytes
    }

    /// Makes somebody use the volume, or nobody.
    pub fn set_busy(&self, volume: ResourceId, busy: Option<&str>) {
        if let Some(volume) = self.world().volumes.get_mut(&volume) {
            volume.busy = busy.map(str::to_owned);
        }
    }

    /// Makes reading and writing this byte fail, from the next opening on.
    pub fn set_bad_byte(&self, volume: ResourceId, byte: Option<u64>) {
        if let Some(volume) = self.world().volumes.get_mut(&volume) {
            volume.bad_byte = byte;
        }
    }

    /// Makes an open snapshot torn, as if its volume had been written to while read in place.
    pub fn tear(&self, name: &SnapshotName, volume: ResourceId) {
        if let Some(snapshot) = self.world().snapshots.get_mut(name) {
            snapshot.changed = Some(volume);
        }
    }

    /// Makes the next `times` calls of `operation` fail.
    pub fn fail(&self, operation: Operation, times: usize, fault: Fault) {
        self.world().faults.plan(operation, times, fault);
    }

    /// What another machine sees of these disks: the same bytes, and none of the marks of restores.
    pub fn forget_restores(&self) {
        for volume in self.world().volumes.values_mut() {
            (volume.restore, volume.failed_before) = (None, None);
        }
    }

    /// Adds an empty pool in this zone.
    pub fn add_pool(&self, name: &str, zone: &str) {
        self.world().pools.insert(name.to_owned(), zone.to_owned());
    }

    /// Puts a volume into another pool.
    pub fn put_into(&self, volume: ResourceId, pool: &str) {
        if let Some(volume) = self.world().volumes.get_mut(&volume) {
            pool.clone_into(&mut volume.pool);
        }
    }

    /// Makes a pool unreadable, or readable again (RGN-07).
    pub fn lose_pool(&self, name: &str, is_lost: bool) {
        let mut world = self.world();
        if is_lost {
            world.lost.insert(name.to_owned());
        } else {
            world.lost.remove(name);
        }
    }

    /// Leaves so much free in the pool.
    pub fn leave_free(&self, bytes: u64) {
        self.world().taken_bytes = POOL_BYTES - bytes;
    }

    /// How many snapshots are open: none when all tasks are done.
    pub fn open_snapshots(&self) -> usize {
        self.world().snapshots.len()
    }

    /// How many restores are under way: none when all tasks are done.
    pub fn open_restores(&self) -> usize {
        let world = self.world();
        let is_open = |volume: &&FakeVolume| matches!(volume.restore, Some((_, None)));
        world.volumes.values().filter(is_open).count()
    }

    /// Lifts the marks of a restore that another machine finished.
    fn unmark(&self, name: &SnapshotName) {
        for volume in self.world().volumes.values_mut() {
            if volume.restore == Some((*name, None)) {
                (volume.restore, volume.failed_before) = (None, None);
                volume.close_writers();
            }
        }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    /// The world, unless a fault is planned.
    pub(super) fn attempt(&self, operation: Operation) -> Result<MutexGuard<'_, World>> {
        let mut world = self.world();
        world.faults.strike(operation)?;
        Ok(world)
    }
}

impl World {
    /// The zone of a pool; none: there is no such pool.
    pub(super) fn zone(&self, pool: &str) -> Option<&str> {
        if pool == POOL { Some(ZONE) } else { self.pools.get(pool).map(String::as_str) }
    }

    pub(super) fn volume(&self, id: ResourceId) -> Result<&FakeVolume> {
        let found = self.volumes.get(&id).filter(|volume| !self.lost.contains(&volume.pool));
        found.ok_or_else(|| self.no_volume(id))
    }

    pub(super) fn volume_mut(&mut self, id: ResourceId) -> Result<&mut FakeVolume> {
        self.volume(id)?;
        self.volumes.get_mut(&id).ok_or_else(|| ProviderError::not_found("volume", id))
    }

    /// As a real provider, it cannot tell what is in a pool that it cannot read.
    fn no_volume(&self, id: ResourceId) -> ProviderError {
        match self.lost.first() {
            None => ProviderError::not_found("volume", id),
            Some(pool) => ProviderError::Unreachable {
                what: "volume",
                id: id.to_string(),
                why: format!("pool {pool} cannot be read"),
            },
        }
    }

    pub(super) fn server(&self, id: ResourceId) -> Result<&FakeServer> {
        self.servers.get(&id).ok_or_else(|| ProviderError::not_found("server", id))
    }
}

#[async_trait]
impl Provider for FakeProvider {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn inventory(&self) -> &dyn Inventory {
        self
    }

    fn source(&self) -> &dyn BackupSource {
        self
    }

    fn target(&self) -> Option<&dyn RestoreTarget> {
        Some(self)
    }

    fn factory(&self) -> Option<&dyn Factory> {
        Some(self)
    }

    fn server_factory(&self) -> Option<&dyn ServerFactory> {
        Some(self)
    }

    async fn leftovers(&self) -> Result<Vec<Leftover>> {
        let world = self.world();
        let snapshots = world
            .snapshots
            .keys()
            .map(|name| Leftover { name: *name, kind: LeftoverKind::Snapshot });
        let restores = world.volumes.iter().filter_map(|(id, volume)| match volume.restore {
            Some((name, None)) => {
                Some(Leftover { name, kind: LeftoverKind::Restore { volume: *id } })
            }
            _ => None,
        });
        Ok(snapshots.chain(restores).collect())
    }

    async fn release(&self, name: &SnapshotName, ended: TaskEnd) -> Result<()> {
        self.close(name).await?;
        if ended == TaskEnd::Succeeded {
            self.unmark(name);
            return Ok(());
        }
        let volumes = self.world().volumes.keys().copied().collect::<Vec<_>>();
        for volume in volumes {
            if ended == TaskEnd::Untouched {
                self.withdraw(volume, name).await?;
            } else {
                self.abandon(volume, name, "the restore was lost").await?;
            }
        }
        Ok(())
    }
}
