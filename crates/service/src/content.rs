//! Where content lies: the catalogue's words and the store's, back and forth.

use cbr_model::backup::{Backup, Content, StoredVersion};
use cbr_model::resource::ResourceKind;
use cbr_model::size::Bytes;
use cbr_model::{ChainId, ProjectId, ResourceId, VaultId};
use cbr_store::{ChainRef, Scope, VersionInfo, VersionRef};
use uuid::Uuid;

/// The versions a backup consists of: its own, or its disks'.
pub(crate) fn versions(backup: &Backup) -> Vec<StoredVersion> {
    std::iter::once(backup)
        .chain(&backup.children)
        .filter_map(|part| match part.state.content() {
            Some(Content::Disk(version)) => Some(version.clone()),
            Some(Content::Server) | None => None,
        })
        .collect()
}

/// The store's name of a version.
pub(crate) const fn reference(version: &StoredVersion) -> VersionRef {
    let chain = ChainRef {
        tenant: version.tenant,
        scope: if version.shared { Scope::Tenant } else { Scope::Volume },
        epoch: version.epoch,
        chain: version.chain.as_uuid(),
    };
    VersionRef { chain, seq: version.seq }
}

/// What the catalogue keeps of a version.
pub(crate) const fn stored(info: &VersionInfo) -> StoredVersion {
    let chain = info.version.chain;
    StoredVersion {
        tenant: chain.tenant,
        shared: matches!(chain.scope, Scope::Tenant),
        epoch: chain.epoch,
        chain: ChainId::from_uuid(chain.chain),
        seq: info.version.seq,
        disk_bytes: Bytes(info.disk_bytes),
        logical_bytes: Bytes(info.logical_bytes),
        added_bytes: Bytes(info.added_bytes),
    }
}

/// The chain of one disk. A volume's is its resource's; a server's disks have one
/// each, derived from the server's, so that nothing more needs to be remembered.
pub(crate) fn disk_chain(
    project: ProjectId,
    resource: ChainId,
    kind: ResourceKind,
    epoch: u32,
    volume: ResourceId,
) -> ChainRef {
    let chain = match kind {
        ResourceKind::Volume | ResourceKind::Native => resource.as_uuid(),
        ResourceKind::Server => Uuid::new_v5(&resource.as_uuid(), volume.as_uuid().as_bytes()),
    };
    ChainRef::alone(project.as_uuid(), epoch, chain)
}

/// The chain of a resource elsewhere, of which images are taken in to a vault. Nothing here holds such a
/// resource, so it is derived: another one in another repository, where a version may not get the name of a
/// lost one, and in another vault, since a chain is in one.
pub(crate) fn native_chain(repository: Uuid, vault: VaultId, resource: ResourceId) -> ChainId {
    let within = Uuid::new_v5(&repository, vault.as_uuid().as_bytes());
    ChainId::from_uuid(Uuid::new_v5(&within, resource.as_uuid().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_elsewhere_has_a_chain_for_each_vault_and_repository() {
        let of = |repository, vault, resource| {
            let vault = VaultId::from_uuid(Uuid::from_u128(vault));
            let resource = ResourceId::from_uuid(Uuid::from_u128(resource));
            native_chain(Uuid::from_u128(repository), vault, resource)
        };
        // Fixed for ever: with another one the next import would not find what it shares blocks with.
        assert_eq!(of(1, 2, 3).to_string(), "5b89b174-98c6-51ac-a3d7-aa25ddea029b");
        let all = [of(1, 2, 3), of(2, 2, 3), of(1, 3, 3), of(1, 2, 4), of(1, 3, 2)];
        assert_eq!(std::collections::BTreeSet::from(all).len(), 5);
    }

    #[test]
    fn the_disks_of_a_server_have_chains_of_their_own_that_never_change() {
        let project = ProjectId::from_uuid(Uuid::from_u128(1));
        let chain = ChainId::from_uuid(Uuid::from_u128(2));
        let disk = |n| ResourceId::from_uuid(Uuid::from_u128(n));
        let of = |kind, n| disk_chain(project, chain, kind, 0, disk(n)).chain;
        assert_eq!(of(ResourceKind::Volume, 3), chain.as_uuid());
        assert_ne!(of(ResourceKind::Server, 3), of(ResourceKind::Server, 4));
        // Fixed for ever: with another one the next backup would not find its parent.
        let known = of(ResourceKind::Server, 3).to_string();
        assert_eq!(known, "4c2b1b25-d671-5b9c-bb9a-8491b7f0de1d");
    }
}
