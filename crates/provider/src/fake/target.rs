//! Restoring in memory.

use std::sync::Arc;

use async_trait::async_trait;
use cbr_model::ResourceId;

use super::disk::{FakeWriter, lock};
use super::faults::Operation;
use super::provider::FakeProvider;
use crate::disk::DiskWriter;
use crate::error::{ProviderError, Result};
use crate::provider::RestoreTarget;
use crate::resource::ServerStatus;
use crate::snapshot::SnapshotName;

#[async_trait]
impl RestoreTarget for FakeProvider {
    async fn prepare(
        &self,
        volume: ResourceId,
        needed_bytes: u64,
        name: &SnapshotName,
    ) -> Result<()> {
        let mut world = self.attempt(Operation::Prepare)?;
        for server in world.servers.values().filter(|server| server.volumes.contains(&volume)) {
            match &server.status {
                ServerStatus::Stopped => {}
                ServerStatus::Running => {
                    return Err(ProviderError::in_use(volume, "the server is running; stop it"));
                }
                ServerStatus::Fault { why } => {
                    return Err(ProviderError::refused(why.clone(), "repair the server first"));
                }
            }
        }
        let found = world.volume_mut(volume)?;
        let size_bytes = found.size_bytes;
        if size_bytes < needed_bytes {
            return Err(ProviderError::TooSmall { volume, size_bytes, needed_bytes });
        }
        if let Some(why) = &found.busy {
            return Err(ProviderError::in_use(volume, why.clone()));
        }
        match &found.restore {
            Some((other, None)) if other != name => {
                Err(ProviderError::in_use(volume, format!("another restore, {other}")))
            }
            Some((_, None)) => Ok(()),
            _ => {
                found.failed_before = found.restore.replace((*name, None));
                found.broken = Arc::default();
                Ok(())
            }
        }
    }

    async fn writer(&self, volume: ResourceId, name: &SnapshotName) -> Result<Arc<dyn DiskWriter>> {
        let world = self.attempt(Operation::Writer)?;
        let found = world.volume(volume)?;
        if found.restore != Some((*name, None)) {
            return Err(ProviderError::not_found("prepared restore", name));
        }
        Ok(Arc::new(FakeWriter {
            content: Arc::clone(&found.content),
            size_bytes: found.size_bytes,
            is_known_zero: lock(&found.content).is_zero(),
            bad_byte: found.bad_byte,
            broken: Arc::clone(&found.broken),
        }))
    }

    async fn finish(&self, volume: ResourceId, name: &SnapshotName) -> Result<()> {
        let mut world = self.attempt(Operation::Finish)?;
        let found = world.volume_mut(volume)?;
        match &found.restore {
            None => Ok(()),
            Some((marked, None)) if marked == name => {
                if *lock(&found.broken) {
                    return Err(ProviderError::unavailable("finish", "an earlier write failed"));
                }
                found.restore = None;
                found.close_writers();
                world.faults.strike(Operation::FinishAnswer)
            }
            Some(_) => Err(ProviderError::refused("the restore was given up", "restore again")),
        }
    }

    async fn abandon(&self, volume: ResourceId, name: &SnapshotName, why: &str) -> Result<()> {
        let mut world = self.attempt(Operation::Abandon)?;
        if let Some(found) = world.volumes.get_mut(&volume)
            && found.restore == Some((*name, None))
        {
            found.restore = Some((*name, Some(why.to_owned())));
            found.close_writers();
        }
        Ok(())
    }

    async fn condemn(&self, volume: ResourceId, name: &SnapshotName, why: &str) -> Result<()> {
        let mut world = self.attempt(Operation::Abandon)?;
        if let Some(found) = world.volumes.get_mut(&volume)
            && found.restore.as_ref().is_none_or(|marked| *marked == (*name, None))
        {
            found.restore = Some((*name, Some(why.to_owned())));
        }
        Ok(())
    }

    async fn withdraw(&self, volume: ResourceId, name: &SnapshotName) -> Result<()> {
        let mut world = self.attempt(Operation::Abandon)?;
        if let Some(found) = world.volumes.get_mut(&volume)
            && found.restore == Some((*name, None))
        {
            found.restore = found.failed_before.take();
            found.close_writers();
        }
        Ok(())
    }

    async fn power_off(&self, server: ResourceId) -> Result<()> {
        self.switch(server, ServerStatus::Stopped)
    }

    async fn power_on(&self, server: ResourceId) -> Result<()> {
        self.switch(server, ServerStatus::Running)
    }
}

impl FakeProvider {
    fn switch(&self, server: ResourceId, status: ServerStatus) -> Result<()> {
        let mut world = self.attempt(Operation::Power)?;
        let volumes = world.server(server).map(|found| found.volumes.clone())?;
        let is_restoring = |id: &&ResourceId| {
            world.volume(**id).is_ok_and(|volume| matches!(volume.restore, Some((_, None))))
        };
        if status == ServerStatus::Running
            && let Some(volume) = volumes.iter().find(is_restoring)
        {
            return Err(ProviderError::in_use(*volume, "a restore is writing to it"));
        }
        let found = world.servers.get_mut(&server);
        let found = found.ok_or_else(|| ProviderError::not_found("server", server))?;
        if let ServerStatus::Fault { why } = &found.status {
            return Err(ProviderError::refused(why.clone(), "repair the server first"));
        }
        found.status = status;
        world.faults.strike(Operation::PowerAnswer)
    }
}
