//! Quotas: limits that administrators set for a project (QUO-01 … QUO-06).

use crate::policy::POLICIES_MAX;
use crate::tag::{TAGS_LIMIT_MAX, TAGS_MAX};
use crate::vault::CAPACITY_MAX;

/// What is limited.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Quota {
    /// How many vaults a project has (QUO-04: as many as it likes, unless somebody says otherwise).
    Vaults,
    /// How many GB all vaults of a project have together.
    CapacityGb,
    /// How many backup policies a project has (POL-01).
    BackupPolicies,
    /// How many tags a vault carries.
    VaultTags,
}

impl Quota {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Vaults, Self::CapacityGb, Self::BackupPolicies, Self::VaultTags];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vaults => "vaults",
            Self::CapacityGb => "capacity_gb",
            Self::BackupPolicies => "backup_policies",
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
            Self::Vaults | Self::CapacityGb => None,
            Self::BackupPolicies => Some(POLICIES_MAX as u64),
            Self::VaultTags => Some(TAGS_MAX as u64),
        }
    }

    /// The largest limit that may be set.
    pub const fn limit_max(self) -> u64 {
        match self {
            Self::Vaults => 1_000_000,
            Self::CapacityGb => 1_000_000 * CAPACITY_MAX.0,
            // The contract's hard limit (QUO-05): it can be lowered only.
            Self::BackupPolicies => POLICIES_MAX as u64,
            Self::VaultTags => TAGS_LIMIT_MAX as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// QUO-04, QUO-05, QUO-06: vaults and their capacity are unlimited until somebody limits them; what
    /// the guide limits can only be lowered, but for tags, of which the contract allows 20.
    #[test]
    fn limits_that_nobody_set_are_the_guides() {
        let table = [
            (Quota::Vaults, "vaults", None, 1_000_000),
            (Quota::CapacityGb, "capacity_gb", None, 10_485_760_000_000),
            (Quota::BackupPolicies, "backup_policies", Some(32), 32),
            (Quota::VaultTags, "vault_tags", Some(10), 20),
        ];
        assert_eq!(table.map(|(quota, ..)| quota), Quota::ALL);
        for (quota, word, default, most) in table {
            assert_eq!(Quota::from_str_exact(word), Some(quota));
            assert_eq!((quota.default_limit(), quota.limit_max()), (default, most), "{word}");
        }
        assert_eq!(Quota::from_str_exact("disks"), None);
    }
}
