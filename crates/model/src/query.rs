//! What a list is asked for: a page, and filters that are combined with AND.
//!
//! The contract's A.4 in values. How a filter becomes SQL is the database
//! crate's affair, how it arrives on the wire the API's.

use uuid::Uuid;

use crate::Timestamp;
use crate::agent::AgentStatus;
use crate::id::{AgentId, BackupId, CheckpointId, ImageId, PolicyId, ResourceId, VaultId};
use crate::member::MemberStatus;
use crate::operation::{OperationStatus, OperationType};
use crate::policy::PolicyOperation;
use crate::policy::run::RunState;
use crate::resource::ResourceKind;
use crate::vault::{VaultKind, VaultStatus};

/// The largest and the default page (contract A.4).
pub const PAGE_LIMIT_MAX: u32 = 1000;

/// Which part of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    /// At most so many rows.
    pub limit: u32,
    /// So many rows are skipped; counted after the marker.
    pub offset: u64,
    /// Only rows after the one with this id.
    pub marker: Option<Uuid>,
}

impl Default for Page {
    fn default() -> Self {
        Self { limit: PAGE_LIMIT_MAX, offset: 0, marker: None }
    }
}

/// A page of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listing<T> {
    /// The rows of the page, in order.
    pub rows: Vec<T>,
    /// How many rows match without paging.
    pub total: u64,
}

/// Which vaults (contract C3). Empty lists and `None` do not filter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VaultFilter {
    /// One of these.
    pub ids: Vec<VaultId>,
    /// Name contains.
    pub name: Option<String>,
    /// Kind is one of these.
    pub kinds: Vec<VaultKind>,
    /// Status is one of these.
    pub statuses: Vec<VaultStatus>,
    /// Holds at least one of these resources.
    pub resources: Vec<ResourceId>,
    /// Belongs to one of these enterprise projects.
    pub enterprise_projects: Vec<String>,
    /// Was asked to be in this availability zone.
    pub availability_zone: Option<String>,
    /// What its tags are like.
    pub tags: TagFilter,
    /// This policy works for it.
    pub policy: Option<PolicyId>,
}

/// What the tags of a vault are like (contract C22, TAG-06). Empty lists do not filter; all parts
/// that are given must hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TagFilter {
    /// Each of these is there.
    pub all: Vec<TagMatch>,
    /// At least one of these is there.
    pub any: Vec<TagMatch>,
    /// Not each of these is there.
    pub not_all: Vec<TagMatch>,
    /// None of these is there.
    pub not_any: Vec<TagMatch>,
    /// It has no tag at all.
    pub is_untagged: bool,
}

/// A tag of this key with one of these values; without values: with any.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TagMatch {
    /// The key, letter by letter.
    pub key: String,
    /// One of these; none: any.
    pub values: Vec<ValueMatch>,
}

/// What the value of a tag is like. Case matters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ValueMatch {
    /// Exactly this.
    Is(String),
    /// This is somewhere in it.
    Contains(String),
}

/// Which policies (contract C41). `None` does not filter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PolicyFilter {
    /// Does this.
    pub operation: Option<PolicyOperation>,
    /// Works for this vault.
    pub vault: Option<VaultId>,
}

/// Which occurrences of policies. Empty lists and `None` do not filter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PolicyRunFilter {
    /// Of this policy.
    pub policy: Option<PolicyId>,
    /// For this vault.
    pub vault: Option<VaultId>,
    /// That became one of these.
    pub states: Vec<RunState>,
    /// Due then or later.
    pub from: Option<Timestamp>,
    /// Due then or earlier.
    pub until: Option<Timestamp>,
}

/// A column backups can be sorted by (contract A.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BackupSortKey {
    /// When it was asked for.
    CreatedAt,
    /// When it last changed.
    UpdatedAt,
    /// Name.
    Name,
    /// Status.
    Status,
    /// When it was complete.
    ProtectedAt,
    /// Id.
    Id,
}

/// One sort criterion.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BackupSort {
    /// By what.
    pub key: BackupSortKey,
    /// Smallest first.
    pub ascending: bool,
}

/// Whose backups (contract B.4 `own_type`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Ownership {
    /// The project's own.
    #[default]
    Private,
    /// Those that other projects share with it, whatever it made of the offer.
    Shared,
    /// Both.
    All,
}

/// Which backups (contract C27). Empty lists and `None` do not filter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BackupFilter {
    /// One of these.
    pub ids: Vec<BackupId>,
    /// Disks of this server backup; none: only top-level backups.
    pub parent: Option<BackupId>,
    /// Made by this run.
    pub checkpoint: Option<CheckpointId>,
    /// Held by this vault.
    pub vault: Option<VaultId>,
    /// Name contains.
    pub name: Option<String>,
    /// Of this resource.
    pub resource: Option<ResourceId>,
    /// Resource name contains.
    pub resource_name: Option<String>,
    /// Of this kind of resource.
    pub resource_kind: Option<ResourceKind>,
    /// Of a resource in this availability zone.
    pub resource_az: Option<String>,
    /// Contract words; one of these.
    pub statuses: Vec<String>,
    /// Builds on an earlier one or not.
    pub incremental: Option<bool>,
    /// Asked for at this time or later.
    pub created_from: Option<Timestamp>,
    /// Asked for at this time or earlier.
    pub created_until: Option<Timestamp>,
    /// Its vault is used to at least so many per cent.
    pub vault_used_percent: Option<u8>,
    /// Its vault belongs to this enterprise project.
    pub enterprise_project: Option<String>,
    /// Made automatically and kept by number or for ever; `false`: kept until a time.
    pub kept_by_number: Option<bool>,
    /// Whose.
    pub ownership: Ownership,
    /// Of those that are shared with the project: what it made of the offer.
    pub member_status: Option<MemberStatus>,
    /// Most significant first; empty: newest first.
    pub sort: Vec<BackupSort>,
}

/// Which images. Empty lists and `None` do not filter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ImageFilter {
    /// One of these.
    pub ids: Vec<ImageId>,
    /// Made of this backup.
    pub backup: Option<BackupId>,
    /// Name is.
    pub name: Option<String>,
    /// Carries a tag with this key.
    pub tag_key: Option<String>,
    /// Protected from deletion.
    pub protected: Option<bool>,
    /// Belongs to this enterprise project.
    pub enterprise_project: Option<String>,
    /// The status of its backup is one of these words.
    pub backup_statuses: Vec<&'static str>,
}

/// Which operation logs (contract C51). Empty lists and `None` do not filter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OperationFilter {
    /// Of this type.
    pub operation: Option<OperationType>,
    /// In one of these statuses.
    pub statuses: Vec<OperationStatus>,
    /// Of this vault.
    pub vault: Option<VaultId>,
    /// Vault name contains.
    pub vault_name: Option<String>,
    /// On this resource.
    pub resource: Option<ResourceId>,
    /// Resource name contains.
    pub resource_name: Option<String>,
    /// On this kind of resource.
    pub resource_kind: Option<ResourceKind>,
    /// Of this run.
    pub checkpoint: Option<CheckpointId>,
    /// Started by this policy.
    pub policy: Option<PolicyId>,
    /// In a vault of this enterprise project; without a vault, or with one that is gone, it is `0`.
    pub enterprise_project: Option<String>,
    /// Started by the request with this id.
    pub request_id: Option<String>,
    /// Started at this time or later.
    pub started_from: Option<Timestamp>,
    /// Ended at this time or earlier.
    pub ended_until: Option<Timestamp>,
}

/// Which agents (contract C58). Empty lists do not filter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AgentFilter {
    /// One of these.
    pub ids: Vec<AgentId>,
    /// One of these, as they are now.
    pub statuses: Vec<AgentStatus>,
}
