//! Snapshots in memory.

use std::sync::Arc;

use async_trait::async_trait;
use cbr_model::ResourceId;

use super::disk::{FakeReader, lock};
use super::faults::Operation;
use super::inventory::device;
use super::provider::{FakeProvider, FakeSnapshot, World};
use crate::disk::DiskReader;
use crate::error::{ProviderError, Result};
use crate::provider::BackupSource;
use crate::resource::ServerStatus;
use crate::snapshot::{DiskSelection, SnapshotDisk, SnapshotName};

#[async_trait]
impl BackupSource for FakeProvider {
    async fn open(
        &self,
        resource: ResourceId,
        disks: &DiskSelection,
        name: &SnapshotName,
    ) -> Result<()> {
        let mut world = self.attempt(Operation::Open)?;
        match world.snapshots.get(name) {
            Some(snapshot) if snapshot.resource == resource => return Ok(()),
            Some(_) => return Err(ProviderError::refused("of another resource", "rename")),
            None => {}
        }
        let mut taken = Vec::new();
        for (volume, index) in chosen(&world, resource, disks)? {
            let found = world.volume(volume)?;
            if found.restore.is_some() {
                return Err(ProviderError::refused("unfinished restore", "restore it again"));
            }
            let disk = SnapshotDisk {
                volume,
                name: found.name.clone(),
                size_bytes: found.size_bytes,
                bootable: index == Some(0),
                device: index.map(device).unwrap_or_default(),
            };
            taken.push((disk, lock(&found.content).clone()));
        }
        world.snapshots.insert(*name, FakeSnapshot { resource, disks: taken, changed: None });
        world.faults.strike(Operation::OpenAnswer)
    }

    async fn disks(&self, name: &SnapshotName) -> Result<Vec<SnapshotDisk>> {
        let world = self.world();
        Ok(snapshot(&world, name)?.disks.iter().map(|(disk, _)| disk.clone()).collect())
    }

    async fn reader(&self, name: &SnapshotName, volume: ResourceId) -> Result<Arc<dyn DiskReader>> {
        let world = self.attempt(Operation::Reader)?;
        let mut disks = snapshot(&world, name)?.disks.iter();
        let (disk, content) = disks
            .find(|(disk, _)| disk.volume == volume)
            .ok_or_else(|| ProviderError::not_found("disk", volume))?;
        Ok(Arc::new(FakeReader {
            content: content.clone(),
            size_bytes: disk.size_bytes,
            bad_byte: world.volumes.get(&volume).and_then(|volume| volume.bad_byte),
        }))
    }

    async fn confirm(&self, name: &SnapshotName) -> Result<()> {
        let world = self.attempt(Operation::Confirm)?;
        match snapshot(&world, name)?.changed {
            Some(volume) => Err(ProviderError::Changed { volume, how: "torn by a test".into() }),
            None => Ok(()),
        }
    }

    async fn close(&self, name: &SnapshotName) -> Result<()> {
        self.attempt(Operation::Close)?.snapshots.remove(name);
        Ok(())
    }
}

fn snapshot<'a>(world: &'a World, name: &SnapshotName) -> Result<&'a FakeSnapshot> {
    world.snapshots.get(name).ok_or_else(|| ProviderError::not_found("open snapshot", name))
}

/// The volumes meant, each with its place in the server.
fn chosen(
    world: &World,
    resource: ResourceId,
    disks: &DiskSelection,
) -> Result<Vec<(ResourceId, Option<usize>)>> {
    let Ok(server) = world.server(resource) else {
        world.volume(resource)?;
        let mut servers = world.servers.values();
        let index = servers.find_map(|server| server.volumes.iter().position(|v| *v == resource));
        return Ok(vec![(resource, index)]);
    };
    if let ServerStatus::Fault { why } = &server.status {
        return Err(ProviderError::refused(why.clone(), "repair the server first"));
    }
    if let DiskSelection::Only(wanted) = disks
        && let Some(missing) = wanted.iter().find(|id| !server.volumes.contains(id))
    {
        return Err(ProviderError::not_found("volume of the server", missing));
    }
    let numbered = server.volumes.iter().enumerate();
    let chosen: Vec<_> = numbered
        .filter(|(_, volume)| disks.includes(**volume))
        .map(|(index, volume)| (*volume, Some(index)))
        .collect();
    if chosen.is_empty() {
        return Err(ProviderError::refused("no disk is selected", "select at least one"));
    }
    Ok(chosen)
}
