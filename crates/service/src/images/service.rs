//! Use cases of images.

use std::sync::Arc;

use cbr_db::{DbError, Tx};
use cbr_model::backup::Backup;
use cbr_model::image::{Image, ImageStatus};
use cbr_model::query::{ImageFilter, Listing, Page};
use cbr_model::tag::Tag;
use cbr_model::vault::Vault;
use cbr_model::{BackupId, ImageId, ResourceId, VaultId};

use super::error::ImageError;
use super::requests::{ImageChange, ImageSource, ImageStarted, ImageView, NewImage};
use crate::audit::{Change, Subject};
use crate::backups::{begin_deletion, snapshot_taken, visible};
use crate::checkpoints::{Checkpoints, NewCheckpoint, ResourceChoice};
use crate::core::Core;
use crate::error::db;
use crate::identity::check_enterprise_project;
use crate::rules::image as rules;
use crate::tasks::create_image;
use crate::vaults::existing as existing_vault;
use crate::{Access, Error, Result};

/// Use cases of images.
#[derive(Debug)]
pub struct Images {
    core: Arc<Core>,
    checkpoints: Checkpoints,
}

/// Why nobody deletes an image yet.
const BEING_MADE: &str = "it is being made; wait for the job, or cancel that";

impl Images {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { checkpoints: Checkpoints::new(Arc::clone(&core)), core }
    }

    /// Makes an image of a server's backup, or of a server that is backed up first (IMG-01, IMG-12); a
    /// job tells when it can be used.
    pub async fn create(&self, access: &Access, wanted: NewImage) -> Result<ImageStarted> {
        match wanted.source {
            ImageSource::Backup(id) => {
                let mut tx = self.core.change(access, "making an image").await?;
                let (backup, vault) = source(&mut tx, access, id).await?;
                self.add(tx, access, wanted, (&backup, &vault)).await
            }
            ImageSource::Server { server, vault } => {
                let (mut tx, vault, backup) = self.back_up(access, server, vault, &wanted).await?;
                rules::check_vault(&vault, &backup)?;
                rules::check_disks(&backup)?;
                // Who reads the record of the change sees the backup's vault as well.
                tx.record(Subject::new(vault.id, &vault.name)).await?;
                self.add(tx, access, wanted, (&backup, &vault)).await
            }
        }
    }

    async fn back_up<'a>(
        &self,
        access: &'a Access,
        server: ResourceId,
        vault: VaultId,
        wanted: &NewImage,
    ) -> Result<(Change<'a>, Vault, Backup)> {
        access.require("cbr:backups:create")?;
        let run = NewCheckpoint {
            vault,
            name: None,
            description: wanted.description.chars().take(255).collect(),
            resources: vec![ResourceChoice { id: server, exclude_volumes: Vec::new() }],
            incremental: true,
            auto_trigger: false,
            retention_days: None,
        };
        let (mut tx, vault, view) = self.checkpoints.begin(access, run).await?;
        let filter = cbr_model::query::BackupFilter {
            checkpoint: Some(view.checkpoint.id),
            ..Default::default()
        };
        let made = tx.backups().list(access.project(), &filter, &Page::default()).await;
        let made = made.map_err(db("listing backups"))?.rows;
        let backup = made.into_iter().find(|backup| backup.resource == server);
        Ok((tx, vault, backup.ok_or(ImageError::NotBackedUp(server))?))
    }

    async fn add(
        &self,
        mut tx: Change<'_>,
        access: &Access,
        wanted: NewImage,
        (backup, vault): (&Backup, &Vault),
    ) -> Result<ImageStarted> {
        let account = access.caller().domain.id;
        let enterprise_project = match wanted.enterprise_project {
            Some(id) => {
                check_enterprise_project(&mut tx, account, &id).await?;
                id
            }
            None => vault.enterprise_project.clone(),
        };
        let image = Image {
            id: ImageId::random(&*self.core.random),
            project: access.project(),
            backup: backup.id,
            name: wanted.name,
            description: wanted.description,
            enterprise_project,
            protected: false,
            min_ram_mib: wanted.min_ram_mib,
            max_ram_mib: wanted.max_ram_mib.filter(|max| *max > 0),
            tags: wanted.tags,
            created_at: tx.now(),
            updated_at: tx.now(),
        };
        rules::check_texts(&image)?;
        tx.images().insert(&image).await.map_err(db("adding an image"))?;
        let task = create_image::new(&self.core, access, vault, backup, &image);
        tx.tasks().insert(&task).await.map_err(db("adding a task"))?;
        tx.commit(Subject::new(image.id, &image.name)).await?;
        self.core.wake();
        Ok(ImageStarted { job: task.id, image: image.id })
    }

    /// Lists the project's images, newest first.
    pub async fn list(
        &self,
        access: &Access,
        filter: &ImageFilter,
        page: Page,
    ) -> Result<Listing<ImageView>> {
        let doing = "listing images";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let found = tx.images().list(access.project(), filter, &page).await.map_err(db(doing))?;
        let rows = views(&mut tx, found.rows).await.map_err(db(doing))?;
        Ok(Listing { rows, total: found.total })
    }

    /// How many images the project has.
    pub async fn count(&self, access: &Access) -> Result<u64> {
        let doing = "counting images";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        tx.images().count(access.project()).await.map_err(db(doing))
    }

    /// One image.
    pub async fn show(&self, access: &Access, id: ImageId) -> Result<ImageView> {
        let mut tx = self.core.db.read().await.map_err(db("reading an image"))?;
        existing(&mut tx, access, id).await
    }

    /// Changes what `change` names.
    pub async fn update(
        &self,
        access: &Access,
        id: ImageId,
        change: ImageChange,
    ) -> Result<ImageView> {
        let mut tx = self.core.change(access, "changing an image").await?;
        let mut view = existing(&mut tx, access, id).await?;
        let image = &mut view.image;
        image.name = change.name.unwrap_or_else(|| image.name.clone());
        image.description = change.description.unwrap_or_else(|| image.description.clone());
        image.min_ram_mib = change.min_ram_mib.unwrap_or(image.min_ram_mib);
        image.protected = change.protected.unwrap_or(image.protected);
        if let Some(max) = change.max_ram_mib {
            image.max_ram_mib = (max > 0).then_some(max);
        }
        save(tx, &mut view).await?;
        Ok(view)
    }

    /// Sets tags of an image; a key it has gets the new value.
    pub async fn add_tags(&self, access: &Access, id: ImageId, tags: Vec<Tag>) -> Result<()> {
        let mut tx = self.core.change(access, "tagging an image").await?;
        let mut view = existing(&mut tx, access, id).await?;
        for tag in tags {
            match view.image.tags.iter_mut().find(|known| known.key == tag.key) {
                Some(known) => *known = tag,
                None => view.image.tags.push(tag),
            }
        }
        save(tx, &mut view).await
    }

    /// Takes tags off an image, by their keys. Taking off what it does not carry is fine.
    pub async fn remove_tags(&self, access: &Access, id: ImageId, keys: &[String]) -> Result<()> {
        let mut tx = self.core.change(access, "untagging an image").await?;
        let mut view = existing(&mut tx, access, id).await?;
        view.image.tags.retain(|tag| !keys.contains(&tag.key));
        save(tx, &mut view).await
    }

    /// Deletes an image, and with it the backup if that is wanted; both or neither. Servers that were
    /// made from it stay.
    pub async fn delete(&self, access: &Access, id: ImageId, with_backup: bool) -> Result<()> {
        let mut tx = self.core.change(access, "deleting an image").await?;
        let view = existing(&mut tx, access, id).await?;
        let image = view.image;
        if image.protected {
            return Err(ImageError::Protected(id).into());
        }
        if view.status == ImageStatus::Saving {
            return Err(ImageError::InUse { image: id, reason: BEING_MADE }.into());
        }
        tx.images().delete(image.project, id).await.map_err(db("deleting an image"))?;
        tx.record(Subject::new(id, &image.name)).await?;
        if with_backup {
            access.require("cbr:backups:delete")?;
            let (_, name) = begin_deletion(&self.core, access, &mut tx, image.backup).await?;
            tx.record(Subject::new(image.backup, name)).await?;
        }
        tx.commit_recorded().await?;
        self.core.wake();
        Ok(())
    }
}

/// A backup that makes an image, own or accepted, and the vault that counts it for the project.
async fn source(tx: &mut Tx, access: &Access, id: BackupId) -> Result<(Backup, Vault)> {
    let doing = "reading a share";
    let project = access.project();
    let backup = visible(tx, project, id).await?;
    let images = tx.images().of_backup(id).await.map_err(db("looking for images"))?;
    let is_settled = snapshot_taken(tx, &[&backup]).await?.contains(&id);
    let made = images.iter().find(|image| image.project == project);
    rules::check_backup(&backup, is_settled, made)?;
    let home = existing_vault(tx, backup.project, backup.vault).await?;
    if backup.project == project {
        rules::check_vault(&home, &backup)?;
        return Ok((backup, home));
    }
    // The owner's vault may be about to go with everything in it.
    if !home.status.allows(cbr_model::vault::VaultUse::Restore) {
        return Err(Error::VaultStatus { status: home.status });
    }
    let granted = tx.members().granted(project, id).await.map_err(db(doing))?;
    let (_, vault) = granted.ok_or(Error::BackupNotFound(id))?;
    let vault = existing_vault(tx, project, vault).await?;
    rules::check_vault(&vault, &backup)?;
    Ok((backup, vault))
}

pub(crate) async fn existing(tx: &mut Tx, access: &Access, id: ImageId) -> Result<ImageView> {
    let doing = "reading an image";
    let image = tx.images().find(access.project(), id).await.map_err(db(doing))?;
    let found = views(tx, image.into_iter().collect()).await.map_err(db(doing))?.pop();
    found.ok_or(Error::Image(ImageError::NotFound(id)))
}

async fn views(tx: &mut Tx, images: Vec<Image>) -> std::result::Result<Vec<ImageView>, DbError> {
    let ids: Vec<BackupId> = images.iter().map(|image| image.backup).collect();
    let backups = tx.backups().find_all(&ids).await?;
    let view = |image: Image| {
        let backup = backups.iter().find(|backup| backup.id == image.backup)?;
        Some(ImageView::of(image, backup))
    };
    Ok(images.into_iter().filter_map(view).collect())
}

async fn save(mut tx: Change<'_>, view: &mut ImageView) -> Result<()> {
    rules::check_texts(&view.image)?;
    view.image.updated_at = tx.now();
    tx.images().update(&view.image).await.map_err(db("changing an image"))?;
    tx.commit(Subject::new(view.image.id, &view.image.name)).await
}
