//! `[database]`: where rows are kept.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::file::{ConfigError, check_absolute};

/// Where rows are kept; without either key, a SQLite file in the data directory.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DatabaseConfig {
    /// `postgres://user:password@host/name` or `sqlite:/path`.
    url: Option<String>,
    /// A file that holds the URL, so that its password need not stand here.
    url_file: Option<PathBuf>,
}

impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseConfig")
            .field("url", &self.url.as_ref().map(|_| "…"))
            .field("url_file", &self.url_file)
            .finish()
    }
}

impl DatabaseConfig {
    /// The URL, if one is configured. It may hold a password: not for logs.
    pub(crate) fn url(&self) -> Result<Option<String>, ConfigError> {
        let Some(path) = &self.url_file else { return Ok(self.url.clone()) };
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        let url = text.trim().to_owned();
        check_url("database.url_file", &url)?;
        Ok(Some(url))
    }

    /// Whether the URL, and with it perhaps a password, stands in the configuration itself.
    pub(crate) fn is_inline(&self) -> bool {
        self.url.is_some()
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check_absolute("database.url_file", self.url_file.as_ref())?;
        match (&self.url, &self.url_file) {
            (Some(_), Some(_)) => {
                Err(ConfigError::invalid("database.url_file", "give url or url_file, not both"))
            }
            (Some(url), None) => check_url("database.url", url),
            (None, _) => Ok(()),
        }
    }
}

fn check_url(key: &str, url: &str) -> Result<(), ConfigError> {
    let known = ["postgres://", "postgresql://", "sqlite:"];
    if known.iter().any(|scheme| url.starts_with(scheme)) {
        return Ok(());
    }
    Err(ConfigError::invalid(key, "must begin with postgres:// or sqlite:"))
}
