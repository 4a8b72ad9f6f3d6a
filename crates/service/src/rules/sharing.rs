//! What may be shared, with whom, and into which vault it goes (SHR-01 … SHR-14, contract C35, C38).

use crate::sharing::ShareError;
use cbr_model::ProjectId;
use cbr_model::backup::{Backup, BackupState};
use cbr_model::identity::Project;
use cbr_model::member::{MEMBERS_MAX, Member};
use cbr_model::query::Page;
use cbr_model::size::Bytes;
use cbr_model::vault::{Vault, VaultStatus, VaultUse};

use crate::rules::trash::logical_bytes;
use crate::sharing::{MemberFilter, MemberSort, MemberSortKey};
use crate::{Error, Result};

/// Refuses what cannot be shared: SHR-01, SHR-03, SHR-13, Y.2.
pub(crate) fn check_shareable(backup: &Backup, vault: VaultStatus) -> Result<()> {
    if backup.parent.is_some() {
        let reason = "it is one disk of a server backup: share the server backup";
        return Err(Error::Share(ShareError::NotShareable { reason }));
    }
    if !vault.allows(VaultUse::Backup) {
        return Err(Error::Share(ShareError::VaultStatusForbidsSharing { status: vault }));
    }
    if backup.encrypted {
        return Err(Error::Share(ShareError::BackupEncrypted(backup.id)));
    }
    match &backup.state {
        BackupState::Available { .. } => Ok(()),
        other => Err(Error::Share(ShareError::BackupNotShareable { status: other.as_str() })),
    }
}

/// Refuses recipients: SHR-04; `found`: what is known of each wanted project.
pub(crate) fn check_recipients(
    backup: &Backup,
    known: &[Member],
    wanted: &[(ProjectId, Option<Project>)],
) -> Result<()> {
    for (index, (id, found)) in wanted.iter().enumerate() {
        let is_usable = found.as_ref().is_some_and(|project| project.enabled);
        if !is_usable {
            let reason = "it does not exist or is not enabled";
            return Err(Error::Share(ShareError::RecipientInvalid { project: *id, reason }));
        }
        if *id == backup.project {
            let reason = "it is the backup's own project";
            return Err(Error::Share(ShareError::RecipientInvalid { project: *id, reason }));
        }
        let is_repeated = wanted[..index].iter().any(|(other, _)| other == id);
        if is_repeated || known.iter().any(|member| member.recipient == *id) {
            return Err(Error::Share(ShareError::SharedAlready(*id)));
        }
    }
    if known.len() + wanted.len() > MEMBERS_MAX {
        return Err(Error::Share(ShareError::TooManyMembers { limit: MEMBERS_MAX }));
    }
    Ok(())
}

/// Refuses a vault that cannot take the backup: SHR-07.
/// What is `coming` back into it out of the trash has its room already.
pub(crate) fn check_vault(backup: &Backup, vault: &Vault, coming: Bytes) -> Result<()> {
    if !vault.status.allows(VaultUse::Backup) {
        return Err(Error::Share(ShareError::VaultStatusForbidsSharing { status: vault.status }));
    }
    if vault.kind.resource_kind() != Some(backup.resource_kind) {
        return Err(Error::Share(ShareError::ShareKindMismatch {
            vault: vault.kind,
            resource: backup.resource_kind,
        }));
    }
    // The same in the recipient's vault as in the owner's.
    let needed = logical_bytes(backup);
    let taken = vault.used.0.saturating_add(coming.0);
    let free = Bytes(vault.size.bytes().0.saturating_sub(taken));
    if free.0 <= needed.0 {
        return Err(Error::Share(ShareError::VaultLacksRoom { needed, free }));
    }
    Ok(())
}

/// The wanted page of a backup's members, and how many match.
pub(crate) fn page(
    mut members: Vec<Member>,
    filter: &MemberFilter,
    page: Page,
) -> Result<(Vec<Member>, u64)> {
    members.sort_by(|a, b| compare(a, b, &filter.sort));
    let begin = match page.marker {
        None => 0,
        Some(marker) => {
            let at = members.iter().position(|member| member.id.as_uuid() == marker);
            1 + at.ok_or_else(|| Error::invalid("marker", "there is no such member"))?
        }
    };
    let behind = members.split_off(begin);
    let total = members.iter().chain(&behind).filter(|it| matches(it, filter)).count() as u64;
    let offset = usize::try_from(page.offset).unwrap_or(usize::MAX);
    let found = behind.into_iter().filter(|member| matches(member, filter));
    Ok((found.skip(offset).take(page.limit as usize).collect(), total))
}

fn matches(member: &Member, filter: &MemberFilter) -> bool {
    filter.recipient.is_none_or(|id| id == member.recipient)
        && filter.vault.is_none_or(|id| member.state.vault() == Some(id))
        && (filter.statuses.is_empty() || filter.statuses.contains(&member.state.status()))
        && filter
            .image
            .as_ref()
            .is_none_or(|id| member.image.is_some_and(|it| it.to_string() == *id))
}

/// By what is wanted, then newest first, then by id: a total order.
fn compare(a: &Member, b: &Member, sort: &[MemberSort]) -> std::cmp::Ordering {
    let newest = MemberSort { key: MemberSortKey::CreatedAt, ascending: false };
    let id = MemberSort { key: MemberSortKey::Id, ascending: false };
    sort.iter()
        .chain([&newest, &id])
        .map(|criterion| {
            let order = match criterion.key {
                MemberSortKey::CreatedAt => a.created_at.cmp(&b.created_at),
                MemberSortKey::UpdatedAt => a.updated_at.cmp(&b.updated_at),
                MemberSortKey::Status => a.state.status().as_str().cmp(b.state.status().as_str()),
                MemberSortKey::Recipient => a.recipient.cmp(&b.recipient),
                MemberSortKey::Id => a.id.cmp(&b.id),
            };
            if criterion.ascending { order } else { order.reverse() }
        })
        .find(|order| order.is_ne())
        .unwrap_or(std::cmp::Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use cbr_model::ChainId;
    use cbr_model::backup::{Content, StoredVersion};
    use cbr_model::resource::ResourceKind;
    use cbr_model::vault::VaultKind;
    use uuid::Uuid;

    use super::super::restore::tests::backup;
    use super::super::vault::tests::vault;
    use super::*;

    fn of_bytes(logical: u64) -> Backup {
        let version = StoredVersion {
            tenant: Uuid::nil(),
            shared: false,
            epoch: 0,
            chain: ChainId::from_uuid(Uuid::nil()),
            seq: 1,
            disk_bytes: Bytes(1 << 40),
            logical_bytes: Bytes(logical),
            added_bytes: Bytes(1),
        };
        backup(1, ResourceKind::Volume, Content::Disk(version))
    }

    /// SHR-07: what is left must be more than the backup's size, not as much.
    #[test]
    fn a_vault_needs_more_room_than_the_backup_takes() {
        let mut inbox = vault(VaultKind::Disk);
        let size = inbox.size.bytes().0;
        inbox.used = Bytes(size - 100);
        assert!(check_vault(&of_bytes(99), &inbox, Bytes(0)).is_ok());
        let taken = check_vault(&of_bytes(99), &inbox, Bytes(1));
        assert!(taken.is_err(), "what is coming back has its room already");
        for too_large in [100, 101] {
            let refused = check_vault(&of_bytes(too_large), &inbox, Bytes(0));
            let is_refused =
                matches!(refused, Err(Error::Share(ShareError::VaultLacksRoom { .. })));
            assert!(is_refused, "{too_large}: {refused:?}");
        }
        inbox.used = Bytes(size + 1);
        assert!(check_vault(&of_bytes(0), &inbox, Bytes(0)).is_err(), "more than full");
        let servers = Vault { used: Bytes(0), ..vault(VaultKind::Server) };
        let refused = check_vault(&of_bytes(1), &servers, Bytes(0));
        assert!(matches!(refused, Err(Error::Share(ShareError::ShareKindMismatch { .. }))));
    }
}
