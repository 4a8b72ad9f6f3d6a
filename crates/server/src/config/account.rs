//! `[account]`: the account that the first start makes, and the region it is in.

use serde::{Deserialize, Serialize};

use super::file::ConfigError;

/// The account that the first start makes. Later changes of the names have no effect.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AccountConfig {
    /// Id of the region, as the service catalogue tells it; the first project has its name.
    pub(crate) region: String,
    /// Name of the account.
    pub(crate) domain_name: String,
    /// Name of its administrator.
    pub(crate) user_name: String,
}

impl Default for AccountConfig {
    fn default() -> Self {
        Self { region: "local-1".into(), domain_name: "cbr".into(), user_name: "admin".into() }
    }
}

impl AccountConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let names = [
            ("account.region", &self.region),
            ("account.domain_name", &self.domain_name),
            ("account.user_name", &self.user_name),
        ];
        for (key, name) in names {
            let is_plain =
                name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
            if name.is_empty() || name.len() > 64 || !is_plain {
                let why = "must be 1 to 64 letters, digits, `-`, `_` or `.`";
                return Err(ConfigError::invalid(key, why));
            }
        }
        Ok(())
    }
}
