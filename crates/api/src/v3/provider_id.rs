//! The fixed ids by which the contract names kinds of resources (contract B.7).

use cbr_model::resource::ResourceKind;
use cbr_model::vault::VaultKind;

/// The contract's id for what protects `kind`.
///
/// The disks of a server backup carry the server's (B.7), so ask with the kind of the top-level backup.
pub(crate) const fn provider_id(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Server => "0daac4c5-6707-4851-97ba-169e36266b66",
        ResourceKind::Volume => "d1603440-187d-4516-af25-121250c7cc97",
        ResourceKind::Native => "a13639de-00be-4e94-af30-26912d75e4a2",
    }
}

/// The contract's id for what protects the resources of a vault. Of hybrid clouds it knows one (B.7).
pub(crate) const fn provider_of_vault(kind: VaultKind) -> &'static str {
    match kind {
        VaultKind::Server => provider_id(ResourceKind::Server),
        VaultKind::Disk => provider_id(ResourceKind::Volume),
        VaultKind::Turbo => "3f3c3220-245c-4805-b811-758870015881",
        VaultKind::File => "a13639de-00be-4e94-af30-26912d75e4a2",
    }
}

/// The kind of resource the contract's id means.
pub(crate) fn kind_of_provider(id: &str) -> Option<ResourceKind> {
    [ResourceKind::Server, ResourceKind::Volume, ResourceKind::Native]
        .into_iter()
        .find(|kind| provider_id(*kind) == id)
}
