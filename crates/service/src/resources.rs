//! What a project can reach at the provider, in the words of the rules.
//!
//! A provider knows no tenants. All its resources belong to one project, named
//! in the settings by the first start; every other project sees none of them.

use std::sync::Arc;

use cbr_db::{Db, Tx};
use cbr_model::resource::ResourceKind;
use cbr_model::size::Bytes;
use cbr_model::{ProjectId, ResourceId};
use cbr_provider::{
    Inventory, PageRequest, Provider, ProviderError, Server, ServerStatus, Volume, VolumeStatus,
};

use crate::error::db;
use crate::identity::PROVIDER_PROJECT;
use crate::rules::binding::{Candidate, CandidateDisk};
use crate::rules::restore::{Target, TargetDisk, TargetState};
use crate::{Error, Result};

/// The provider as projects see it.
#[derive(Clone, Debug)]
pub(crate) struct Resources {
    provider: Arc<dyn Provider>,
    db: Arc<Db>,
}

impl Resources {
    pub(crate) fn new(provider: Arc<dyn Provider>, db: Arc<Db>) -> Self {
        Self { provider, db }
    }

    /// The provider, for tasks: what they may touch was decided when they were made.
    pub(crate) fn provider(&self) -> &Arc<dyn Provider> {
        &self.provider
    }

    /// What the project can see; `None`: nothing.
    pub(crate) async fn inventory(&self, project: ProjectId) -> Result<Option<&dyn Inventory>> {
        let mut tx = self.db.read().await.map_err(db("looking for a provider"))?;
        let is_owner = owner(&mut tx).await? == Some(project);
        Ok(is_owner.then(|| self.provider.inventory()))
    }

    /// One disk of the project.
    pub(crate) async fn volume(
        &self,
        project: ProjectId,
        id: ResourceId,
    ) -> Result<Option<Volume>> {
        match self.inventory(project).await? {
            Some(inventory) => found(inventory.volume(id).await),
            None => Ok(None),
        }
    }

    /// One server of the project.
    pub(crate) async fn server(
        &self,
        project: ProjectId,
        id: ResourceId,
    ) -> Result<Option<Server>> {
        match self.inventory(project).await? {
            Some(inventory) => found(inventory.server(id).await),
            None => Ok(None),
        }
    }

    /// All disks of the project, in order of their ids.
    pub(crate) async fn volumes(&self, project: ProjectId) -> Result<Vec<Volume>> {
        match self.inventory(project).await? {
            Some(inventory) => {
                inventory.volumes(PageRequest::ALL).await.map(|page| page.items).map_err(refused)
            }
            None => Ok(Vec::new()),
        }
    }

    /// All servers of the project, in order of their ids.
    pub(crate) async fn servers(&self, project: ProjectId) -> Result<Vec<Server>> {
        match self.inventory(project).await? {
            Some(inventory) => {
                inventory.servers(PageRequest::ALL).await.map(|page| page.items).map_err(refused)
            }
            None => Ok(Vec::new()),
        }
    }

    /// A server's disks that still exist, in its order.
    pub(crate) async fn disks(&self, project: ProjectId, server: &Server) -> Result<Vec<Volume>> {
        let mut disks = Vec::with_capacity(server.volumes.len());
        for attached in &server.volumes {
            disks.extend(self.volume(project, attached.volume).await?);
        }
        Ok(disks)
    }

    /// A resource as the rules of binding and backing up want it.
    pub(crate) async fn candidate(
        &self,
        project: ProjectId,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<Option<Candidate>> {
        match kind {
            ResourceKind::Volume => {
                Ok(self.volume(project, id).await?.map(|volume| volume_candidate(&volume)))
            }
            ResourceKind::Server => {
                let Some(server) = self.server(project, id).await? else { return Ok(None) };
                let disks = self.disks(project, &server).await?;
                Ok(Some(server_candidate(&server, &disks)))
            }
        }
    }

    /// A resource as the rules of restoring want it.
    pub(crate) async fn target(
        &self,
        project: ProjectId,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<Option<Target>> {
        match kind {
            ResourceKind::Volume => Ok(self
                .volume(project, id)
                .await?
                .map(|volume| Target::Volume(target_disk(&volume, volume.bootable)))),
            ResourceKind::Server => {
                let Some(server) = self.server(project, id).await? else { return Ok(None) };
                let disks = self.disks(project, &server).await?;
                let is_system = |disk: &Volume| {
                    server.volumes.iter().any(|at| at.volume == disk.id && at.index == 0)
                };
                let disks = disks.iter().map(|disk| target_disk(disk, is_system(disk))).collect();
                let fault = match &server.status {
                    ServerStatus::Fault { why } => Some(format!("in fault ({why})")),
                    ServerStatus::Running | ServerStatus::Stopped => None,
                };
                Ok(Some(Target::Server { id, name: server.name, fault, disks }))
            }
        }
    }
}

/// The project that the provider's resources belong to.
pub(crate) async fn owner(tx: &mut Tx) -> Result<Option<ProjectId>> {
    let text = tx.settings().find(PROVIDER_PROJECT).await.map_err(db("reading a setting"))?;
    text.map(|text| text.parse().map_err(Error::internal("reading the provider's project")))
        .transpose()
}

/// `NotFound` is no error here: whether that is bad, the caller knows.
fn found<T>(answer: cbr_provider::Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(thing) => Ok(Some(thing)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(refused(error)),
    }
}

/// A provider that does not answer a question.
pub(crate) fn refused(error: ProviderError) -> Error {
    Error::ProviderUnavailable { reason: crate::error::chain(&error) }
}

pub(crate) fn volume_candidate(volume: &Volume) -> Candidate {
    let (status, obstacle) = match &volume.status {
        _ if volume.size_bytes == 0 => ("error", Some("its size cannot be told".to_owned())),
        VolumeStatus::Available => ("available", None),
        VolumeStatus::InUse => ("in-use", None),
        VolumeStatus::Restoring => {
            ("restoring-backup", Some("a restore is writing to it".to_owned()))
        }
        VolumeStatus::Error { why } => ("error", Some(why.clone())),
    };
    Candidate {
        id: volume.id,
        kind: ResourceKind::Volume,
        name: volume.name.clone(),
        az: volume.availability_zone.clone(),
        status,
        obstacle,
        disks: vec![candidate_disk(volume, volume.bootable)],
    }
}

pub(crate) fn server_candidate(server: &Server, disks: &[Volume]) -> Candidate {
    let (status, obstacle) = match &server.status {
        ServerStatus::Running => ("ACTIVE", None),
        ServerStatus::Stopped => ("SHUTOFF", None),
        ServerStatus::Fault { why } => ("ERROR", Some(why.clone())),
    };
    let is_system =
        |disk: &Volume| server.volumes.iter().any(|at| at.volume == disk.id && at.index == 0);
    Candidate {
        id: server.id,
        kind: ResourceKind::Server,
        name: server.name.clone(),
        az: server.availability_zone.clone(),
        status,
        obstacle,
        disks: disks.iter().map(|disk| candidate_disk(disk, is_system(disk))).collect(),
    }
}

fn candidate_disk(volume: &Volume, is_system_disk: bool) -> CandidateDisk {
    CandidateDisk {
        id: volume.id,
        name: volume.name.clone(),
        size: Bytes(volume.size_bytes),
        is_system_disk,
    }
}

fn target_disk(volume: &Volume, is_system_disk: bool) -> TargetDisk {
    let state = match &volume.status {
        // P1: what a failed restore left in error is repaired by another restore.
        VolumeStatus::Available | VolumeStatus::Error { .. } => TargetState::Free,
        VolumeStatus::InUse => TargetState::InUse,
        VolumeStatus::Restoring => TargetState::Restoring,
    };
    TargetDisk {
        id: volume.id,
        name: volume.name.clone(),
        size: Bytes(volume.size_bytes),
        is_system_disk,
        state,
    }
}
