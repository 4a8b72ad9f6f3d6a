//! Servers made from images, their disks changed, and deleted (IMG-01, IMG-11, NEW-11).

use std::sync::Arc;

use cbr_model::backup::{Backup, Content, StoredVersion};
use cbr_model::image::ImageStatus;
use cbr_model::size::Gib;
use cbr_model::{ResourceId, TaskId};

use super::error::ServerError;
use super::service::Servers;
use super::views::{NewServerRequest, ServerJobStarted, ServerStatus, ServerView};
use crate::audit::{Change, Subject};
use crate::error::db;
use crate::images::ImageError;
use crate::resources::{owner, refused};
use crate::tasks::change_server::{self, What};
use crate::tasks::limit::check_room_for;
use crate::tasks::{create_server, create_volume};
use crate::volumes::{VOLUME_MAX, VolumeStatus, Volumes, check_space, choose_pool};
use crate::{Access, Error, Result, backups, images};

/// The longest name of a server (ECS).
const NAME_CHARS_MAX: usize = 64;

impl Servers {
    /// Makes a server with all disks of an image (IMG-01, IMG-05); it is off. A task per disk and one
    /// for the server do it, and a server that does not come to be leaves no disks.
    pub async fn create(
        &self,
        access: &Access,
        wanted: NewServerRequest,
    ) -> Result<ServerJobStarted> {
        check_name(&wanted.name)?;
        if wanted.root_size.is_some_and(|size| size > VOLUME_MAX) {
            return Err(Error::invalid("root_volume", format!("at most {} GB", VOLUME_MAX.0)));
        }
        let provider = self.core.resources.provider();
        if provider.factory().is_none() || provider.server_factory().is_none() {
            return Err(Error::Unsupported("making servers at this provider"));
        }
        let pools = provider.inventory().pools().await.map_err(refused)?;
        let (kind, zone) = (wanted.volume_type.as_deref(), wanted.availability_zone.as_deref());
        let pool = choose_pool(&pools, kind, zone)?;
        let mut tx = self.core.change(access, "making a server").await?;
        // The provider's servers belong to one project; others make disks of what they may read.
        if owner(&mut tx).await? != Some(access.project()) {
            return Err(Error::Forbidden);
        }
        let backup = source(&mut tx, access, &wanted).await?;
        let parts = parts(&backup);
        let unfinished = tx.tasks().list_readable().await.map_err(db("listing tasks"))?;
        check_room_for(parts.len(), &unfinished, access.project(), create_volume::KIND)?;
        let contents = parts.iter().map(|(_, version)| version.logical_bytes.0);
        check_space(&unfinished, pool, contents.fold(0, u64::saturating_add))?;
        let id = ResourceId::random(&*self.core.random);
        let mut disks = Vec::new();
        for (part, version) in parts {
            let least = version.disk_bytes;
            let size = match wanted.root_size.filter(|_| part.system_disk) {
                Some(size) if size.bytes() < least => {
                    return Err(Error::TargetTooSmall { needed: least, target: size.bytes() });
                }
                Some(size) => size,
                None => least.gib_rounded_up(),
            };
            let spec = create_volume::Spec {
                id: ResourceId::random(&*self.core.random),
                name: disk_name(&wanted.name, disks.len()),
                description: String::new(),
                size: size.max(Gib(1)),
                pool: pool.name.clone(),
                version: Some(version.clone()),
            };
            let volume = spec.id;
            let task = create_volume::new(&self.core, access, spec, Some(&backup));
            tx.tasks().insert(&task).await.map_err(db("adding a task"))?;
            disks.push(create_server::Disk { job: task.id, volume });
        }
        let spec =
            create_server::Spec { id, name: wanted.name.clone(), project: access.project(), disks };
        let task = create_server::new(&self.core, access, spec, &backup);
        let job = self.begin(access, tx, vec![(task, Subject::new(id, &wanted.name))]).await?;
        Ok(ServerJobStarted { job, server: id })
    }

    /// Deletes servers that were made here, all or none; those that run are stopped. Their disks stay
    /// unless `with_volumes`; their backups and their places in vaults stay (RES-19, RES-20).
    pub async fn delete(
        &self,
        access: &Access,
        ids: &[ResourceId],
        with_volumes: bool,
    ) -> Result<TaskId> {
        let servers = self.several(access, ids).await?;
        for server in &servers {
            self.refuse_unless_made(server)?;
        }
        if with_volumes {
            access.require("evs:volumes:delete")?;
        }
        let tx = self.core.change(access, "deleting servers").await?;
        let tasks = servers.into_iter().map(|server| {
            let volumes = server.volumes.iter().filter(|_| with_volumes).map(|it| it.id).collect();
            let task = change_server::new(&self.core, access, &server, What::Delete { volumes });
            (task, Subject::new(server.id, &server.name))
        });
        self.begin(access, tx, tasks.collect()).await
    }

    /// Gives a server that was made here and is off an available disk (NEW-11).
    pub async fn attach(
        &self,
        access: &Access,
        server: ResourceId,
        volume: ResourceId,
    ) -> Result<TaskId> {
        let server = self.changeable(access, server).await?;
        let found = Volumes::new(Arc::clone(&self.core)).show(access, volume).await?;
        if found.status != VolumeStatus::Available {
            let status = found.status.as_str();
            return Err(ServerError::VolumeNotAttachable { volume, status }.into());
        }
        self.change_disks(access, &server, What::Attach { volume }).await
    }

    /// Takes a disk from a server that was made here and is off. Its content stays.
    pub async fn detach(
        &self,
        access: &Access,
        server: ResourceId,
        volume: ResourceId,
    ) -> Result<TaskId> {
        let server = self.changeable(access, server).await?;
        let reason = match server.volumes.iter().find(|attached| attached.id == volume) {
            None => Some("the server does not have it"),
            Some(attached) if attached.boot_index == 0 => Some("the server boots from it"),
            Some(_) => None,
        };
        if let Some(reason) = reason {
            let server = server.id;
            return Err(ServerError::VolumeNotDetachable { volume, server, reason }.into());
        }
        self.change_disks(access, &server, What::Detach { volume }).await
    }

    async fn change_disks(
        &self,
        access: &Access,
        server: &ServerView,
        what: What,
    ) -> Result<TaskId> {
        let tx = self.core.change(access, "changing the disks of a server").await?;
        let task = change_server::new(&self.core, access, server, what);
        self.begin(access, tx, vec![(task, Subject::new(server.id, &server.name))]).await
    }

    async fn changeable(&self, access: &Access, id: ResourceId) -> Result<ServerView> {
        let server = self.show(access, id).await?;
        self.refuse_unless_made(&server)?;
        match server.status {
            // One whose disk is gone can be mended.
            ServerStatus::Shutoff | ServerStatus::Error => Ok(server),
            ServerStatus::Active => Err(ServerError::NotOff(id).into()),
        }
    }

    fn refuse_unless_made(&self, server: &ServerView) -> Result<()> {
        if server.is_made && self.core.resources.provider().server_factory().is_some() {
            return Ok(());
        }
        Err(ServerError::NotMade(server.id).into())
    }
}

/// The backup that the image holds, if the project may read it now.
async fn source(tx: &mut Change<'_>, access: &Access, wanted: &NewServerRequest) -> Result<Backup> {
    let view = images::existing(tx, access, wanted.image).await?;
    if view.status == ImageStatus::Saving {
        let reason = "it is being made; wait for the job";
        return Err(ImageError::InUse { image: wanted.image, reason }.into());
    }
    backups::readable_whole(tx, access.project(), view.image.backup).await
}

/// The disks of a server's backup and what they hold, the system disk first.
fn parts(backup: &Backup) -> Vec<(&Backup, &StoredVersion)> {
    let disks = backup.children.iter().filter_map(|part| match part.state.content() {
        Some(Content::Disk(version)) => Some((part, version)),
        Some(Content::Server) | None => None,
    });
    let mut parts: Vec<_> = disks.collect();
    parts.sort_by_key(|(part, _)| !part.system_disk);
    parts
}

/// As ECS calls them: `web-volume-0000`.
fn disk_name(server: &str, index: usize) -> String {
    let suffix = format!("-volume-{index:04}");
    let kept = NAME_CHARS_MAX - suffix.chars().count();
    format!("{}{suffix}", server.chars().take(kept).collect::<String>())
}

fn check_name(name: &str) -> Result<()> {
    let length = name.chars().count();
    if !(1..=NAME_CHARS_MAX).contains(&length) || name.chars().any(char::is_control) {
        let reason = format!("1 to {NAME_CHARS_MAX} characters, none of them a control character");
        return Err(Error::invalid("name", reason));
    }
    Ok(())
}
