//! What images keep from going: backups, and what would take backups with it.

use cbr_db::Tx;
use cbr_model::backup::Backup;
use cbr_model::{BackupId, ImageId, ProjectId, ResourceId, VaultId};

use super::error::ImageError;
use crate::error::db;
use crate::{Error, Result};

/// Refuses to delete a backup that has an image (IMG-06, BAK-73, SHR-14). One that failed has none:
/// what was to be made of it goes with it.
pub(crate) async fn refuse_imaged(tx: &mut Tx, backup: &Backup) -> Result<()> {
    if backup.state.content().is_none() {
        return Ok(());
    }
    let images = tx.images().of_backup(backup.id).await.map_err(db("looking for images"))?;
    let own = images.iter().find(|image| image.project == backup.project);
    match own.or(images.first()) {
        Some(image) => Err(refusal(backup.project, backup.id, image.project, image.id)),
        None => Ok(()),
    }
}

/// Refuses to delete a vault, or to take resources out of it, when backups in it have images (VLT-64,
/// RES-18), or when it received what an image is made of (VLT-65).
pub(crate) async fn refuse_imaged_in_vault(
    tx: &mut Tx,
    vault: VaultId,
    is_meant: impl Fn(ResourceId) -> bool + Send,
) -> Result<()> {
    let doing = "looking for images";
    for held in tx.images().in_vault(vault).await.map_err(db(doing))? {
        if !is_meant(held.resource) {
            continue;
        }
        let backup = tx.backups().find_all(&[held.backup]).await.map_err(db(doing))?.pop();
        // A failed backup is not held.
        let Some(backup) = backup.filter(|backup| backup.state.content().is_some()) else {
            continue;
        };
        let is_own = backup.vault == vault;
        let owner = if is_own { backup.project } else { held.project };
        return Err(refusal(owner, held.backup, held.project, held.image));
    }
    Ok(())
}

/// `owner`: in whose place the refusal is told.
fn refusal(owner: ProjectId, backup: BackupId, maker: ProjectId, image: ImageId) -> Error {
    if maker == owner {
        ImageError::BackupHeld { backup, image }.into()
    } else {
        ImageError::HeldByRecipient { backup, image }.into()
    }
}
