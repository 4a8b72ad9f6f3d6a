//! Use cases of disks.

use std::sync::Arc;

use cbr_db::TaskRecord;
use cbr_model::name::check_description;
use cbr_model::query::{Listing, Page};
use cbr_model::resource::ProtectStatus;
use cbr_model::size::Gib;
use cbr_model::{ResourceId, TaskId, Timestamp};
use cbr_provider::{Pool, Volume};

use super::views::{
    AttachmentView, NewVolumeRequest, VolumeFilter, VolumeJobStarted, VolumeStatus, VolumeView,
};
use crate::audit::Subject;
use crate::core::Core;
use crate::error::db;
use crate::jobs::stage;
use crate::paging::cut;
use crate::resources::{owner, refused};
use crate::tasks::create_volume::{self, CreateVolume};
use crate::tasks::delete_volume::{self, DeleteVolume};
use crate::tasks::limit::check_room;
use crate::{Access, Error, Result, backups};

/// The largest disk that may be asked for: 64 TiB, as large as a provider believes.
pub(crate) const VOLUME_MAX: Gib = Gib(65_536);
/// The longest name of a disk.
const NAME_CHARS_MAX: usize = 64;

/// Use cases of disks.
#[derive(Debug)]
pub struct Volumes {
    core: Arc<Core>,
}

impl Volumes {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Lists disks in order of their ids; also those that are still being made.
    pub async fn list(
        &self,
        access: &Access,
        filter: &VolumeFilter,
        page: Page,
    ) -> Result<Listing<VolumeView>> {
        let mut volumes = self.all(access).await?;
        volumes.retain(|volume| matches(volume, filter));
        Ok(cut(volumes, page, |volume| volume.id.as_uuid()))
    }

    /// One disk; one that is still being made has the status `creating`.
    pub async fn show(&self, access: &Access, id: ResourceId) -> Result<VolumeView> {
        let all = self.all(access).await?;
        if let Some(found) = all.into_iter().find(|volume| volume.id == id) {
            return Ok(found);
        }
        // Not listed is not gone: asking for it says whether it can be reached (RGN-07).
        self.core.resources.volume(access.project(), id).await?;
        Err(Error::VolumeNotFound(id))
    }

    async fn all(&self, access: &Access) -> Result<Vec<VolumeView>> {
        let known = self.core.resources.volumes(access.project()).await?;
        let mut views: Vec<VolumeView> = known.iter().map(view).collect();
        let ids: Vec<ResourceId> = views.iter().map(|view| view.id).collect();
        let mut tx = self.core.db.read().await.map_err(db("listing disks"))?;
        let bindings = tx.bindings().list(&ids).await.map_err(db("reading bindings"))?;
        let unfinished = tx.tasks().list_readable().await.map_err(db("listing tasks"))?;
        drop(tx);
        for binding in bindings {
            let view = views.iter_mut().find(|view| view.id == binding.resource.id);
            if let Some(view) = view
                && binding.resource.protect_status == ProtectStatus::Protecting
            {
                view.status = VolumeStatus::BackingUp;
            }
        }
        for task in unfinished.iter().filter(|task| task.project == access.project()) {
            overlay(&mut views, task)?;
        }
        views.sort_by_key(|view| view.id);
        Ok(views)
    }

    /// Makes a disk, empty or from a backup (NEW-01 … NEW-06).
    pub async fn create(
        &self,
        access: &Access,
        wanted: NewVolumeRequest,
    ) -> Result<VolumeJobStarted> {
        let provider = self.core.resources.provider();
        let factory = provider.factory();
        if factory.is_none() {
            return Err(Error::Unsupported("making disks at this provider"));
        }
        let pools = provider.inventory().pools().await.map_err(refused)?;
        let (kind, zone) = (wanted.volume_type.as_deref(), wanted.availability_zone.as_deref());
        let pool = choose_pool(&pools, kind, zone)?;
        let volume = ResourceId::random(&*self.core.random);
        let name = wanted.name.clone().unwrap_or_else(|| volume.to_string());
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
            return Err(Error::invalid("name", format!("1 to {NAME_CHARS_MAX} characters")));
        }
        check_description(&wanted.description).map_err(|e| Error::invalid("description", e))?;

        let mut tx = self.core.change(access, "creating a disk").await?;
        let is_providers = owner(&mut tx).await? == Some(access.project());
        // Who has no resources of its own may still make disks of what it may read (SHR-10).
        if !is_providers && wanted.backup.is_none() {
            return Err(Error::Forbidden);
        }
        let source = match wanted.backup {
            Some(id) => Some(backups::readable(&mut tx, access.project(), id).await?),
            None => None,
        };
        let least = source.as_ref().map(|(_, version)| version.disk_bytes);
        let size = match (wanted.size, least) {
            (Some(size), Some(least)) if size.bytes() < least => {
                return Err(Error::TargetTooSmall { needed: least, target: size.bytes() });
            }
            (Some(size), _) => size,
            (None, Some(least)) => least.gib_rounded_up(),
            (None, None) => return Err(Error::invalid("size", "it is required")),
        };
        if size < Gib(1) || size > VOLUME_MAX {
            return Err(Error::invalid("size", format!("1 to {} GB", VOLUME_MAX.0)));
        }
        let (backup, version) = source.unzip();
        let unfinished = tx.tasks().list_readable().await.map_err(db("listing tasks"))?;
        check_room(&unfinished, access.project(), create_volume::KIND)?;
        check_space(&unfinished, pool, version.as_ref().map_or(0, |it| it.logical_bytes.0))?;
        let spec = create_volume::Spec {
            id: volume,
            name,
            description: wanted.description,
            size,
            pool: pool.name.clone(),
            version,
        };
        let subject = Subject::new(volume, &spec.name);
        let task = create_volume::new(&self.core, access, spec, backup.as_ref());
        let job = task.id;
        if !is_providers {
            let noted = tx.disk_owners().insert(volume, access.project()).await;
            noted.map_err(db("noting the owner of a disk"))?;
        }
        tx.tasks().insert(&task).await.map_err(db("adding a task"))?;
        tx.commit(subject).await?;
        self.core.wake();
        Ok(VolumeJobStarted { job, volume })
    }

    /// Deletes a disk that is neither attached nor at work. Its backups and its place in a vault
    /// stay (RES-19, RES-20).
    pub async fn delete(&self, access: &Access, id: ResourceId) -> Result<TaskId> {
        let volume = self.show(access, id).await?;
        let refused =
            |reason: &str| Err(Error::VolumeNotDeletable { volume: id, reason: reason.to_owned() });
        match volume.status {
            VolumeStatus::Available | VolumeStatus::Error | VolumeStatus::ErrorRestoring => {}
            other => return refused(&format!("it is {}", other.as_str())),
        }
        if !volume.attachments.is_empty() {
            return refused("it is attached to a server");
        }
        if self.core.resources.provider().factory().is_none() {
            return Err(Error::Unsupported("deleting disks at this provider"));
        }
        let mut tx = self.core.change(access, "deleting a disk").await?;
        let key = delete_volume::key(id);
        if tx.tasks().find_by_key(&key).await.map_err(db("reading a task"))?.is_some() {
            return refused("a task works on it");
        }
        let task = delete_volume::new(&self.core, access, &volume);
        let job = task.id;
        tx.tasks().insert(&task).await.map_err(db("adding a task"))?;
        tx.commit(Subject::new(id, &volume.name)).await?;
        self.core.wake();
        Ok(job)
    }
}

/// A disk as its provider sees it.
pub(crate) fn view(volume: &Volume) -> VolumeView {
    let status = match &volume.status {
        cbr_provider::VolumeStatus::Available => VolumeStatus::Available,
        cbr_provider::VolumeStatus::InUse => VolumeStatus::InUse,
        cbr_provider::VolumeStatus::Restoring => VolumeStatus::RestoringBackup,
        cbr_provider::VolumeStatus::Error { .. } => VolumeStatus::Error,
    };
    let format = match volume.format {
        cbr_provider::VolumeFormat::Raw => "raw",
        cbr_provider::VolumeFormat::Qcow2 => "qcow2",
        cbr_provider::VolumeFormat::BlockDevice => "block_device",
    };
    let size_bytes = cbr_model::size::Bytes(volume.size_bytes);
    VolumeView {
        id: volume.id,
        name: volume.name.clone(),
        description: volume.description.clone(),
        size: size_bytes.gib_rounded_up(),
        size_bytes,
        status,
        volume_type: volume.pool.clone(),
        format,
        availability_zone: volume.availability_zone.clone(),
        attachments: volume
            .attachments
            .iter()
            .map(|at| AttachmentView { server: at.server, device: at.device.clone() })
            .collect(),
        bootable: volume.bootable,
        encrypted: volume.encrypted,
        created_at: volume.created_at,
        tags: volume.tags.clone(),
    }
}

/// Shows what unfinished tasks do to disks: the provider does not know it yet.
fn overlay(views: &mut Vec<VolumeView>, task: &TaskRecord) -> Result<()> {
    match task.kind.as_str() {
        create_volume::KIND => {
            let subject = stage::<CreateVolume>(task)?.into_subject();
            match views.iter_mut().find(|view| view.id == subject.id) {
                // NEW-06: creating, available, restoring, available.
                Some(view) if view.status == VolumeStatus::RestoringBackup => {}
                Some(view) => view.status = VolumeStatus::Creating,
                None => views.push(coming(subject, task.created_at)),
            }
        }
        delete_volume::KIND => {
            let subject = stage::<DeleteVolume>(task)?.into_subject();
            if let Some(view) = views.iter_mut().find(|view| view.id == subject.id) {
                view.status = VolumeStatus::Deleting;
            }
        }
        _ => {}
    }
    Ok(())
}

/// A disk that is being made and not yet there.
fn coming(subject: create_volume::Subject, created_at: Timestamp) -> VolumeView {
    VolumeView {
        id: subject.id,
        name: subject.name,
        description: String::new(),
        size: subject.size,
        size_bytes: subject.size.bytes(),
        status: VolumeStatus::Creating,
        volume_type: subject.pool,
        format: "raw",
        availability_zone: String::new(),
        attachments: Vec::new(),
        bootable: false,
        encrypted: false,
        created_at,
        tags: std::collections::BTreeMap::new(),
    }
}

fn matches(volume: &VolumeView, filter: &VolumeFilter) -> bool {
    (filter.ids.is_empty() || filter.ids.contains(&volume.id))
        && filter.name.as_ref().is_none_or(|name| volume.name.contains(name.as_str()))
        && filter.status.as_ref().is_none_or(|status| volume.status.as_str() == status)
        && filter.availability_zone.as_ref().is_none_or(|az| *az == volume.availability_zone)
        && filter.server.is_none_or(|id| volume.attachments.iter().any(|at| at.server == id))
}

/// Refuses content that does not fit into what is left of a pool when all is written that is on its way.
pub(crate) fn check_space(
    unfinished: &[TaskRecord],
    pool: &Pool,
    content_bytes: u64,
) -> Result<()> {
    let mut coming = 0_u64;
    for task in unfinished.iter().filter(|task| task.kind == create_volume::KIND) {
        let stage = stage::<CreateVolume>(task)?;
        let (name, bytes) = stage.content(task.progress);
        coming = coming.saturating_add(if name == pool.name { bytes } else { 0 });
    }
    let left = pool.free_bytes.saturating_sub(coming);
    if content_bytes == 0 || content_bytes <= left {
        return Ok(());
    }
    let why = format!(
        "the content has {content_bytes} bytes; pool {} has {left} left, when all is written that is on its way",
        pool.name
    );
    Err(Error::invalid("volume_type", why))
}

/// The pool that is meant: the named one; otherwise one of the zone with the most room (NEW-05).
pub(crate) fn choose_pool<'a>(
    pools: &'a [Pool],
    name: Option<&str>,
    zone: Option<&str>,
) -> Result<&'a Pool> {
    let is_in_zone = |pool: &&Pool| zone.is_none_or(|zone| pool.availability_zone == zone);
    let named = pools.iter().find(|pool| name == Some(&pool.name));
    if let Some(pool) = named.filter(is_in_zone) {
        return match &pool.problem {
            None => Ok(pool),
            Some(_) => Err(unreadable(pool)),
        };
    }
    // A pool that cannot be read is in the way of no other (RGN-07).
    let mut unreachable = None;
    let can_be_read = |pool: &&'a Pool| {
        if pool.problem.is_some() {
            unreachable = Some(unreadable(pool));
        }
        pool.problem.is_none()
    };
    let roomiest =
        pools.iter().filter(is_in_zone).filter(can_be_read).max_by_key(|pool| pool.free_bytes);
    roomiest.ok_or_else(|| match (unreachable, zone) {
        (Some(error), _) => error,
        (None, Some(zone)) => Error::invalid("availability_zone", format!("no pool in {zone}")),
        (None, None) => Error::Unsupported("making disks without a pool"),
    })
}

fn unreadable(pool: &Pool) -> Error {
    Error::ResourceUnreachable { reason: format!("pool {} cannot be read", pool.name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NEW-05: any pool and any zone, whatever the source was; what is unknown is no obstacle.
    #[test]
    fn a_disk_may_be_made_in_any_pool_and_zone() {
        let pool = |name: &str, zone: &str, free_bytes| Pool {
            name: name.into(),
            availability_zone: zone.into(),
            total_bytes: 100,
            free_bytes,
            can_snapshot: false,
            problem: None,
        };
        let pools = [pool("ssd", "az1", 5), pool("sata", "az1", 7), pool("far", "az2", 6)];
        let chosen =
            |name, zone| choose_pool(&pools, name, zone).map(|pool| pool.name.as_str()).ok();
        assert_eq!(chosen(Some("ssd"), None), Some("ssd"));
        assert_eq!(chosen(Some("SAS"), None), Some("sata"), "the most room");
        assert_eq!(chosen(None, Some("az2")), Some("far"));
        assert_eq!(chosen(Some("ssd"), Some("az2")), Some("far"), "the zone is a must");
        assert_eq!(chosen(None, Some("moon")), None);
        assert!(choose_pool(&[], None, None).is_err());
    }
}
