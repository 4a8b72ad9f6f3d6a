//! Which resources of a vault a run takes, and why it leaves others out.
//!
//! BAK-01, BAK-02, BAK-25, RST-27, VLT-80, VLT-81, Y.1, contract C23.

use std::collections::BTreeSet;

use cbr_model::ResourceId;
use cbr_model::checkpoint::SkippedResource;
use cbr_model::resource::{BoundResource, ProtectStatus, ResourceKind};
use cbr_model::vault::{Vault, VaultUse};

use super::binding::{Candidate, SHARED_DISKS_MAX};
use crate::checkpoints::ResourceChoice;
use crate::failure::Code;
use crate::{Error, Result};

/// A resource that a run takes.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Taken {
    pub(crate) bound: BoundResource,
    pub(crate) candidate: Candidate,
    /// Disks left out: always, and in this run.
    pub(crate) exclude_volumes: Vec<ResourceId>,
}

/// What a run does.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Selection {
    pub(crate) taken: Vec<Taken>,
    pub(crate) skipped: Vec<SkippedResource>,
}

/// Refuses a run that the vault as a whole does not allow.
pub(crate) fn check_vault(vault: &Vault) -> Result<()> {
    if !vault.status.allows(VaultUse::Backup) {
        return Err(Error::VaultStatusForbidsBackup { status: vault.status });
    }
    if !vault.has_room() {
        return Err(Error::VaultFull { used: vault.used, size: vault.size });
    }
    Ok(())
}

/// The resources of `vault` that are meant, in the vault's order: the chosen ones; or all, of which an
/// automatic run leaves out those that automatic backups shall not take (contract C10).
pub(crate) fn chosen(
    vault: &Vault,
    choices: &[ResourceChoice],
    is_automatic: bool,
) -> Result<Vec<BoundResource>> {
    let mut ids = BTreeSet::new();
    for choice in choices {
        if !vault.resources.iter().any(|bound| bound.id == choice.id) {
            return Err(Error::ResourceNotInVault { resource: choice.id });
        }
        if !ids.insert(choice.id) {
            return Err(Error::ResourceRepeated { resource: choice.id });
        }
    }
    let is_meant = |bound: &&BoundResource| match choices {
        [] => bound.auto_protect || !is_automatic,
        _ => ids.contains(&bound.id),
    };
    Ok(vault.resources.iter().filter(is_meant).cloned().collect())
}

/// Sorts the meant resources, each with what its provider says, into taken and skipped.
pub(crate) fn select(
    meant: Vec<(BoundResource, Option<Candidate>)>,
    choices: &[ResourceChoice],
) -> Result<Selection> {
    let mut selection = Selection { taken: Vec::new(), skipped: Vec::new() };
    for (bound, candidate) in meant {
        let mut exclude_volumes = match &candidate {
            Some(seen) => seen.left_out(&bound.exclude_volumes, &bound.include_volumes),
            None => bound.exclude_volumes.clone(),
        };
        if let Some(choice) = choices.iter().find(|choice| choice.id == bound.id) {
            for volume in &choice.exclude_volumes {
                if !exclude_volumes.contains(volume) {
                    exclude_volumes.push(*volume);
                }
            }
        }
        match obstacle(&bound, candidate, &exclude_volumes) {
            Ok(candidate) => selection.taken.push(Taken { bound, candidate, exclude_volumes }),
            Err((code, reason)) => selection.skipped.push(SkippedResource {
                id: bound.id,
                kind: bound.kind,
                name: bound.name,
                code: code.as_str().to_owned(),
                reason,
            }),
        }
    }
    if selection.taken.is_empty() {
        return Err(Error::NothingToBackUp { skipped: selection.skipped });
    }
    Ok(selection)
}

/// Gives the candidate back if nothing stands in the way.
fn obstacle(
    bound: &BoundResource,
    candidate: Option<Candidate>,
    excluded: &[ResourceId],
) -> std::result::Result<Candidate, (Code, String)> {
    let refused = |code: Code, reason: &str| Err((code, reason.to_owned()));
    match bound.protect_status {
        ProtectStatus::Protecting => return refused(Code::BackupRunning, "a backup of it runs"),
        ProtectStatus::Restoring => return refused(Code::RestoreRunning, "a restore to it runs"),
        ProtectStatus::Removing => {
            return refused(Code::ResourceRemoving, "it is being taken out of the vault");
        }
        // A person was told; trying again is how it is found out whether it is over.
        ProtectStatus::Available | ProtectStatus::Error => {}
    }
    let Some(candidate) = candidate else {
        let code = match bound.kind {
            ResourceKind::Server => Code::ServerNotFound,
            ResourceKind::Volume | ResourceKind::Native => Code::VolumeNotFound,
        };
        return refused(code, "it does not exist any more");
    };
    if let Some(reason) = candidate.obstacle {
        let code = match bound.kind {
            ResourceKind::Server => Code::ServerStatus,
            ResourceKind::Volume | ResourceKind::Native => Code::VolumeStatus,
        };
        return Err((code, reason));
    }
    if let Some(count) = candidate.too_many_shared() {
        return Err((Code::TooManySharedDisks, shared_disks(count)));
    }
    if !candidate.has_disk_without(excluded) {
        return refused(Code::ServerWithoutDisk, "none of its disks is to be backed up");
    }
    Ok(candidate)
}

/// RES-11, for people.
pub(crate) fn shared_disks(count: usize) -> String {
    format!(
        "{count} of its disks are attached to other servers too; at most {SHARED_DISKS_MAX} may be"
    )
}

#[cfg(test)]
mod tests {
    use cbr_model::size::{Bytes, Gib};
    use cbr_model::vault::{VaultKind, VaultStatus};

    use super::super::binding::tests::{candidate, id};
    use super::super::vault::tests::{resource, vault};
    use super::*;

    fn choice(n: u128, exclude: &[u128]) -> ResourceChoice {
        let exclude_volumes = exclude.iter().copied().map(id).collect();
        ResourceChoice { id: id(n), exclude_volumes }
    }

    /// VLT-80, VLT-81, Y.1.
    #[test]
    fn a_run_starts_while_used_is_at_most_the_capacity() {
        let full = Gib(100).bytes();
        #[rustfmt::skip]
        let table = [
            (VaultStatus::Available, Bytes(0),            true),
            (VaultStatus::Available, full,                true), // exactly zero left
            (VaultStatus::Available, Bytes(full.0 + 1),   false),
            (VaultStatus::Lock,      Bytes(0),            true),
            (VaultStatus::Deleting,  Bytes(0),            false),
            (VaultStatus::Frozen,    Bytes(0),            false),
            (VaultStatus::Error,     Bytes(0),            false),
        ];
        for (status, used, allowed) in table {
            let vault = Vault { status, used, ..vault(VaultKind::Disk) };
            assert_eq!(check_vault(&vault).is_ok(), allowed, "{status:?} {used:?}");
        }
    }

    /// Contract C23: no choice means all; a choice must be in the vault, once.
    #[test]
    fn a_choice_narrows_the_vault() {
        let mut vault = vault(VaultKind::Disk);
        vault.resources = (1..=3).map(|n| resource(n, ResourceKind::Volume, 1)).collect();
        let ids = |choices: &[ResourceChoice]| {
            chosen(&vault, choices, false)
                .map(|meant| meant.into_iter().map(|b| b.id).collect::<Vec<_>>())
        };
        assert_eq!(ids(&[]).unwrap(), [id(1), id(2), id(3)]);
        assert_eq!(ids(&[choice(3, &[]), choice(1, &[])]).unwrap(), [id(1), id(3)]);
        assert!(matches!(ids(&[choice(9, &[])]), Err(Error::ResourceNotInVault { .. })));
        let twice = [choice(1, &[]), choice(1, &[])];
        assert!(matches!(ids(&twice), Err(Error::ResourceRepeated { .. })));
        // Contract C10.
        vault.resources[1].auto_protect = false;
        let automatic = |choices: &[ResourceChoice]| chosen(&vault, choices, true).unwrap().len();
        assert_eq!((automatic(&[]), automatic(&[choice(2, &[])])), (2, 1));
        assert_eq!(chosen(&vault, &[], false).unwrap().len(), 3, "a person means all");
    }

    /// BAK-01, BAK-02, BAK-25, RST-27, RES-11, RES-20: each reason has its code.
    #[test]
    fn what_is_left_out_says_why() {
        use ResourceKind::{Server, Volume};
        let busy = |status| BoundResource { protect_status: status, ..resource(1, Volume, 1) };
        let volume = || Some(candidate(1, Volume, &[(1, 1)]));
        let damaged = || volume().map(|c| Candidate { obstacle: Some("damaged".into()), ..c });
        let server = |disks: &[(u128, u64)]| Some(candidate(2, Server, disks));
        let fault = || server(&[(5, 1)]).map(|c| Candidate { obstacle: Some("fault".into()), ..c });
        let sharing = |count| {
            let disks: Vec<(u128, u64)> = (20..32).map(|n| (n, 1)).collect();
            server(&disks).map(|mut it| {
                it.disks.iter_mut().take(count).for_each(|disk| disk.is_shared = true);
                it
            })
        };
        let table: [(&str, BoundResource, Option<Candidate>, Option<&str>); 12] = [
            ("fine", resource(1, Volume, 1), volume(), None),
            ("after an error", busy(ProtectStatus::Error), volume(), None),
            ("backup runs", busy(ProtectStatus::Protecting), volume(), Some("BackupService.6125")),
            ("restore runs", busy(ProtectStatus::Restoring), volume(), Some("BackupService.2010")),
            ("being removed", busy(ProtectStatus::Removing), volume(), Some("BackupService.6134")),
            ("disk gone", resource(1, Volume, 1), None, Some("BackupService.7000")),
            ("server gone", resource(2, Server, 1), None, Some("BackupService.7100")),
            ("damaged disk", resource(1, Volume, 1), damaged(), Some("BackupService.7003")),
            ("server in fault", resource(2, Server, 1), fault(), Some("BackupService.7101")),
            ("ten shared disks", resource(2, Server, 1), sharing(10), None),
            ("eleven", resource(2, Server, 1), sharing(11), Some("BackupService.7107")),
            ("no disk", resource(2, Server, 1), server(&[]), Some("BackupService.7108")),
        ];
        for (what, bound, candidate, code) in table {
            let got = select(vec![(bound, candidate)], &[]);
            match code {
                None => assert_eq!(got.unwrap().taken.len(), 1, "{what}"),
                Some(code) => match got {
                    Err(Error::NothingToBackUp { skipped }) => assert_eq!(skipped[0].code, code),
                    other => panic!("{what}: {other:?}"),
                },
            }
        }
    }

    #[test]
    fn one_obstacle_does_not_stop_the_others_and_exclusions_add_up() {
        let server = || candidate(2, ResourceKind::Server, &[(5, 1), (6, 1), (7, 1)]);
        let mut bound = resource(2, ResourceKind::Server, 3);
        bound.exclude_volumes = vec![id(5)];
        let gone = resource(3, ResourceKind::Server, 1);
        let meant = vec![(bound, Some(server())), (gone, None)];
        let selection = select(meant, &[choice(2, &[5, 6])]).unwrap();
        assert_eq!(selection.skipped.len(), 1);
        assert_eq!(selection.taken[0].exclude_volumes, [id(5), id(6)]);
    }
}
