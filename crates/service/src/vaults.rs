//! Vaults and what is bound to them.

use cbr_model::query::{Listing, Page, VaultFilter};
use cbr_model::resource::ResourceKind;
use cbr_model::size::Gib;
use cbr_model::tag::Tag;
use cbr_model::vault::{Consistency, Vault, VaultKind};
use cbr_model::{ResourceId, TaskId, VaultId};

use crate::{Access, Error, Result};

/// Use cases of vaults.
#[derive(Debug)]
pub struct Vaults {}

/// A vault to be created. Defaults are the API's business; rules are ours.
#[derive(Clone, PartialEq, Debug)]
pub struct NewVault {
    /// VLT-22.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// What it holds.
    pub kind: VaultKind,
    /// Specification.
    pub consistency: Consistency,
    /// Capacity.
    pub size: Gib,
    /// `0` is the default one.
    pub enterprise_project: String,
    /// At most ten.
    pub tags: Vec<Tag>,
    /// RES-30.
    pub auto_bind: bool,
    /// RES-31.
    pub bind_rules: Vec<Tag>,
    /// VLT-72.
    pub auto_expand: bool,
    /// Whether somebody is told when `threshold` is passed.
    pub smn_notify: bool,
    /// Per cent, 1 to 100.
    pub threshold: i64,
    /// WORM; one-way.
    pub locked: bool,
    /// Bound at once, all or none (VLT-20).
    pub resources: Vec<WantedResource>,
}

/// A resource that shall be bound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WantedResource {
    /// Its id at the provider.
    pub id: ResourceId,
    /// What the caller says it is.
    pub kind: ResourceKind,
    /// Disks of a server that are left out (RES-09).
    pub exclude_volumes: Vec<ResourceId>,
}

/// A change of a vault; `None` leaves as it is (contract C5).
#[derive(Clone, PartialEq, Debug, Default)]
pub struct VaultChange {
    /// VLT-22.
    pub name: Option<String>,
    /// New total.
    pub size: Option<Gib>,
    /// VLT-90.
    pub consistency: Option<Consistency>,
    /// RES-30.
    pub auto_bind: Option<bool>,
    /// RES-31; empty clears.
    pub bind_rules: Option<Vec<Tag>>,
    /// VLT-72.
    pub auto_expand: Option<bool>,
    /// Whether somebody is told when `threshold` is passed.
    pub smn_notify: Option<bool>,
    /// Per cent, 1 to 100.
    pub threshold: Option<i64>,
    /// WORM; one-way.
    pub locked: Option<bool>,
}

impl Vaults {
    /// Creates a vault and binds `wanted.resources` (contract C1).
    pub async fn create(&self, access: &Access, wanted: NewVault) -> Result<Vault> {
        let _ = (access, wanted);
        Err(later("creating a vault"))
    }

    /// Lists vaults, oldest first (contract C3).
    pub async fn list(
        &self,
        access: &Access,
        filter: &VaultFilter,
        page: Page,
    ) -> Result<Listing<Vault>> {
        let _ = (access, filter, page);
        Err(later("listing vaults"))
    }

    /// One vault (contract C4).
    pub async fn show(&self, access: &Access, vault: VaultId) -> Result<Vault> {
        let _ = (access, vault);
        Err(later("reading a vault"))
    }

    /// Changes what `change` names (contract C5).
    pub async fn update(
        &self,
        access: &Access,
        vault: VaultId,
        change: VaultChange,
    ) -> Result<Vault> {
        let _ = (access, vault, change);
        Err(later("changing a vault"))
    }

    /// Deletes the vault and everything in it (contract C7); done by the task whose id is returned.
    pub async fn delete(&self, access: &Access, vault: VaultId) -> Result<TaskId> {
        let _ = (access, vault);
        Err(later("deleting a vault"))
    }

    /// Puts resources under the protection of the vault, all or none (contract C8).
    ///
    /// A server that is in this vault already gets its `exclude_volumes` replaced.
    pub async fn add_resources(
        &self,
        access: &Access,
        vault: VaultId,
        wanted: Vec<WantedResource>,
    ) -> Result<Vec<ResourceId>> {
        let _ = (access, vault, wanted);
        Err(later("adding resources"))
    }

    /// Takes resources out with all their backups (contract C9, RES-15), by one task each.
    pub async fn remove_resources(
        &self,
        access: &Access,
        vault: VaultId,
        resources: Vec<ResourceId>,
    ) -> Result<Vec<ResourceId>> {
        let _ = (access, vault, resources);
        Err(later("removing resources"))
    }
}

fn later(doing: &'static str) -> Error {
    Error::internal(doing)("first phase")
}
