//! `[log]`: what the service says about its work.

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use super::file::ConfigError;

/// What the service says about its work, on standard error.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogConfig {
    /// How lines look.
    pub(crate) format: LogFormat,
    /// How much is said: `error`, `warn`, `info`, `debug`, or per part as in `info,cbr_store=debug`.
    pub(crate) filter: String,
}

/// How lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".into() }
    }
}

impl LogConfig {
    /// The filter as the logging library wants it.
    pub(crate) fn filter(&self) -> Result<EnvFilter, ConfigError> {
        EnvFilter::try_new(&self.filter)
            .map_err(|error| ConfigError::invalid("log.filter", error.to_string()))
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        self.filter().map(drop)
    }
}
