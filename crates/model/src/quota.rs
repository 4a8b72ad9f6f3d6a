//! Quotas: limits that administrators set for a project (QUO-01 … QUO-06).

use crate::tag::{TAGS_LIMIT_MAX, TAGS_MAX};

/// What is limited.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Quota {
    /// How many vaults a project has (QUO-04: as many as it likes, unless somebody says otherwise).
    Vaults,
    /// How many tags a vault carries.
    VaultTags,
}

impl Quota {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Vaults, Self::VaultTags];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vaults => "vaults",
            Self::VaultTags => "vault_tags",
        }
    }

    /// The quota the word means.
    pub fn from_str_exact(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quota| quota.as_str() == text)
    }

    /// The limit as long as nobody has set one; none: no limit.
    pub const fn default_limit(self) -> Option<u64> {
        match self {
            Self::Vaults => None,
            Self::VaultTags => Some(TAGS_MAX as u64),
        }
    }

    /// The largest limit that may be set.
    pub const fn limit_max(self) -> u64 {
        match self {
            Self::Vaults => 1_000_000,
            Self::VaultTags => TAGS_LIMIT_MAX as u64,
        }
    }
}
