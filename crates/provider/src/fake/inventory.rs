//! Listing, making and deleting in memory.

use async_trait::async_trait;
use cbr_model::{ResourceId, Timestamp};

use super::disk::lock;
use super::faults::Operation;
use super::provider::{FakeProvider, FakeServer, FakeVolume, World};
use crate::disk::{DISK_BYTES_MAX, LUKS_MAGIC};
use crate::error::{ProviderError, Result};
use crate::provider::{Factory, Inventory};
use crate::resource::{
    AttachedVolume, Attachment, NewVolume, Page, PageRequest, Pool, Quiescence, Server,
    ServerStatus, Volume, VolumeFormat, VolumeStatus,
};

pub(super) const POOL: &str = "memory";
pub(super) const ZONE: &str = "local";
pub(super) const POOL_BYTES: u64 = 1 << 40;

#[async_trait]
impl Inventory for FakeProvider {
    async fn volumes(&self, page: PageRequest) -> Result<Page<Volume>> {
        let world = self.attempt(Operation::Inventory)?;
        let reached = world.volumes.iter().filter(|(_, volume)| !world.lost.contains(&volume.pool));
        let all = reached.map(|(id, _)| show_volume(&world, *id)).collect::<Result<_>>()?;
        Ok(Page::cut(all, page, |volume| volume.id))
    }

    async fn volume(&self, id: ResourceId) -> Result<Volume> {
        show_volume(&*self.attempt(Operation::Inventory)?, id)
    }

    async fn servers(&self, page: PageRequest) -> Result<Page<Server>> {
        let world = self.attempt(Operation::Inventory)?;
        let all =
            world.servers.iter().map(|(id, server)| show_server(&world, *id, server)).collect();
        Ok(Page::cut(all, page, |server| server.id))
    }

    async fn server(&self, id: ResourceId) -> Result<Server> {
        let world = self.attempt(Operation::Inventory)?;
        Ok(show_server(&world, id, world.server(id)?))
    }

    async fn pools(&self) -> Result<Vec<Pool>> {
        let world = self.world();
        let pool = |name: &str, zone: &str, taken_bytes| Pool {
            name: name.to_owned(),
            availability_zone: zone.to_owned(),
            total_bytes: POOL_BYTES,
            free_bytes: POOL_BYTES - taken_bytes,
            can_snapshot: true,
            problem: world.lost.contains(name).then(|| format!("pool {name} cannot be read")),
        };
        let others = world.pools.iter().map(|(name, zone)| pool(name, zone, 0));
        Ok(std::iter::once(pool(POOL, ZONE, world.taken_bytes)).chain(others).collect())
    }
}

#[async_trait]
impl Factory for FakeProvider {
    async fn create_volume(&self, volume: &NewVolume) -> Result<Volume> {
        let pool = volume.pool.as_deref().unwrap_or(POOL);
        let world = self.attempt(Operation::Create)?;
        let exists = world.volumes.contains_key(&volume.id);
        if world.zone(pool).is_none() {
            return Err(ProviderError::not_found("pool", pool));
        }
        drop(world);
        let size = volume.size_bytes;
        if size == 0 || !size.is_multiple_of(512) || size > DISK_BYTES_MAX {
            return Err(ProviderError::refused("impossible size", "choose a multiple of 512"));
        }
        if !exists {
            self.add_volume(volume.id, &volume.name, volume.size_bytes);
        }
        let mut world = self.world();
        let made = world.volume_mut(volume.id)?;
        if made.size_bytes != volume.size_bytes {
            return Err(ProviderError::refused("it exists with another size", "use another id"));
        }
        if !exists {
            made.description.clone_from(&volume.description);
            made.format = volume.format.unwrap_or(VolumeFormat::Raw);
            pool.clone_into(&mut made.pool);
        }
        world.faults.strike(Operation::CreateAnswer)?;
        show_volume(&world, volume.id)
    }

    async fn delete_volume(&self, volume: ResourceId) -> Result<()> {
        let mut world = self.attempt(Operation::Delete)?;
        let found = match world.volume(volume) {
            Ok(found) => Some(found),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        if let Some(found) = found {
            if let Some(why) = &found.busy {
                return Err(ProviderError::in_use(volume, why.clone()));
            }
            if world.servers.values().any(|server| server.volumes.contains(&volume)) {
                return Err(ProviderError::in_use(volume, "attached; detach it first"));
            }
        }
        world.volumes.remove(&volume);
        Ok(())
    }
}

fn show_volume(world: &World, id: ResourceId) -> Result<Volume> {
    let volume = world.volume(id)?;
    let attachments: Vec<Attachment> = world
        .servers
        .iter()
        .filter_map(|(server, found)| {
            let index = found.volumes.iter().position(|other| *other == id)?;
            Some(Attachment { server: *server, device: device(index), index })
        })
        .collect();
    let status = match &volume.restore {
        Some((_, None)) => VolumeStatus::Restoring,
        Some((_, Some(why))) => VolumeStatus::Error { why: why.clone() },
        None if volume.busy.is_some() || !attachments.is_empty() => VolumeStatus::InUse,
        None => VolumeStatus::Available,
    };
    Ok(Volume {
        id,
        name: volume.name.clone(),
        description: volume.description.clone(),
        size_bytes: volume.size_bytes,
        status,
        busy: volume.busy.clone(),
        bootable: attachments.iter().any(|attachment| attachment.index == 0),
        encrypted: is_encrypted(volume),
        format: volume.format,
        pool: volume.pool.clone(),
        availability_zone: world.zone(&volume.pool).unwrap_or_default().to_owned(),
        created_at: volume.created_at,
        attachments,
        tags: world.tags.get(&id).cloned().unwrap_or_default(),
    })
}

/// By its content, as at real disks.
fn is_encrypted(volume: &FakeVolume) -> bool {
    let mut first = [0; LUKS_MAGIC.len()];
    lock(&volume.content).read(0, &mut first);
    first == LUKS_MAGIC
}

pub(super) fn show_server(world: &World, id: ResourceId, server: &FakeServer) -> Server {
    let attached = |(index, volume): (usize, &ResourceId)| AttachedVolume {
        volume: *volume,
        device: device(index),
        index,
    };
    Server {
        id,
        name: server.name.clone(),
        status: match server.volumes.iter().find_map(|volume| world.volume(*volume).err()) {
            Some(error) if error.is_unreachable() => ServerStatus::Fault { why: error.to_string() },
            _ => server.status.clone(),
        },
        availability_zone: ZONE.to_owned(),
        volumes: server.volumes.iter().enumerate().map(attached).collect(),
        can_power: server.can_power,
        is_made: server.is_made,
        databases: Quiescence::NoAgent { why: "the fake has no agents".to_owned() },
        created_at: Timestamp(0),
        tags: world.tags.get(&id).cloned().unwrap_or_default(),
    }
}

pub(super) fn device(index: usize) -> String {
    format!("/dev/disk{index}")
}
