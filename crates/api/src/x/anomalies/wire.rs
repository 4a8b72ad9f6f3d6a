//! An anomaly on the wire.

use cbr_model::anomaly;
use serde::Serialize;
use utoipa::ToSchema;

use crate::time;

/// A backup that looks suspicious.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Anomaly {
    backup_id: String,
    vault_id: String,
    resource_id: String,
    /// The last backup before it that looked as usual: where to restore from.
    clean_backup_id: Option<String>,
    /// What is unlike.
    message: String,
    found_at: String,
    /// null: nothing of the resource expires until somebody confirms it.
    confirmed_at: Option<String>,
}

impl From<anomaly::Anomaly> for Anomaly {
    fn from(anomaly: anomaly::Anomaly) -> Self {
        Self {
            backup_id: anomaly.backup.to_string(),
            vault_id: anomaly.vault.to_string(),
            resource_id: anomaly.resource.to_string(),
            clean_backup_id: anomaly.clean.map(|id| id.to_string()),
            message: anomaly.what,
            found_at: time::format(anomaly.found_at),
            confirmed_at: anomaly.confirmed_at.map(time::format),
        }
    }
}
