//! What goes where in a restore (RST-01 … RST-10, RST-16, RST-40 … RST-43, Y.2).

use cbr_model::ResourceId;
use cbr_model::backup::{Backup, BackupState, Content, StoredVersion};
use cbr_model::resource::{BoundResource, ProtectStatus, ResourceKind};
use cbr_model::size::Bytes;
use cbr_model::vault::{VaultStatus, VaultUse};
use serde::{Deserialize, Serialize};

use crate::backups::RestoreRequest;
use crate::{Error, Result};

/// A disk a backup could be written to, as its provider sees it now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TargetDisk {
    pub(crate) id: ResourceId,
    pub(crate) name: String,
    pub(crate) size: Bytes,
    pub(crate) is_system_disk: bool,
    pub(crate) state: TargetState,
}

/// What may be done with the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TargetState {
    /// Detached and idle, or in error: both may be overwritten.
    Free,
    /// Attached or open.
    InUse,
    /// A restore writes to it.
    Restoring,
}

/// What a restore would overwrite.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// One disk.
    Volume(TargetDisk),
    /// A server.
    Server {
        id: ResourceId,
        name: String,
        /// Its state and what is wrong, if it is in fault (RST-03).
        fault: Option<String>,
        /// The system disk first.
        disks: Vec<TargetDisk>,
    },
}

/// One disk to be written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct DiskPlan {
    /// What to write.
    pub(crate) version: StoredVersion,
    /// Where to.
    pub(crate) volume: ResourceId,
}

/// Refuses what backup, vault or resource do not allow, whatever the target.
pub(crate) fn check_source(
    backup: &Backup,
    vault: VaultStatus,
    resource: Option<&BoundResource>,
) -> Result<()> {
    if backup.parent.is_some() {
        return Err(Error::invalid(
            "backup_id",
            "it is one disk of a server backup: restore the server, or create a disk from it",
        ));
    }
    if !vault.allows(VaultUse::Restore) {
        return Err(Error::VaultStatusForbidsRestore { status: vault });
    }
    match resource.map(|bound| bound.protect_status) {
        Some(ProtectStatus::Protecting) => {
            return Err(Error::ResourceBackingUp(backup.resource));
        }
        Some(ProtectStatus::Restoring) => return Err(Error::ResourceRestoring(backup.resource)),
        Some(ProtectStatus::Removing) => {
            return Err(Error::ResourceRemoving { resource: backup.resource });
        }
        Some(ProtectStatus::Available | ProtectStatus::Error) | None => {}
    }
    match &backup.state {
        BackupState::Available { .. } => Ok(()),
        other => Err(Error::BackupNotRestorable { status: other.as_str() }),
    }
}

/// The resource that the request means, if it is the one that was backed up (RST-01, RST-42).
pub(crate) fn target_id(backup: &Backup, request: &RestoreRequest) -> Result<ResourceId> {
    let (named, other, field) = match backup.resource_kind {
        // The server it is of is elsewhere.
        ResourceKind::Native => return Err(elsewhere(backup)),
        ResourceKind::Server => (request.server, request.volume, "volume_id"),
        ResourceKind::Volume => (request.volume, request.server, "server_id"),
    };
    if other.is_some() {
        return Err(Error::invalid(field, "it does not fit the kind of the backup"));
    }
    match named.or(request.resource) {
        Some(id) if id != backup.resource => Err(elsewhere(backup)),
        _ => Ok(backup.resource),
    }
}

/// Which version goes to which disk.
pub(crate) fn plan(
    backup: &Backup,
    request: &RestoreRequest,
    target: &Target,
) -> Result<Vec<DiskPlan>> {
    match (target, backup.state.content()) {
        (Target::Volume(disk), Some(Content::Disk(version))) => {
            check_disk(disk, version)?;
            if disk.state == TargetState::InUse {
                return Err(Error::VolumeStatusForbidsRestore {
                    volume: disk.id,
                    status: "in-use".to_owned(),
                    remedy: "stop the server that uses it and detach it",
                });
            }
            Ok(vec![DiskPlan { version: version.clone(), volume: disk.id }])
        }
        (Target::Server { id, fault, disks, .. }, Some(Content::Server)) => {
            if let Some(fault) = fault {
                return Err(Error::ServerStatusForbidsRestore {
                    server: *id,
                    status: fault.clone(),
                });
            }
            plan_server(backup, request, disks)
        }
        _ => Err(Error::BackupNotRestorable { status: backup.state.as_str() }),
    }
}

fn plan_server(
    backup: &Backup,
    request: &RestoreRequest,
    disks: &[TargetDisk],
) -> Result<Vec<DiskPlan>> {
    for mapping in &request.mappings {
        if !backup.children.iter().any(|child| child.id == mapping.backup) {
            let reason = format!("{} is not a disk of this backup", mapping.backup);
            return Err(Error::invalid("mappings", reason));
        }
    }
    let mut plans: Vec<DiskPlan> = Vec::new();
    for child in &backup.children {
        let Some(Content::Disk(version)) = child.state.content() else {
            return Err(Error::BackupNotRestorable { status: child.state.as_str() });
        };
        let mapped = request.mappings.iter().find(|mapping| mapping.backup == child.id);
        let wanted = mapped.map_or(child.resource, |mapping| mapping.volume);
        let Some(disk) = disks.iter().find(|disk| disk.id == wanted) else {
            if mapped.is_some() {
                return Err(elsewhere(backup));
            }
            // RST-16: a disk that was taken away since is not restored.
            continue;
        };
        if plans.iter().any(|plan| plan.volume == disk.id) {
            return Err(Error::invalid("mappings", format!("two disks go to {}", disk.id)));
        }
        check_disk(disk, version)?;
        if disk.is_system_disk && !child.system_disk {
            return Err(Error::SystemDiskTarget(disk.id));
        }
        plans.push(DiskPlan { version: version.clone(), volume: disk.id });
    }
    if plans.is_empty() { Err(elsewhere(backup)) } else { Ok(plans) }
}

/// RST-02, RST-09.
fn check_disk(disk: &TargetDisk, version: &StoredVersion) -> Result<()> {
    if disk.state == TargetState::Restoring {
        return Err(Error::ResourceRestoring(disk.id));
    }
    if disk.size < version.disk_bytes {
        return Err(Error::TargetTooSmall { needed: version.disk_bytes, target: disk.size });
    }
    Ok(())
}

/// What it was made of is not there any more (RST-43): the data still has a way to where it is needed.
pub(crate) fn gone(backup: &Backup) -> Error {
    let remedy = match backup.resource_kind {
        ResourceKind::Server => {
            "make an image of the backup and a server of the image, or disks from its disks"
        }
        ResourceKind::Volume | ResourceKind::Native => {
            "create a disk from the backup, attach it, and take from it what is needed"
        }
    };
    Error::RestoreTargetGone { kind: backup.resource_kind, id: backup.resource, remedy }
}

fn elsewhere(backup: &Backup) -> Error {
    let allowed = match backup.resource_kind {
        ResourceKind::Server => {
            format!("disks of the server it was made of ({})", backup.resource)
        }
        ResourceKind::Native => "a new disk, which is created from it, or to a file (cbr backup \
                                 export): what it was made of is not here"
            .to_owned(),
        ResourceKind::Volume => format!(
            "the disk it was made of ({}); for another disk, create a disk from the backup",
            backup.resource
        ),
    };
    Error::RestoreElsewhere { allowed }
}

#[cfg(test)]
pub(crate) mod tests {
    use cbr_model::name::Name;
    use cbr_model::size::{GIB, Gib};
    use cbr_model::vault::VaultKind;
    use cbr_model::{BackupId, ChainId, CheckpointId, Timestamp};
    use uuid::Uuid;

    use super::super::binding::tests::id;
    use super::super::vault::tests::{resource, vault};
    use super::*;
    use crate::backups::DiskMapping;

    pub(crate) fn backup(n: u128, kind: ResourceKind, content: Content) -> Backup {
        let uuid = Uuid::from_u128(n);
        let vault = vault(VaultKind::Disk);
        Backup {
            id: BackupId::from_uuid(uuid),
            project: vault.project,
            vault: vault.id,
            checkpoint: CheckpointId::from_uuid(uuid),
            parent: None,
            name: Name::new("b").unwrap(),
            description: String::new(),
            resource: id(n),
            resource_name: format!("r{n}"),
            resource_kind: kind,
            resource_size: Gib(10),
            resource_az: "az1".into(),
            state: BackupState::Available { content },
            incremental: false,
            auto_trigger: false,
            system_disk: false,
            encrypted: false,
            app_consistency: None,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            protected_at: None,
            expired_at: None,
            children: Vec::new(),
        }
    }

    fn version(gib: u64) -> StoredVersion {
        StoredVersion {
            tenant: Uuid::nil(),
            shared: false,
            epoch: 0,
            chain: ChainId::from_uuid(Uuid::nil()),
            seq: gib,
            disk_bytes: Bytes(gib * GIB),
            logical_bytes: Bytes(0),
            added_bytes: Bytes(0),
        }
    }

    fn volume_backup(n: u128, gib: u64) -> Backup {
        backup(n, ResourceKind::Volume, Content::Disk(version(gib)))
    }

    /// A server 9 with system disk 1 (10 GB) and data disk 2 (20 GB).
    fn server_backup() -> Backup {
        let mut server = backup(9, ResourceKind::Server, Content::Server);
        server.children = vec![volume_backup(1, 10), volume_backup(2, 20)];
        server.children[0].system_disk = true;
        server
    }

    fn disk(n: u128, gib: u64) -> TargetDisk {
        TargetDisk {
            id: id(n),
            name: format!("r{n}"),
            size: Bytes(gib * GIB),
            is_system_disk: false,
            state: TargetState::Free,
        }
    }

    fn server(disks: Vec<TargetDisk>) -> Target {
        Target::Server { id: id(9), name: "s".into(), fault: None, disks }
    }

    fn usual() -> Target {
        server(vec![TargetDisk { is_system_disk: true, ..disk(1, 10) }, disk(2, 20)])
    }

    fn request(mappings: &[(u128, u128)]) -> RestoreRequest {
        let mappings = mappings
            .iter()
            .map(|(backup, volume)| DiskMapping {
                backup: BackupId::from_uuid(Uuid::from_u128(*backup)),
                volume: id(*volume),
            })
            .collect();
        RestoreRequest { server: None, volume: None, resource: None, mappings, power_on: true }
    }

    /// RST-01, RST-25, RST-27, VLT-56, Y.2.
    #[test]
    fn backup_vault_and_resource_must_all_allow_it() {
        let good = volume_backup(1, 10);
        let bound = |status| {
            let protect_status = status;
            BoundResource { protect_status, ..resource(1, ResourceKind::Volume, 10) }
        };
        let allows = |backup: &Backup, vault, status| {
            check_source(backup, vault, Some(&bound(status))).is_ok()
        };
        for (vault, allowed) in [
            (VaultStatus::Available, true),
            (VaultStatus::Lock, true),
            (VaultStatus::Deleting, false),
            (VaultStatus::Frozen, false),
            (VaultStatus::Error, false),
        ] {
            assert_eq!(allows(&good, vault, ProtectStatus::Available), allowed, "{vault:?}");
        }
        for (status, allowed) in [
            (ProtectStatus::Available, true),
            (ProtectStatus::Error, true),
            (ProtectStatus::Protecting, false),
            (ProtectStatus::Restoring, false),
            (ProtectStatus::Removing, false),
        ] {
            assert_eq!(allows(&good, VaultStatus::Available, status), allowed, "{status:?}");
        }
        let content = || Content::Disk(version(1));
        for state in [
            BackupState::Protecting,
            BackupState::Restoring { content: content() },
            BackupState::Deleting { content: None },
            BackupState::Error { reason: "x".into(), content: Some(content()) },
        ] {
            let backup = Backup { state, ..good.clone() };
            let refused = check_source(&backup, VaultStatus::Available, None);
            assert!(matches!(refused, Err(Error::BackupNotRestorable { .. })), "{backup:?}");
        }
        let child = Backup { parent: Some(good.id), ..good };
        assert!(check_source(&child, VaultStatus::Available, None).is_err());
    }

    /// RST-42: a disk backup goes to its own disk only.
    #[test]
    fn a_disk_backup_goes_back_to_its_own_disk() {
        let backup = volume_backup(1, 10);
        assert_eq!(target_id(&backup, &request(&[])).unwrap(), id(1));
        let own = RestoreRequest { volume: Some(id(1)), ..request(&[]) };
        assert_eq!(target_id(&backup, &own).unwrap(), id(1));
        let other = RestoreRequest { volume: Some(id(2)), ..request(&[]) };
        assert!(matches!(target_id(&backup, &other), Err(Error::RestoreElsewhere { .. })));
        let generic = |n| RestoreRequest { resource: Some(id(n)), ..request(&[]) };
        assert_eq!(target_id(&backup, &generic(1)).unwrap(), id(1));
        assert!(matches!(target_id(&backup, &generic(2)), Err(Error::RestoreElsewhere { .. })));
        let server = RestoreRequest { server: Some(id(1)), ..request(&[]) };
        assert!(matches!(target_id(&backup, &server), Err(Error::Invalid { .. })));
    }

    /// RST-09, RST-17, RST-40.
    #[test]
    fn a_disk_must_be_free_and_large_enough() {
        let backup = volume_backup(1, 10);
        let plan = |disk| plan(&backup, &request(&[]), &Target::Volume(disk));
        assert_eq!(plan(disk(1, 10)).unwrap()[0].volume, id(1));
        assert!(plan(disk(1, 11)).is_ok());
        assert!(matches!(plan(disk(1, 9)), Err(Error::TargetTooSmall { .. })));
        let state = |state| TargetDisk { state, ..disk(1, 10) };
        let in_use = plan(state(TargetState::InUse));
        assert!(matches!(in_use, Err(Error::VolumeStatusForbidsRestore { .. })));
        let restoring = plan(state(TargetState::Restoring));
        assert!(matches!(restoring, Err(Error::ResourceRestoring(_))));
    }

    /// RST-05, RST-08, RST-09, RST-16: pairs are (child, disk).
    #[test]
    fn each_disk_of_a_server_goes_to_its_own_or_to_the_chosen_one() {
        let backup = server_backup();
        let pairs = |mappings: &[(u128, u128)], target: &Target| {
            plan(&backup, &request(mappings), target).map(|plans| {
                plans.into_iter().map(|p| (p.version.seq, p.volume)).collect::<Vec<_>>()
            })
        };
        assert_eq!(pairs(&[], &usual()).unwrap(), [(10, id(1)), (20, id(2))]);
        let added = server(vec![disk(1, 10), disk(2, 20), disk(3, 20)]);
        assert_eq!(pairs(&[(2, 3)], &added).unwrap(), [(10, id(1)), (20, id(3))]);
        assert_eq!(pairs(&[], &server(vec![disk(2, 20)])).unwrap(), [(20, id(2))]);
        let attached = server(vec![TargetDisk { state: TargetState::InUse, ..disk(2, 20) }]);
        assert!(pairs(&[], &attached).is_ok(), "the server is shut down for it (RST-07)");

        let told = |mappings: &[(u128, u128)], target: &Target, part: &str| {
            let error = pairs(mappings, target).unwrap_err().to_string();
            assert!(error.contains(part), "{error} should contain {part}");
        };
        told(&[(7, 1)], &usual(), "not a disk of this backup");
        told(&[(1, 8)], &usual(), "only be restored to");
        told(&[(1, 2)], &usual(), "two disks go to");
        told(&[(2, 1)], &server(vec![disk(1, 99)]), "two disks go to");
        let swapped = server(vec![TargetDisk { is_system_disk: true, ..disk(1, 99) }, disk(2, 99)]);
        told(&[(2, 1), (1, 2)], &swapped, "system disk");
        told(&[], &server(vec![disk(1, 10), disk(2, 19)]), "needs");
        told(&[], &server(vec![]), "only be restored to");
    }

    /// RST-03.
    #[test]
    fn a_server_in_fault_is_refused() {
        let Target::Server { id, name, disks, .. } = usual() else { unreachable!() };
        let target = Target::Server { id, name, disks, fault: Some("status says no".into()) };
        let refused = plan(&server_backup(), &request(&[]), &target);
        assert!(matches!(refused, Err(Error::ServerStatusForbidsRestore { .. })));
    }
}
