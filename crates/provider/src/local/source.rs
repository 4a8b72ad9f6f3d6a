//! Snapshots of volumes and servers.

use std::sync::Arc;

use async_trait::async_trait;
use cbr_model::ResourceId;

use super::catalogue::{ServerEntry, server_id};
use super::service::{LocalProvider, Shared};
use super::state::{DiskRecord, SnapshotRecord};
use super::take::Plan;
use crate::disk::DiskReader;
use crate::error::{ProviderError, Result};
use crate::provider::BackupSource;
use crate::resource::ServerStatus;
use crate::snapshot::{DiskSelection, SnapshotDisk, SnapshotName};

#[async_trait]
impl BackupSource for LocalProvider {
    async fn open(
        &self,
        resource: ResourceId,
        disks: &DiskSelection,
        name: &SnapshotName,
    ) -> Result<()> {
        match self.record(name).await? {
            Some(record) if record.resource != resource => {
                let why = format!("snapshot {name} is of another resource, {}", record.resource);
                return Err(ProviderError::refused(why, "use another name"));
            }
            Some(SnapshotRecord { disks: Some(_), .. }) => return Ok(()),
            // An attempt that did not end: let the server go on and begin anew.
            Some(SnapshotRecord { disks: None, .. }) => self.close(name).await?,
            None => {}
        }
        let selection = disks.clone();
        let plan = self
            .blocking("plan a snapshot", move |shared| shared.plan(resource, &selection))
            .await?;
        match self.take_all(plan, name).await {
            Ok(()) => Ok(()),
            Err(error) => {
                if let Err(undoing) = self.close(name).await {
                    // The record is still there: the repeat or the orphan sweep finds it.
                    tracing::warn!(snapshot.name = %name, error = &undoing as &dyn std::error::Error,
                        "a failed snapshot could not be undone");
                }
                Err(error)
            }
        }
    }

    async fn disks(&self, name: &SnapshotName) -> Result<Vec<SnapshotDisk>> {
        let name = *name;
        let disks = self
            .blocking("read a snapshot record", move |shared| shared.state.open_disks(&name))
            .await?;
        Ok(disks.into_iter().map(|record| record.disk).collect())
    }

    async fn reader(&self, name: &SnapshotName, volume: ResourceId) -> Result<Arc<dyn DiskReader>> {
        let name = *name;
        self.blocking("open a disk of a snapshot", move |shared| {
            let disks = shared.state.open_disks(&name)?;
            let record = disks.iter().find(|record| record.disk.volume == volume);
            let record = record.ok_or_else(|| ProviderError::not_found("disk", volume))?;
            shared.read_disk(&name, record)
        })
        .await
    }

    async fn confirm(&self, name: &SnapshotName) -> Result<()> {
        let name = *name;
        self.blocking("confirm a snapshot", move |shared| shared.confirm(&name)).await
    }

    async fn close(&self, name: &SnapshotName) -> Result<()> {
        let frozen = self.record(name).await?.and_then(|record| record.frozen);
        if let Some(server) = frozen {
            self.thaw_again(server).await?;
        }
        let name = *name;
        self.blocking("close a snapshot", move |shared| shared.undo(&name)).await
    }
}

impl LocalProvider {
    async fn take_all(&self, plan: Plan, name: &SnapshotName) -> Result<()> {
        let running = self.who_runs(&plan.users, plan.server.as_ref()).await?;
        let (users, is_many) = (plan.users.clone(), plan.len() > 1);
        let server = plan.server.clone();
        let frozen =
            server.as_ref().filter(|server| running.is_some() && server.config.freeze.is_some());
        if let (Some(server), Some(why), None) = (&server, &running, frozen)
            && is_many
        {
            return Err(ProviderError::refused(
                format!("the disks of server {} are not of one instant: {why}", server.config.name),
                "configure `freeze` and `thaw`, or stop the server during the backup",
            ));
        }
        let record = SnapshotRecord {
            resource: plan.resource,
            frozen: frozen.map(|server| server.id),
            disks: None,
        };
        self.store(name, record.clone()).await?;
        let prepared = *name;
        let plan = self
            .blocking("prepare a snapshot", move |_| {
                plan.make_ready(&prepared)?;
                Ok(plan)
            })
            .await?;
        let frozen = frozen.cloned();
        let was_at_rest = running.is_none();
        let disks = self.take_whole(plan, *name, frozen, running).await?;
        // One that was started meanwhile may have written between the copies of its disks.
        if was_at_rest
            && is_many
            && let Some(why) = self.who_runs(&users, server.as_ref()).await?
        {
            let why =
                format!("{why} since its disks began to be taken; they are not of one instant");
            return Err(ProviderError::unavailable("take the disks of one instant", why));
        }
        let disks = self.settle(name, disks).await?;
        self.store(name, SnapshotRecord { frozen: None, disks: Some(disks), ..record }).await
    }

    /// Why the disks may be written to at this moment; `None` if no server runs.
    async fn who_runs(
        &self,
        users: &[ServerEntry],
        backed_up: Option<&ServerEntry>,
    ) -> Result<Option<String>> {
        let mut running = None;
        for server in users {
            let is_backed_up = backed_up.is_some_and(|other| other.id == server.id);
            let name = &server.config.name;
            match self.power_state(server).await {
                Ok(ServerStatus::Stopped) => {}
                Ok(ServerStatus::Running) => running = Some(format!("server {name} is running")),
                Ok(ServerStatus::Fault { why }) if is_backed_up => {
                    let why = format!("server {name} is in fault: {why}");
                    return Err(ProviderError::refused(why, "repair the server first"));
                }
                Err(error) if is_backed_up => return Err(error),
                // Another server that shares a disk: take it as running, to be safe.
                Ok(ServerStatus::Fault { why }) => {
                    running = Some(format!("server {name} may be running: {why}"));
                }
                Err(error) => running = Some(format!("server {name} may be running: {error}")),
            }
        }
        Ok(running)
    }

    /// Thaws after a crash. A server that is no longer configured cannot be thawed by us.
    async fn thaw_again(&self, server: ResourceId) -> Result<()> {
        let mut configured = self.shared.config.servers.iter();
        let config = match configured.find(|config| server_id(&config.name) == server) {
            Some(config) => Some(config.clone()),
            None => self.made_config(server).await?,
        };
        let Some(config) = config else {
            tracing::warn!(server.id = %server,
                "a server that may be frozen is no longer configured; thaw it by hand");
            return Ok(());
        };
        let lock = self.shared.freezing(server);
        let _alone = lock.lock().await;
        self.thaw(&config).await
    }

    async fn settle(
        &self,
        name: &SnapshotName,
        mut disks: Vec<DiskRecord>,
    ) -> Result<Vec<DiskRecord>> {
        let name = *name;
        self.blocking("settle a snapshot", move |shared| {
            shared.settle(&name, &mut disks)?;
            Ok(disks)
        })
        .await
    }

    async fn record(&self, name: &SnapshotName) -> Result<Option<SnapshotRecord>> {
        let name = *name;
        self.blocking("read a snapshot record", move |shared| shared.state.snapshot(&name)).await
    }

    async fn store(&self, name: &SnapshotName, record: SnapshotRecord) -> Result<()> {
        let name = *name;
        self.blocking("store a snapshot record", move |shared: &Shared| {
            shared.state.snapshots.put(&name.to_string(), &record)
        })
        .await
    }
}
