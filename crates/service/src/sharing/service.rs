//! Use cases of shares.

use super::error::ShareError;
use std::collections::BTreeSet;
use std::sync::Arc;

use cbr_db::Tx;
use cbr_model::backup::Backup;
use cbr_model::identity::Project;
use cbr_model::member::{MEMBERS_MAX, Member, MemberState};
use cbr_model::query::{Listing, Page};
use cbr_model::{BackupId, MemberId, ProjectId};

use super::requests::{Decision, MemberFilter, Recipients};
use crate::audit::Subject;
use crate::backups::existing;
use crate::core::Core;
use crate::error::db;
use crate::images::ImageError;
use crate::rules::sharing as rules;
use crate::vaults::existing as existing_vault;
use crate::{Access, Error, Result};

/// Use cases of shares.
#[derive(Debug)]
pub struct Sharing {
    core: Arc<Core>,
}

impl Sharing {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Offers a backup to other projects, all or none (contract C35).
    pub async fn add(
        &self,
        access: &Access,
        id: BackupId,
        recipients: &Recipients,
    ) -> Result<Vec<Member>> {
        let mut tx = self.core.change(access, "sharing a backup").await?;
        let backup = owned(&mut tx, access, id).await?;
        let vault = existing_vault(&mut tx, access.project(), backup.vault).await?;
        rules::check_shareable(&backup, vault.status)?;
        let known = tx.members().of_backup(id).await.map_err(db("listing members"))?;
        let wanted = wanted(&mut tx, recipients).await?;
        rules::check_recipients(&backup, &known, &wanted)?;
        let mut added = Vec::with_capacity(wanted.len());
        for (recipient, _) in wanted {
            let member = Member {
                id: MemberId::random(&*self.core.random),
                backup: id,
                recipient,
                state: MemberState::Pending,
                image: None,
                created_at: tx.now(),
                updated_at: None,
            };
            tx.members().insert(&member).await.map_err(db("adding a member"))?;
            added.push(member);
        }
        tx.commit(Subject::new(backup.id, &backup.name)).await?;
        Ok(added)
    }

    /// The projects a backup is shared with (contract C36); a recipient sees itself only.
    pub async fn list(
        &self,
        access: &Access,
        id: BackupId,
        filter: &MemberFilter,
        page: Page,
    ) -> Result<Listing<Member>> {
        let mut tx = self.core.db.read().await.map_err(db("listing members"))?;
        let members = seen(&mut tx, access, id).await?;
        let (rows, total) = rules::page(members, filter, page)?;
        Ok(Listing { rows, total })
    }

    /// One project a backup is shared with (contract C37).
    pub async fn show(
        &self,
        access: &Access,
        id: BackupId,
        recipient: ProjectId,
    ) -> Result<Member> {
        let mut tx = self.core.db.read().await.map_err(db("reading a member"))?;
        let members = seen(&mut tx, access, id).await?;
        let found = members.into_iter().find(|member| member.recipient == recipient);
        found.ok_or(Error::Share(ShareError::MemberNotFound { backup: id, project: recipient }))
    }

    /// Accepts or rejects an offer (contract C38): only the recipient does.
    pub async fn decide(
        &self,
        access: &Access,
        id: BackupId,
        recipient: ProjectId,
        decision: Decision,
    ) -> Result<Member> {
        let mut tx = self.core.change(access, "deciding about a share").await?;
        let members = seen(&mut tx, access, id).await?;
        let member = members.into_iter().find(|member| member.recipient == recipient);
        let member = member
            .ok_or(Error::Share(ShareError::MemberNotFound { backup: id, project: recipient }))?;
        if recipient != access.project() {
            let reason = "only the project it is shared with accepts or rejects it".to_owned();
            return Err(Error::Share(ShareError::MemberNotChanged { reason }));
        }
        let expected = member.state.status();
        let state = match decision {
            Decision::Reject => member.state.reject(),
            Decision::Accept(vault) => {
                let accepted = member.state.accept(vault);
                let accepted = accepted.map_err(|error| {
                    Error::Share(ShareError::MemberNotChanged { reason: error.to_string() })
                })?;
                if accepted != member.state {
                    let vault = existing_vault(&mut tx, access.project(), vault).await?;
                    let backup = tx.members().offered(access.project(), id).await;
                    let backup = backup.map_err(db("reading a share"))?;
                    let backup = backup.ok_or(Error::BackupNotFound(id))?;
                    let coming = tx.trash().coming_back(vault.id).await;
                    let coming = coming.map_err(db("reading the trash"))?;
                    rules::check_vault(&backup, &vault, coming)?;
                }
                accepted
            }
        };
        let decided = Member { state, updated_at: Some(tx.now()), ..member };
        let is_changed = tx.members().decide(&decided, expected).await;
        if !is_changed.map_err(db("deciding about a share"))? {
            return Err(Error::internal("deciding about a share")("it changed meanwhile"));
        }
        tx.commit(Subject::new(id, recipient)).await?;
        Ok(decided)
    }

    /// Takes an offer back, accepted or not (contract C39, SHR-12). What the recipient has made of
    /// it stays, and what it is just making is made.
    pub async fn remove(&self, access: &Access, id: BackupId, recipient: ProjectId) -> Result<()> {
        let mut tx = self.core.change(access, "taking a share back").await?;
        let members = seen(&mut tx, access, id).await?;
        if members.iter().any(|member| member.recipient == access.project()) {
            let reason = "only the owner of the backup takes it back; reject it instead";
            return Err(Error::Share(ShareError::MemberNotChanged { reason: reason.to_owned() }));
        }
        // Contract C39: what the recipient's image is made of stays readable.
        let mut images = members.iter().filter(|member| member.recipient == recipient);
        if let Some(image) = images.find_map(|member| member.image) {
            return Err(ImageError::HeldByRecipient { backup: id, image }.into());
        }
        if !tx.members().delete(id, recipient).await.map_err(db("taking a share back"))? {
            return Err(Error::Share(ShareError::MemberNotFound {
                backup: id,
                project: recipient,
            }));
        }
        tx.commit(Subject::new(id, recipient)).await
    }
}

/// The caller's own backup; one it received is not shared on (contract C35).
async fn owned(tx: &mut Tx, access: &Access, id: BackupId) -> Result<Backup> {
    existing(tx, access.project(), id).await.map_err(|error| match error {
        Error::Share(ShareError::BackupReceived(id)) => {
            Error::Share(ShareError::ShareNotPassedOn(id))
        }
        other => other,
    })
}

/// The members of a backup that the caller sees: all of its own, itself of another's.
async fn seen(tx: &mut Tx, access: &Access, id: BackupId) -> Result<Vec<Member>> {
    let backup = tx.backups().find(access.project(), id).await.map_err(db("reading a backup"))?;
    if backup.is_some() {
        return tx.members().of_backup(id).await.map_err(db("listing members"));
    }
    let own = tx.members().find(id, access.project()).await.map_err(db("reading a member"))?;
    Ok(vec![own.ok_or(Error::BackupNotFound(id))?])
}

/// The wanted projects, with what is known of each.
async fn wanted(tx: &mut Tx, recipients: &Recipients) -> Result<Vec<(ProjectId, Option<Project>)>> {
    let mut wanted = Vec::new();
    for id in &recipients.projects {
        let found = tx.projects().find(*id).await.map_err(db("reading a project"))?;
        wanted.push((*id, found));
    }
    // Each account once; and of many projects no more than show that they are too many.
    for domain in recipients.domains.iter().collect::<BTreeSet<_>>() {
        if wanted.len() > MEMBERS_MAX {
            return Err(Error::Share(ShareError::TooManyMembers { limit: MEMBERS_MAX }));
        }
        let projects = tx.projects().list(*domain).await.map_err(db("listing projects"))?;
        let usable = projects.into_iter().filter(|project| project.enabled);
        let count = wanted.len();
        wanted.extend(usable.map(|project| (project.id, Some(project))));
        if wanted.len() == count {
            let reason = format!("account {domain} does not exist or has no project");
            return Err(Error::invalid("domains", reason));
        }
    }
    Ok(wanted)
}
