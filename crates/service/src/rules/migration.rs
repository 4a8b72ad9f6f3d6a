//! Whether resources may move from one vault to another (RES-21 … RES-28, Y.1, contract C11).

use std::collections::BTreeSet;

use cbr_model::ResourceId;
use cbr_model::resource::{BoundResource, ProtectStatus};
use cbr_model::size::Bytes;
use cbr_model::vault::{Consistency, RESOURCES_MAX, Vault, VaultUse};

use crate::error::VaultRefusal;
use crate::{Error, Result};

/// The resources of `from` that may all move to `to`, in the order in which they were named.
pub(crate) fn check(
    from: &Vault,
    to: &Vault,
    resources: &[ResourceId],
) -> Result<Vec<BoundResource>> {
    if from.id == to.id {
        return Err(Error::invalid("destination_vault_id", "the resources are in this vault"));
    }
    if resources.is_empty() {
        return Err(Error::invalid("resource_ids", "at least one is needed"));
    }
    let mut seen = BTreeSet::new();
    let mut moving = Vec::with_capacity(resources.len());
    for &resource in resources {
        let bound = from.resources.iter().find(|bound| bound.id == resource);
        let bound = bound.ok_or(Error::ResourceNotInVault { resource })?;
        if !seen.insert(resource) {
            return Err(Error::ResourceRepeated { resource });
        }
        match bound.protect_status {
            ProtectStatus::Available | ProtectStatus::Error => moving.push(bound.clone()),
            ProtectStatus::Removing => return Err(Error::ResourceRemoving { resource }),
            ProtectStatus::Protecting => return Err(Error::ResourceBackingUp(resource)),
            ProtectStatus::Restoring => return Err(Error::ResourceRestoring(resource)),
        }
    }
    check_vaults(from, to, &moving)?;
    Ok(moving)
}

/// What has to hold of the vaults when something moves, whatever its own status.
pub(crate) fn check_vaults(from: &Vault, to: &Vault, moving: &[BoundResource]) -> Result<()> {
    for vault in [from, to] {
        if !vault.status.allows(VaultUse::Migrate) {
            return Err(Error::VaultStatus { status: vault.status });
        }
    }
    if from.kind != to.kind {
        let resource = from.kind.resource_type();
        return Err(Error::ResourceKindMismatch { vault: to.kind, resource });
    }
    if from.locked {
        let reason = "its backups are locked, so no resource can leave it".to_owned();
        return Err(Error::VaultNotEditable { reason });
    }
    if to.resources.len() + moving.len() > RESOURCES_MAX {
        return Err(Error::TooManyResources { limit: RESOURCES_MAX });
    }
    let bound: u64 = moving.iter().map(|bound| bound.size.0).sum();
    if to.allocated().0 + bound > to.size.0 {
        let reason = format!(
            "the resources in it and those that shall come have {} GB, its capacity is {} GB",
            to.allocated().0 + bound,
            to.size.0
        );
        return Err(Error::Vault(VaultRefusal::DestinationFull { reason }));
    }
    let backups: Bytes = moving.iter().map(|bound| bound.backup_bytes).sum();
    let room = to.size.bytes().0.saturating_sub(to.used.0);
    // RES-24: what is left is more than what comes, not just as much.
    if room <= backups.0 {
        let reason = format!("{room} bytes of it are left, the backups have {}", backups.0);
        return Err(Error::Vault(VaultRefusal::DestinationFull { reason }));
    }
    Ok(())
}

/// RES-28: an application-consistent backup is in a vault for database backups, also afterwards. The other way
/// everything goes.
pub(crate) fn check_databases(to: &Vault, has_app_consistent: bool) -> Result<()> {
    if has_app_consistent && to.consistency == Consistency::CrashConsistent {
        return Err(Error::Vault(VaultRefusal::NotForDatabases(to.id)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use cbr_model::VaultId;
    use cbr_model::resource::ResourceKind;
    use cbr_model::size::Gib;
    use cbr_model::vault::{VaultKind, VaultStatus};
    use uuid::Uuid;

    use super::super::binding::tests::id;
    use super::super::vault::tests::{resource, vault};
    use super::*;

    fn two() -> (Vault, Vault) {
        let from = vault(VaultKind::Disk);
        let to = Vault { id: VaultId::from_uuid(Uuid::from_u128(2)), ..vault(VaultKind::Disk) };
        let mut bound = resource(1, ResourceKind::Volume, 40);
        bound.backup_bytes = Gib(30).bytes();
        let from = Vault { resources: vec![bound, resource(2, ResourceKind::Volume, 50)], ..from };
        (from, to)
    }

    /// RES-22 … RES-24, RES-05, RES-01, contract C11: one obstacle each, with its own refusal.
    #[test]
    fn each_obstacle_has_its_own_refusal() {
        type Spoil = fn(&mut Vault, &mut Vault);
        let table: [(&str, Spoil, Option<&str>); 14] = [
            ("nothing", |_, _| {}, None),
            (
                "both locked for a change",
                |a, b| {
                    (a.status, b.status) = (VaultStatus::Lock, VaultStatus::Lock);
                },
                None,
            ),
            ("source frozen", |a, _| a.status = VaultStatus::Frozen, Some("the vault is frozen")),
            ("target in error", |_, b| b.status = VaultStatus::Error, Some("the vault is error")),
            ("target going", |_, b| b.status = VaultStatus::Deleting, Some("is deleting")),
            ("other kind", |_, b| b.kind = VaultKind::Server, Some("takes no OS::Cinder::Volume")),
            ("WORM at the source", |a, _| a.locked = true, Some("locked")),
            ("WORM at the target", |_, b| b.locked = true, None),
            ("the same vault", |a, b| b.id = a.id, Some("are in this vault")),
            ("exactly as much room", |_, b| b.used = Gib(70).bytes(), Some("left")),
            ("a little more", |_, b| b.used = Bytes(Gib(70).bytes().0 - 1), None),
            ("bound too large", |_, b| b.size = Gib(39), Some("its capacity is 39 GB")),
            ("bound just fits", |_, b| b.size = Gib(40), None),
            (
                "257th",
                |_, b| {
                    b.resources = (10..266).map(|n| resource(n, ResourceKind::Volume, 0)).collect();
                },
                Some("at most 256"),
            ),
        ];
        for (what, spoil, want) in table {
            let (mut from, mut to) = two();
            spoil(&mut from, &mut to);
            let got = check(&from, &to, &[id(1)]).map_err(|error| error.to_string());
            match want {
                None => assert_eq!(got.map(|moving| moving.len()), Ok(1), "{what}"),
                Some(part) => {
                    assert!(got.clone().is_err_and(|e| e.contains(part)), "{what}: {got:?}");
                }
            }
        }
    }

    /// Contract C11: 6135, 6134, and what is at work stays.
    #[test]
    fn only_resources_at_rest_move() {
        let (from, to) = two();
        let refused = |ids: &[u128]| {
            let ids: Vec<ResourceId> = ids.iter().copied().map(id).collect();
            check(&from, &to, &ids).unwrap_err()
        };
        assert!(matches!(refused(&[9]), Error::ResourceNotInVault { .. }));
        assert!(matches!(refused(&[1, 1]), Error::ResourceRepeated { .. }));
        assert!(matches!(refused(&[]), Error::Invalid { field: "resource_ids", .. }));
        for (status, is_free) in [
            (ProtectStatus::Available, true),
            (ProtectStatus::Error, true),
            (ProtectStatus::Protecting, false),
            (ProtectStatus::Restoring, false),
            (ProtectStatus::Removing, false),
        ] {
            let mut from = from.clone();
            from.resources[0].protect_status = status;
            assert_eq!(check(&from, &to, &[id(1)]).is_ok(), is_free, "{status:?}");
        }
        // Together they do not fit (40 + 50 of 80), each alone does.
        let to = Vault { size: Gib(80), ..to };
        assert!(check(&from, &to, &[id(2)]).is_ok());
        assert!(matches!(
            check(&from, &to, &[id(1), id(2)]),
            Err(Error::Vault(VaultRefusal::DestinationFull { .. }))
        ));
    }
}
