//! Sharing: what a project may do with another project's backup (SHR-08, contract B.4).
//!
//! ```text
//!            accept                  reject
//!   Pending ───────▶ Accepted{vault} ──────▶ Rejected
//!      │                  ▲                    │ ▲
//!      │                  └────── accept ──────┘ │
//!      └───────────────── reject ────────────────┘
//! ```
//! The owner of the backup may take the offer back in every state. Nothing becomes pending again.

use crate::Timestamp;
use crate::id::{BackupId, ImageId, MemberId, ProjectId, VaultId};

/// Most projects a backup is shared with (SHR-04).
pub const MEMBERS_MAX: usize = 10;

/// A project that a backup is shared with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Id of the offer.
    pub id: MemberId,
    /// The backup.
    pub backup: BackupId,
    /// The project it is shared with.
    pub recipient: ProjectId,
    /// What that project made of it.
    pub state: MemberState,
    /// The image that project made of it; none: it made none.
    pub image: Option<ImageId>,
    /// When it was offered.
    pub created_at: Timestamp,
    /// When the recipient last decided; none: not yet.
    pub updated_at: Option<Timestamp>,
}

/// What the recipient made of the offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemberState {
    /// Nothing yet. The recipient sees that there is an offer, and can read nothing.
    Pending,
    /// It is in the recipient's vault.
    Accepted {
        /// The vault that counts it.
        vault: VaultId,
    },
    /// It does not want it.
    Rejected,
}

/// The word for a state, for filters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MemberStatus {
    /// Undecided.
    Pending,
    /// Taken.
    Accepted,
    /// Not wanted.
    Rejected,
}

/// It was accepted into another vault before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it was accepted into vault {vault}; reject it first")]
pub struct AcceptedElsewhere {
    /// Where it is.
    pub vault: VaultId,
}

impl MemberState {
    /// The word for it.
    pub const fn status(self) -> MemberStatus {
        match self {
            Self::Pending => MemberStatus::Pending,
            Self::Accepted { .. } => MemberStatus::Accepted,
            Self::Rejected => MemberStatus::Rejected,
        }
    }

    /// The recipient's vault that counts it.
    pub const fn vault(self) -> Option<VaultId> {
        match self {
            Self::Accepted { vault } => Some(vault),
            Self::Pending | Self::Rejected => None,
        }
    }

    /// The recipient takes it into `vault`. The same vault again is fine.
    pub fn accept(self, vault: VaultId) -> Result<Self, AcceptedElsewhere> {
        match self {
            Self::Accepted { vault: other } if other != vault => {
                Err(AcceptedElsewhere { vault: other })
            }
            _ => Ok(Self::Accepted { vault }),
        }
    }

    /// The recipient does not want it, or no longer. Allowed in every state.
    #[must_use]
    pub const fn reject(self) -> Self {
        Self::Rejected
    }
}

impl MemberStatus {
    /// The contract's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        }
    }

    /// The status the contract's word means.
    pub fn from_str_exact(text: &str) -> Option<Self> {
        [Self::Pending, Self::Accepted, Self::Rejected].into_iter().find(|it| it.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// SHR-08: the drawing, with its one refusal.
    #[test]
    fn transitions() {
        let vault = |n| VaultId::from_uuid(Uuid::from_u128(n));
        let accepted = MemberState::Accepted { vault: vault(1) };
        for from in [MemberState::Pending, accepted, MemberState::Rejected] {
            assert_eq!(from.accept(vault(1)), Ok(accepted), "{from:?} --accept-->");
            assert_eq!(from.reject(), MemberState::Rejected, "{from:?} --reject-->");
            let elsewhere = from.accept(vault(2));
            match from {
                MemberState::Accepted { vault } => {
                    assert_eq!(elsewhere, Err(AcceptedElsewhere { vault }));
                }
                _ => assert_eq!(elsewhere, Ok(MemberState::Accepted { vault: vault(2) })),
            }
        }
    }

    #[test]
    fn words_and_states_belong_together() {
        let vault = VaultId::from_uuid(Uuid::from_u128(1));
        for (state, word, in_vault) in [
            (MemberState::Pending, "pending", None),
            (MemberState::Accepted { vault }, "accepted", Some(vault)),
            (MemberState::Rejected, "rejected", None),
        ] {
            assert_eq!((state.status().as_str(), state.vault()), (word, in_vault));
            assert_eq!(MemberStatus::from_str_exact(word), Some(state.status()));
        }
        assert_eq!(MemberStatus::from_str_exact("Pending"), None);
    }
}
