//! What a project can reach at the provider, in the words of the rules.
//!
//! A provider knows no tenants. Its resources belong to one project, named in the settings by the
//! first start; every other project sees the disks it made itself, and no others. A disk at a server
//! is seen with the server, whoever made it.

use std::collections::BTreeMap;
use std::sync::Arc;

use cbr_db::{Db, Tx};
use cbr_model::metadata::{AttachedMetadata, BackupMetadata, ServerMetadata, VolumeMetadata};
use cbr_model::resource::{BoundResource, ResourceKind};
use cbr_model::size::Bytes;
use cbr_model::{ProjectId, ResourceId};
use cbr_provider::{
    PageRequest, Provider, ProviderError, Server, ServerStatus, Volume, VolumeStatus,
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

    async fn reach(&self, project: ProjectId) -> Result<Reach> {
        let mut tx = self.db.read().await.map_err(db("looking for a provider"))?;
        let owns_all = owner(&mut tx).await? == Some(project);
        let others = tx.disk_owners().all().await.map_err(db("reading the owners of disks"))?;
        Ok(Reach { project, owns_all, others })
    }

    /// The same for one disk, whatever number of others have owners.
    async fn reach_of(&self, project: ProjectId, disk: ResourceId) -> Result<Reach> {
        let mut tx = self.db.read().await.map_err(db("looking for a provider"))?;
        let owns_all = owner(&mut tx).await? == Some(project);
        let other = tx.disk_owners().find(disk).await.map_err(db("reading the owner of a disk"))?;
        Ok(Reach {
            project,
            owns_all,
            others: other.map(|other| (disk, other)).into_iter().collect(),
        })
    }

    /// One disk of the project.
    pub(crate) async fn volume(
        &self,
        project: ProjectId,
        id: ResourceId,
    ) -> Result<Option<Volume>> {
        if !self.reach_of(project, id).await?.has(id) {
            return Ok(None);
        }
        found(self.provider.inventory().volume(id).await)
    }

    /// One server of the project.
    pub(crate) async fn server(
        &self,
        project: ProjectId,
        id: ResourceId,
    ) -> Result<Option<Server>> {
        if !self.reach_of(project, id).await?.owns_all {
            return Ok(None);
        }
        found(self.provider.inventory().server(id).await)
    }

    /// All disks of the project, in order of their ids.
    pub(crate) async fn volumes(&self, project: ProjectId) -> Result<Vec<Volume>> {
        let reach = self.reach(project).await?;
        if reach.is_empty() {
            return Ok(Vec::new());
        }
        let page = self.provider.inventory().volumes(PageRequest::ALL).await.map_err(refused)?;
        Ok(page.items.into_iter().filter(|volume| reach.has(volume.id)).collect())
    }

    /// All servers of the project, in order of their ids.
    pub(crate) async fn servers(&self, project: ProjectId) -> Result<Vec<Server>> {
        if !self.reach(project).await?.owns_all {
            return Ok(Vec::new());
        }
        let page = self.provider.inventory().servers(PageRequest::ALL).await.map_err(refused)?;
        Ok(page.items)
    }

    /// The disks of a server the project can see that still exist, in the server's order. Those that cannot be
    /// reached are left out of a server in fault, which nothing is done with (RGN-07); of any other they are
    /// an error, because what is left of it would pass for the whole.
    pub(crate) async fn disks(&self, server: &Server) -> Result<Vec<Volume>> {
        let is_in_fault = matches!(server.status, ServerStatus::Fault { .. });
        let mut disks = Vec::with_capacity(server.volumes.len());
        for attached in &server.volumes {
            match self.provider.inventory().volume(attached.volume).await {
                Err(error) if is_in_fault && error.is_unreachable() => {}
                answer => disks.extend(found(answer)?),
            }
        }
        Ok(disks)
    }

    /// A resource as its provider describes it, with a server's disks.
    async fn native(
        &self,
        project: ProjectId,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<Option<Native>> {
        match kind {
            ResourceKind::Volume => Ok(self.volume(project, id).await?.map(Native::Volume)),
            ResourceKind::Native => Ok(None),
            ResourceKind::Server => {
                let Some(server) = self.server(project, id).await? else { return Ok(None) };
                let disks = self.disks(&server).await?;
                Ok(Some(Native::Server(server, disks)))
            }
        }
    }

    /// What the provider says about each of these that are bound; none: it is gone. One that cannot be
    /// reached is in nobody else's way (RGN-07); if none of them can be, that is the error, so that a
    /// policy is tried again.
    pub(crate) async fn look(
        &self,
        project: ProjectId,
        chosen: &[BoundResource],
    ) -> Result<Vec<(ResourceId, Option<Native>)>> {
        let mut seen = Vec::with_capacity(chosen.len());
        let mut out_of_reach = None;
        for bound in chosen {
            let native = match self.native(project, bound.kind, bound.id).await {
                Err(Error::ResourceUnreachable { reason }) => {
                    out_of_reach = Some(reason.clone());
                    Some(Native::Unreachable { bound: bound.clone(), why: reason })
                }
                answer => answer?,
            };
            seen.push((bound.id, native));
        }
        let is_reached =
            |(_, native): &(_, Option<Native>)| !matches!(native, Some(Native::Unreachable { .. }));
        match out_of_reach {
            Some(reason) if !seen.iter().any(is_reached) => {
                Err(Error::ResourceUnreachable { reason })
            }
            _ => Ok(seen),
        }
    }

    /// A resource as the rules of binding and backing up want it.
    pub(crate) async fn candidate(
        &self,
        project: ProjectId,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<Option<Candidate>> {
        Ok(self.native(project, kind, id).await?.as_ref().map(Native::candidate))
    }

    /// A resource as the rules of restoring want it.
    pub(crate) async fn target(
        &self,
        project: ProjectId,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<Option<Target>> {
        let Some(native) = self.native(project, kind, id).await? else { return Ok(None) };
        Ok(Some(match native {
            Native::Unreachable { why, .. } => {
                return Err(Error::ResourceUnreachable { reason: why });
            }
            Native::Volume(volume) => Target::Volume(target_disk(&volume, volume.bootable)),
            Native::Server(server, disks) => {
                let target = |disk| target_disk(disk, is_system_disk(&server, disk));
                let disks = disks.iter().map(target).collect();
                let fault = match &server.status {
                    ServerStatus::Fault { why } => Some(format!("in fault ({why})")),
                    ServerStatus::Running | ServerStatus::Stopped => None,
                };
                Target::Server { id, name: server.name, fault, disks }
            }
        }))
    }
}

/// What a project can see at the provider.
struct Reach {
    project: ProjectId,
    /// Everything that is not listed as somebody's.
    owns_all: bool,
    others: BTreeMap<ResourceId, ProjectId>,
}

impl Reach {
    fn has(&self, disk: ResourceId) -> bool {
        self.others.get(&disk).map_or(self.owns_all, |owner| *owner == self.project)
    }

    fn is_empty(&self) -> bool {
        !self.owns_all && self.others.values().all(|owner| *owner != self.project)
    }
}

/// A resource as its provider describes it.
pub(crate) enum Native {
    /// A disk.
    Volume(Volume),
    /// A server with its disks, the system disk first.
    Server(Server, Vec<Volume>),
    /// What is bound and cannot be reached now: whether it is there is not known (RGN-07).
    Unreachable {
        /// What is known of it.
        bound: BoundResource,
        /// What cannot be read.
        why: String,
    },
}

impl Native {
    /// As the rules of binding and backing up want it.
    pub(crate) fn candidate(&self) -> Candidate {
        match self {
            Self::Volume(volume) => volume_candidate(volume),
            Self::Server(server, disks) => server_candidate(server, disks),
            Self::Unreachable { bound, why } => Candidate {
                id: bound.id,
                kind: bound.kind,
                name: bound.name.clone(),
                az: String::new(),
                status: "error",
                obstacle: Some(why.clone()),
                disks: Vec::new(),
                tags: BTreeMap::new(),
            },
        }
    }

    /// How it is set up, to be kept with its backup.
    pub(crate) fn metadata(&self) -> BackupMetadata {
        match self {
            Self::Volume(volume) => {
                BackupMetadata { server: None, volumes: vec![volume_metadata(volume)] }
            }
            Self::Server(server, disks) => BackupMetadata {
                server: Some(server_metadata(server)),
                volumes: disks.iter().map(volume_metadata).collect(),
            },
            // It is not backed up.
            Self::Unreachable { .. } => BackupMetadata { server: None, volumes: Vec::new() },
        }
    }
}

fn server_metadata(server: &Server) -> ServerMetadata {
    ServerMetadata {
        id: server.id,
        name: server.name.clone(),
        status: server_candidate(server, &[]).status.to_owned(),
        availability_zone: server.availability_zone.clone(),
        created_at: server.created_at,
        attached: server
            .volumes
            .iter()
            .map(|at| AttachedMetadata {
                volume: at.volume,
                device: at.device.clone(),
                index: at.index,
            })
            .collect(),
    }
}

fn volume_metadata(volume: &Volume) -> VolumeMetadata {
    VolumeMetadata {
        id: volume.id,
        name: volume.name.clone(),
        description: volume.description.clone(),
        size_bytes: volume.size_bytes,
        status: volume_candidate(volume).status.to_owned(),
        pool: volume.pool.clone(),
        availability_zone: volume.availability_zone.clone(),
        bootable: volume.bootable,
        encrypted: volume.encrypted,
        created_at: volume.created_at,
    }
}

fn is_system_disk(server: &Server, disk: &Volume) -> bool {
    server.volumes.iter().any(|at| at.volume == disk.id && at.index == 0)
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
    let reason = crate::error::chain(&error);
    match error {
        ProviderError::Unreachable { .. } => Error::ResourceUnreachable { reason },
        _ => Error::ProviderUnavailable { reason },
    }
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
        tags: volume.tags.clone(),
    }
}

pub(crate) fn server_candidate(server: &Server, disks: &[Volume]) -> Candidate {
    let (status, obstacle) = match &server.status {
        ServerStatus::Running => ("ACTIVE", None),
        ServerStatus::Stopped => ("SHUTOFF", None),
        ServerStatus::Fault { why } => ("ERROR", Some(why.clone())),
    };
    Candidate {
        id: server.id,
        kind: ResourceKind::Server,
        name: server.name.clone(),
        az: server.availability_zone.clone(),
        status,
        obstacle,
        disks: disks
            .iter()
            .map(|disk| candidate_disk(disk, is_system_disk(server, disk)))
            .collect(),
        tags: server.tags.clone(),
    }
}

fn candidate_disk(volume: &Volume, is_system_disk: bool) -> CandidateDisk {
    CandidateDisk {
        id: volume.id,
        name: volume.name.clone(),
        size: Bytes(volume.size_bytes),
        is_system_disk,
        is_encrypted: volume.encrypted,
        is_shared: volume.attachments.len() > 1,
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
