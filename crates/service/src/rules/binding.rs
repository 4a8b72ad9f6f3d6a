//! What a vault takes (RES-01 … RES-09, VLT-15 … VLT-18).

use std::collections::{BTreeMap, BTreeSet};

use cbr_model::resource::{
    BoundResource, IncludedVolume, ProtectStatus, ResourceKind, ResourceType,
};
use cbr_model::size::{Bytes, Gib};
use cbr_model::tag::Tag;
use cbr_model::vault::{RESOURCES_MAX, Vault};
use cbr_model::{ChainId, ResourceId, VaultId};

use super::capacity;
use crate::vaults::WantedResource;
use crate::{Error, Result};

/// The most disks of a server that other servers have too (RES-11, QUO-05).
pub(crate) const SHARED_DISKS_MAX: usize = 10;

/// A resource as its provider sees it now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Candidate {
    pub(crate) id: ResourceId,
    pub(crate) kind: ResourceKind,
    pub(crate) name: String,
    pub(crate) az: String,
    /// The provider's word for its state, for people.
    pub(crate) status: &'static str,
    /// Why it can neither be bound nor backed up now (RES-06, BAK-01, BAK-02).
    pub(crate) obstacle: Option<String>,
    /// A server's disks, or the volume itself.
    pub(crate) disks: Vec<CandidateDisk>,
    /// What it is chosen by.
    pub(crate) tags: BTreeMap<String, String>,
}

/// One disk of a candidate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CandidateDisk {
    pub(crate) id: ResourceId,
    pub(crate) name: String,
    pub(crate) size: Bytes,
    pub(crate) is_system_disk: bool,
    /// Its owner encrypts it (BAK-17).
    pub(crate) is_encrypted: bool,
    /// Other servers have it too (RES-11).
    pub(crate) is_shared: bool,
}

impl Candidate {
    /// Whether a vault with these rules binds it by itself: it has all of them, a server or a volume (RES-31).
    pub(crate) fn matches(&self, rules: &[Tag]) -> bool {
        rules.iter().all(|rule| self.tags.get(&rule.key) == Some(&rule.value))
    }

    /// The size of the disks that are not left out.
    pub(crate) fn size_without(&self, excluded: &[ResourceId]) -> Gib {
        Gib(self.included(excluded).map(|disk| disk.size.gib_rounded_up().0).sum())
    }

    /// The disks that are left out: those that are excluded, and where some are named as the only
    /// ones, all others (RES-09).
    pub(crate) fn left_out(
        &self,
        excluded: &[ResourceId],
        only: &[IncludedVolume],
    ) -> Vec<ResourceId> {
        let mut left_out = excluded.to_vec();
        let is_other = |id: &ResourceId| !only.is_empty() && only.iter().all(|disk| disk.id != *id);
        let others = self.disks.iter().map(|disk| disk.id).filter(is_other);
        left_out.extend(others.filter(|id| !excluded.contains(id)));
        left_out
    }

    /// How many of its disks other servers have too, if these are more than a server may have that is
    /// backed up (RES-11). Those that are left out count: it is what is attached that counts.
    pub(crate) fn too_many_shared(&self) -> Option<usize> {
        let shared = self.disks.iter().filter(|disk| disk.is_shared).count();
        (self.kind == ResourceKind::Server && shared > SHARED_DISKS_MAX).then_some(shared)
    }

    /// Whether any disk is left.
    pub(crate) fn has_disk_without(&self, excluded: &[ResourceId]) -> bool {
        self.included(excluded).next().is_some()
    }

    /// The disks that are not left out, in the resource's order.
    pub(crate) fn included<'a>(
        &'a self,
        excluded: &'a [ResourceId],
    ) -> impl Iterator<Item = &'a CandidateDisk> {
        self.disks.iter().filter(move |disk| !excluded.contains(&disk.id))
    }
}

/// What is known about one wanted resource.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Facts {
    /// What its provider says; `None`: no provider knows it.
    pub(crate) candidate: Option<Candidate>,
    /// The vault it is bound to.
    pub(crate) bound_to: Option<VaultId>,
}

/// The bindings that `wanted` adds to or replaces in `vault`, all or none.
///
/// `facts` belongs to `wanted`, index by index; `new_chain` gives each new binding
/// its own chain.
pub(crate) fn plan(
    vault: &Vault,
    wanted: &[WantedResource],
    facts: &[Facts],
    mut new_chain: impl FnMut() -> ChainId,
) -> Result<Vec<BoundResource>> {
    let mut seen = BTreeSet::new();
    for resource in wanted {
        if resource.kind != vault.kind.resource_type() {
            return Err(Error::ResourceKindMismatch { vault: vault.kind, resource: resource.kind });
        }
        if !seen.insert(resource.id) {
            return Err(Error::ResourceRepeated { resource: resource.id });
        }
    }
    let mut bindings = Vec::with_capacity(wanted.len());
    for (resource, facts) in wanted.iter().zip(facts) {
        bindings.push(plan_one(vault, resource, facts, &mut new_chain)?);
    }
    let kept = vault.resources.iter().filter(|bound| !seen.contains(&bound.id));
    let (count, allocated) =
        kept.chain(&bindings).fold((0, 0), |(count, size), bound| (count + 1, size + bound.size.0));
    if count > RESOURCES_MAX {
        return Err(Error::TooManyResources { limit: RESOURCES_MAX });
    }
    // Replacing a binding by a smaller one is fine even in a vault that is over-committed (RES-10).
    if allocated > vault.allocated().0 {
        capacity::check(vault.kind, vault.size, None, Gib(allocated), Bytes(0))?;
    }
    Ok(bindings)
}

fn plan_one(
    vault: &Vault,
    wanted: &WantedResource,
    facts: &Facts,
    new_chain: &mut impl FnMut() -> ChainId,
) -> Result<BoundResource> {
    if facts.bound_to.is_some_and(|other| other != vault.id) {
        return Err(Error::ResourceInOtherVault { resource: wanted.id });
    }
    let kind = match wanted.kind {
        ResourceType::Kind(ResourceKind::Native) => {
            return Err(Error::HostsNotTaken { vault: vault.id });
        }
        ResourceType::Kind(kind) => kind,
        ResourceType::Turbo => return Err(Error::ResourceNotFound(wanted.id)),
    };
    let candidate = facts.candidate.as_ref().filter(|candidate| candidate.kind == kind);
    let candidate = candidate.ok_or(match kind {
        ResourceKind::Server => Error::ServerNotFound(wanted.id),
        ResourceKind::Volume => Error::VolumeNotFound(wanted.id),
        ResourceKind::Native => Error::ResourceNotFound(wanted.id),
    })?;
    check_choice(wanted, candidate)?;
    let left_out = candidate.left_out(&wanted.exclude_volumes, &wanted.include_volumes);
    if !candidate.has_disk_without(&left_out) {
        return Err(Error::ServerWithoutDisk(wanted.id));
    }
    let size = candidate.size_without(&left_out);
    if let Some(bound) = vault.resources.iter().find(|bound| bound.id == wanted.id) {
        if bound.protect_status == ProtectStatus::Removing {
            return Err(Error::ResourceRemoving { resource: wanted.id });
        }
        return Ok(BoundResource {
            name: candidate.name.clone(),
            size,
            exclude_volumes: wanted.exclude_volumes.clone(),
            include_volumes: wanted.include_volumes.clone(),
            ..bound.clone()
        });
    }
    if let Some(reason) = &candidate.obstacle {
        return Err(Error::ResourceStatusForbidsBackup {
            resource: wanted.id,
            status: candidate.status.to_owned(),
            reason: reason.clone(),
        });
    }
    if let Some(count) = candidate.too_many_shared() {
        let (server, limit) = (wanted.id, SHARED_DISKS_MAX);
        return Err(Error::TooManySharedDisks { server, count, limit });
    }
    Ok(BoundResource {
        id: wanted.id,
        kind,
        name: candidate.name.clone(),
        size,
        protect_status: ProtectStatus::Available,
        exclude_volumes: wanted.exclude_volumes.clone(),
        include_volumes: wanted.include_volumes.clone(),
        auto_protect: true,
        chain: new_chain(),
        epoch: 0,
        backup_bytes: Bytes(0),
        backup_count: 0,
    })
}

/// Only servers have disks to choose from, and one that is to be taken is one of its disks.
fn check_choice(wanted: &WantedResource, candidate: &Candidate) -> Result<()> {
    if candidate.kind == ResourceKind::Volume {
        if !wanted.exclude_volumes.is_empty() {
            return Err(Error::invalid("exclude_volumes", "only servers have disks to leave out"));
        }
        if !wanted.include_volumes.is_empty() {
            return Err(Error::invalid("include_volumes", "only servers have disks to choose"));
        }
    }
    let is_foreign = |disk: &&IncludedVolume| candidate.disks.iter().all(|own| own.id != disk.id);
    match wanted.include_volumes.iter().find(is_foreign) {
        Some(disk) if candidate.kind == ResourceKind::Server => {
            Err(Error::invalid("include_volumes", format!("disk {} is not the server's", disk.id)))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use cbr_model::size::GIB;
    use cbr_model::vault::VaultKind;
    use uuid::Uuid;

    use super::super::vault::tests::{resource, vault};
    use super::*;

    pub(crate) fn id(n: u128) -> ResourceId {
        ResourceId::from_uuid(Uuid::from_u128(n))
    }

    pub(crate) fn candidate(n: u128, kind: ResourceKind, disks: &[(u128, u64)]) -> Candidate {
        Candidate {
            id: id(n),
            kind,
            name: format!("r{n}"),
            az: "az1".into(),
            status: "available",
            obstacle: None,
            tags: BTreeMap::new(),
            disks: disks
                .iter()
                .map(|(n, gib)| CandidateDisk {
                    id: id(*n),
                    name: format!("d{n}"),
                    size: Bytes(gib * GIB),
                    is_system_disk: false,
                    is_encrypted: false,
                    is_shared: false,
                })
                .collect(),
        }
    }

    fn wanted(n: u128, kind: ResourceKind, exclude: &[u128]) -> WantedResource {
        let exclude_volumes = exclude.iter().copied().map(id).collect();
        WantedResource {
            id: id(n),
            kind: kind.into(),
            exclude_volumes,
            include_volumes: Vec::new(),
        }
    }

    fn free(candidate: Candidate) -> Facts {
        Facts { candidate: Some(candidate), bound_to: None }
    }

    fn chain() -> ChainId {
        ChainId::from_uuid(Uuid::from_u128(77))
    }

    /// RES-02, RES-03, RES-06, VLT-15, VLT-16, contract C1's order of checks.
    #[test]
    fn each_refusal_has_its_own_reason() {
        use ResourceKind::{Server, Volume};
        let disk_vault = vault(VaultKind::Disk);
        let server_vault = vault(VaultKind::Server);
        let volume = || candidate(1, Volume, &[(1, 10)]);
        let plan_in = |vault: &Vault, wanted: &[WantedResource], facts: &[Facts]| {
            plan(vault, wanted, facts, chain).map_err(|error| error.to_string())
        };
        let told = |got: std::result::Result<Vec<BoundResource>, String>, part: &str| {
            let error = got.unwrap_err();
            assert!(error.contains(part), "{error} should contain {part}");
        };
        let one = [wanted(1, Volume, &[])];
        told(plan_in(&server_vault, &one, &[free(volume())]), "takes no OS::Cinder::Volume");
        let twice = [wanted(1, Volume, &[]), wanted(1, Volume, &[])];
        told(plan_in(&disk_vault, &twice, &[free(volume()), free(volume())]), "twice");
        let other =
            Facts { bound_to: Some(VaultId::from_uuid(Uuid::from_u128(9))), ..free(volume()) };
        told(plan_in(&disk_vault, &one, &[other]), "another vault");
        let absent = Facts { candidate: None, bound_to: None };
        told(plan_in(&disk_vault, &one, &[absent]), "does not exist");
        let bad = Candidate { obstacle: Some("its image is damaged".into()), ..volume() };
        told(plan_in(&disk_vault, &one, &[free(bad)]), "damaged");
        let empty = free(candidate(2, Server, &[]));
        told(plan_in(&server_vault, &[wanted(2, Server, &[])], &[empty]), "no disk");
        let all_out = free(candidate(2, Server, &[(5, 1)]));
        told(plan_in(&server_vault, &[wanted(2, Server, &[5])], &[all_out]), "no disk");
        let big = free(candidate(1, Volume, &[(1, 101)]));
        told(plan_in(&disk_vault, &one, &[big]), "of 100 GB is not possible");
    }

    /// RES-01, QUO-05: the 257th is refused, the 256th is not.
    #[test]
    fn a_vault_takes_256_resources() {
        let mut vault = vault(VaultKind::Disk);
        vault.resources = (1..=255).map(|n| resource(n, ResourceKind::Volume, 0)).collect();
        let of = |n| free(candidate(n, ResourceKind::Volume, &[(n, 0)]));
        let one = [wanted(900, ResourceKind::Volume, &[])];
        assert!(plan(&vault, &one, &[of(900)], chain).is_ok());
        let two = [one[0].clone(), wanted(901, ResourceKind::Volume, &[])];
        let refused = plan(&vault, &two, &[of(900), of(901)], chain);
        assert!(matches!(refused, Err(Error::TooManyResources { limit: 256 })));
    }

    /// VLT-18, RES-05: only the disks that are taken count. Contract C8: binding
    /// again replaces the choice and keeps the chain.
    #[test]
    fn binding_a_server_again_replaces_its_choice_of_disks_and_nothing_else() {
        let mut vault = vault(VaultKind::Server);
        let server = || free(candidate(2, ResourceKind::Server, &[(5, 70), (6, 60)]));
        let whole = [wanted(2, ResourceKind::Server, &[])];
        assert!(plan(&vault, &whole, &[server()], chain).is_err(), "130 of 100 GB");
        let part = [wanted(2, ResourceKind::Server, &[6])];
        let bound = plan(&vault, &part, &[server()], chain).unwrap();
        assert_eq!(bound[0].size, Gib(70));
        vault.resources = bound;
        vault.resources[0].epoch = 3;
        let facts = Facts { bound_to: Some(vault.id), ..server() };
        let other = [wanted(2, ResourceKind::Server, &[5])];
        let again = plan(&vault, &other, &[facts], || unreachable!("it keeps its chain")).unwrap();
        assert_eq!((again[0].size, again[0].epoch, again[0].chain), (Gib(60), 3, chain()));
    }

    /// RES-09: disks that are named as the only ones are the only ones, whatever is attached later.
    #[test]
    fn only_the_disks_that_are_named_are_taken() {
        let vault = vault(VaultKind::Server);
        let server = |disks: &[(u128, u64)]| candidate(2, ResourceKind::Server, disks);
        let include = |n: u128| IncludedVolume { id: id(n), os_version: None };
        let only = |n: u128| WantedResource {
            include_volumes: vec![include(n)],
            ..wanted(2, ResourceKind::Server, &[])
        };
        let before = server(&[(5, 70), (6, 60)]);
        let bound = plan(&vault, &[only(5)], &[free(before)], chain).unwrap();
        assert_eq!(bound[0].size, Gib(70));
        let later = server(&[(5, 70), (6, 60), (7, 10)]);
        let left_out = later.left_out(&bound[0].exclude_volumes, &bound[0].include_volumes);
        assert_eq!(left_out, [id(6), id(7)]);
        let foreign = plan(&vault, &[only(9)], &[free(server(&[(5, 70)]))], chain);
        assert!(matches!(foreign, Err(Error::Invalid { field: "include_volumes", .. })));
        let both = WantedResource { exclude_volumes: vec![id(5)], ..only(5) };
        let none = plan(&vault, &[both], &[free(server(&[(5, 70)]))], chain);
        assert!(matches!(none, Err(Error::ServerWithoutDisk(_))), "excluding wins");
    }
}
