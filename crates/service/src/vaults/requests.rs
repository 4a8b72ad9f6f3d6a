//! What is asked of vaults.

use cbr_model::order::Period;
use cbr_model::resource::{IncludedVolume, ResourceType};
use cbr_model::size::Gib;
use cbr_model::tag::Tag;
use cbr_model::vault::{Consistency, VaultKind};
use cbr_model::{PolicyId, ResourceId};

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
    /// Ordered for a period; none: charged by use (BIL-01).
    pub prepaid: Option<Prepaid>,
    /// Whether backups go on when it is full; prepaid only.
    pub demand_billing: bool,
    /// Where it shall be.
    pub availability_zone: Option<String>,
    /// Put in front of the names of automatic backups.
    pub backup_name_prefix: String,
    /// The service that makes it for itself.
    pub lock_source: String,
    /// Works for it from the beginning (VLT-21).
    pub backup_policy: Option<PolicyId>,
    /// Bound at once, all or none (VLT-20).
    pub resources: Vec<WantedResource>,
}

/// What is ordered of a prepaid vault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prepaid {
    /// For how long (BIL-02).
    pub period: Period,
    /// Whether it is to begin anew when it ends (BIL-03).
    pub auto_renew: bool,
    /// Whether it is to be paid at once; otherwise the order waits to be paid.
    pub auto_pay: bool,
}

/// A resource that shall be bound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WantedResource {
    /// Its id at the provider.
    pub id: ResourceId,
    /// What the caller says it is.
    pub kind: ResourceType,
    /// Disks of a server that are left out (RES-09).
    pub exclude_volumes: Vec<ResourceId>,
    /// If there are any, only these disks of a server are taken (RES-09).
    pub include_volumes: Vec<IncludedVolume>,
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
