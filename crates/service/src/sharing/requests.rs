//! What is asked of shares.

use cbr_model::member::MemberStatus;
use cbr_model::{DomainId, ProjectId, VaultId};

/// Whom a backup shall be shared with (contract C35).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Recipients {
    /// These projects.
    pub projects: Vec<ProjectId>,
    /// All projects of these accounts that can be used (Z-21).
    pub domains: Vec<DomainId>,
}

/// What a recipient makes of an offer (contract C38).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// It goes into this vault.
    Accept(VaultId),
    /// It is not wanted, or no longer.
    Reject,
}

/// Which members (contract C36). Empty lists and `None` do not filter.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct MemberFilter {
    /// This project.
    pub recipient: Option<ProjectId>,
    /// It made this image of it.
    pub image: Option<String>,
    /// In one of these statuses.
    pub statuses: Vec<MemberStatus>,
    /// Accepted into this vault.
    pub vault: Option<VaultId>,
    /// Most significant first; empty: newest first.
    pub sort: Vec<MemberSort>,
}

/// What members can be sorted by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemberSortKey {
    /// When it was offered.
    CreatedAt,
    /// When the recipient decided.
    UpdatedAt,
    /// Status.
    Status,
    /// The project.
    Recipient,
    /// Id.
    Id,
}

/// One sort criterion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemberSort {
    /// By what.
    pub key: MemberSortKey,
    /// Smallest first.
    pub ascending: bool,
}
