//! Which backups a project reaches: its own for everything, those it accepted for reading.

use crate::sharing::ShareError;
use std::collections::{BTreeMap, BTreeSet};

use cbr_db::Tx;
use cbr_model::backup::{Backup, BackupState, Content, StoredVersion};
use cbr_model::member::Member;
use cbr_model::metadata::BackupMetadata;
use cbr_model::resource::ResourceKind;
use cbr_model::vault::{VaultStatus, VaultUse};
use cbr_model::{BackupId, ImageId, ProjectId, VaultId};
use cbr_task::Task as _;

use super::service::Backups;
use crate::error::db;
use crate::tasks::backup::{BackupTask, OPENED};
use crate::vaults::existing as existing_vault;
use crate::{Access, Error, Result};

/// What a list says of backups beside themselves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Surroundings {
    /// The project that asks.
    pub project: ProjectId,
    /// The offers of backups of other projects to this one.
    pub offers: BTreeMap<BackupId, Member>,
    /// The enterprise projects of the vaults; one that is not here is `0`.
    pub enterprise_projects: BTreeMap<VaultId, String>,
    /// Backups with an image, and the project's own image of each.
    pub images: BTreeMap<BackupId, Option<ImageId>>,
    /// Those that are being made and of which an image can be made already (BAK-52).
    pub imageable: BTreeSet<BackupId>,
}

/// A backup with how its resource was set up.
#[derive(Clone, PartialEq, Debug)]
pub struct DescribedBackup {
    /// The backup.
    pub backup: Backup,
    /// None: it was made before this was noted.
    pub metadata: Option<BackupMetadata>,
}

impl Backups {
    /// Offers and enterprise projects of these backups, as the project sees them.
    pub async fn surroundings(&self, access: &Access, backups: &[Backup]) -> Result<Surroundings> {
        let doing = "reading what belongs to backups";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let (own, others): (Vec<&Backup>, Vec<&Backup>) =
            backups.iter().partition(|backup| backup.project == access.project());
        let roots: Vec<BackupId> =
            others.iter().map(|backup| backup.parent.unwrap_or(backup.id)).collect();
        let offers = tx.members().received(access.project(), &roots).await.map_err(db(doing))?;
        let offers: BTreeMap<_, _> = offers.into_iter().map(|it| (it.backup, it)).collect();
        let received = offers.values().filter_map(|offer| offer.state.vault());
        let vaults = own.iter().map(|backup| backup.vault).chain(received).collect();
        let found = tx.vaults().enterprise_projects(vaults).await.map_err(db(doing))?;
        let ids: Vec<BackupId> = backups.iter().map(|backup| backup.id).collect();
        let images = tx.images().of_backups(access.project(), &ids).await.map_err(db(doing))?;
        let imageable = snapshot_taken(&mut tx, &own).await?;
        Ok(Surroundings {
            project: access.project(),
            offers,
            enterprise_projects: found,
            images,
            imageable,
        })
    }

    /// How the resource was set up when the backup was made (contract C34); not before it is complete.
    pub async fn describe(&self, access: &Access, id: BackupId) -> Result<DescribedBackup> {
        let mut tx = self.core.db.read().await.map_err(db("reading a backup"))?;
        let backup = existing(&mut tx, access.project(), id).await?;
        if backup.state == BackupState::Protecting {
            return Err(Error::BackupNotDescribed { status: backup.state.as_str() });
        }
        // That of a server is kept with the server's backup.
        let kept = backup.parent.unwrap_or(id);
        let metadata = tx.backups().metadata(access.project(), kept).await;
        Ok(DescribedBackup { backup, metadata: metadata.map_err(db("reading metadata"))? })
    }
}

impl Surroundings {
    /// Those of a project's own backups, of whose vaults nothing is known.
    pub const fn of_own(project: ProjectId) -> Self {
        Self {
            project,
            offers: BTreeMap::new(),
            enterprise_projects: BTreeMap::new(),
            images: BTreeMap::new(),
            imageable: BTreeSet::new(),
        }
    }

    /// The offer of a backup, or of the server's backup it is a disk of.
    pub fn offer(&self, backup: &Backup) -> Option<&Member> {
        self.offers.get(&backup.parent.unwrap_or(backup.id))
    }

    /// The vault that counts the backup for the project; none as long as an offer is not accepted.
    pub fn vault(&self, backup: &Backup) -> Option<VaultId> {
        if backup.project == self.project {
            return Some(backup.vault);
        }
        // Also where the offer was taken back since the backup was read.
        self.offer(backup).and_then(|offer| offer.state.vault())
    }

    /// Whether it is an offer that is not accepted: what it consists of is nobody's business yet.
    pub fn is_undecided(&self, backup: &Backup) -> bool {
        backup.project != self.project && self.vault(backup).is_none()
    }
}

/// Those of these backups of whole servers that are being made and whose content is settled: the snapshot is
/// taken, so that an image can be made that is ready when the backup is (BAK-52, IMG-02).
pub(crate) async fn snapshot_taken(tx: &mut Tx, backups: &[&Backup]) -> Result<BTreeSet<BackupId>> {
    let is_meant = |backup: &&&Backup| {
        backup.state == BackupState::Protecting
            && backup.resource_kind == ResourceKind::Server
            && backup.system_disk
    };
    let ids: Vec<BackupId> = backups.iter().filter(is_meant).map(|backup| backup.id).collect();
    let found = tx.tasks().backups_at(BackupTask::KIND, OPENED, &ids).await;
    found.map_err(db("looking for snapshots"))
}

/// The project's own backup, or the refusal. One that is only shared with it is refused too.
pub(crate) async fn existing(tx: &mut Tx, project: ProjectId, id: BackupId) -> Result<Backup> {
    let backup = tx.backups().find(project, id).await.map_err(db("reading a backup"))?;
    if let Some(backup) = backup {
        return Ok(backup);
    }
    match tx.members().granted(project, id).await.map_err(db("reading a share"))? {
        Some(_) => Err(Error::Share(ShareError::BackupReceived(id))),
        None => Err(Error::BackupNotFound(id)),
    }
}

/// The project's own backup, or one that it accepted.
pub(crate) async fn visible(tx: &mut Tx, project: ProjectId, id: BackupId) -> Result<Backup> {
    let backup = tx.backups().find(project, id).await.map_err(db("reading a backup"))?;
    if let Some(backup) = backup {
        return Ok(backup);
    }
    let granted = tx.members().granted(project, id).await.map_err(db("reading a share"))?;
    granted.map(|(backup, _)| backup).ok_or(Error::BackupNotFound(id))
}

/// A backup of one disk that the project may read now: its own or one that it accepted (NEW-01,
/// SHR-10, VLT-56, Y.2). What is read is always the owner's, with the owner's keys.
pub(crate) async fn readable(
    tx: &mut Tx,
    project: ProjectId,
    id: BackupId,
) -> Result<(Backup, StoredVersion)> {
    let backup = open(tx, project, id).await?;
    match &backup.state {
        BackupState::Available { content: Content::Disk(version) } => {
            let version = version.clone();
            Ok((backup, version))
        }
        BackupState::Available { content: Content::Server } => {
            Err(Error::invalid("backup_id", "it is a server's; name the backup of one disk"))
        }
        other => Err(Error::BackupNotRestorable { status: other.as_str() }),
    }
}

/// The same of a whole server.
pub(crate) async fn readable_whole(
    tx: &mut Tx,
    project: ProjectId,
    id: BackupId,
) -> Result<Backup> {
    let backup = open(tx, project, id).await?;
    match &backup.state {
        BackupState::Available { content: Content::Server } => Ok(backup),
        other => Err(Error::BackupNotRestorable { status: other.as_str() }),
    }
}

/// A visible backup whose vaults – the owner's, and the one that holds the offer – let it be read.
async fn open(tx: &mut Tx, project: ProjectId, id: BackupId) -> Result<Backup> {
    let backup = visible(tx, project, id).await?;
    if backup.project != project {
        let granted = tx.members().granted(project, id).await.map_err(db("reading a share"))?;
        let (_, vault) = granted.ok_or(Error::BackupNotFound(id))?;
        check_vault(existing_vault(tx, project, vault).await?.status)?;
    }
    // The owner's vault may be about to go with everything in it.
    check_vault(existing_vault(tx, backup.project, backup.vault).await?.status)?;
    Ok(backup)
}

fn check_vault(status: VaultStatus) -> Result<()> {
    if status.allows(VaultUse::Restore) {
        return Ok(());
    }
    Err(Error::VaultStatusForbidsRestore { status })
}

#[cfg(test)]
mod tests {
    use cbr_model::Timestamp;
    use cbr_model::member::MemberState;
    use uuid::Uuid;

    use super::*;
    use crate::rules::restore::tests::backup;

    /// P26: of another's backup whose offer was taken back since it was read, neither the owner's vault
    /// nor the disks are told.
    #[test]
    fn without_an_offer_nothing_of_anothers_backup_is_told() {
        let backup = backup(1, ResourceKind::Server, Content::Server);
        let project = ProjectId::from_uuid(Uuid::from_u128(99));
        let around = Surroundings::of_own(project);
        assert_ne!(backup.project, project);
        assert_eq!((around.vault(&backup), around.is_undecided(&backup)), (None, true));
        let own = Surroundings::of_own(backup.project);
        assert_eq!((own.vault(&backup), own.is_undecided(&backup)), (Some(backup.vault), false));
        let member = |state| Member {
            id: cbr_model::MemberId::from_uuid(Uuid::from_u128(1)),
            backup: backup.id,
            recipient: project,
            state,
            image: None,
            created_at: Timestamp(0),
            updated_at: None,
        };
        let vault = VaultId::from_uuid(Uuid::from_u128(7));
        for (state, known) in
            [(MemberState::Pending, None), (MemberState::Accepted { vault }, Some(vault))]
        {
            let offers = BTreeMap::from([(backup.id, member(state))]);
            let around = Surroundings { offers, ..Surroundings::of_own(project) };
            assert_eq!(around.vault(&backup), known);
            assert_eq!(around.is_undecided(&backup), known.is_none());
        }
    }
}
