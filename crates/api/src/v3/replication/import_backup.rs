//! `ImportBackup` (contract C33): checked, and refused, because no vault is of a hybrid cloud.

use std::convert::Infallible;

use axum::routing::on;
use cbr_model::BackupId;
use cbr_model::audit::Event;
use cbr_model::name::Name;
use cbr_service::Replication;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody};
use crate::operation::{Admission, Operation, Verb, schema_of};

/// Most backups of one request (contract A.9).
const ITEMS_MAX: usize = 50;
/// What a hybrid cloud's servers are.
const NATIVE_SERVER: &str = "OS::Native::Server";

pub(crate) const OPERATION: Operation = Operation {
    name: "ImportBackup",
    verb: Verb::Post,
    path: "/v3/{project_id}/backups/sync",
    group: "Replication",
    summary: "Would take in backups of a hybrid cloud's bucket; refused, because there is none.",
    admission: Admission::Project,
    action: Some("cbr:backups:sync"),
    event: Some(Event::new("syncBackup", "backup")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: None,
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ImportBackupRequest)]
struct Request {
    sync: Vec<BackupSync>,
}

/// A backup in a bucket.
#[derive(Debug, Deserialize, ToSchema)]
struct BackupSync {
    backup_id: String,
    backup_name: String,
    bucket_name: String,
    image_path: String,
    resource_id: String,
    resource_name: String,
    /// Default `OS::Native::Server`.
    resource_type: Option<String>,
    /// Seconds since 1970.
    created_at: i64,
}

/// `POST /v3/{project_id}/backups/sync`
#[tracing::instrument(name = "api.replication.import_backup", skip_all)]
async fn handle(
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Infallible, ApiError> {
    if request.sync.is_empty() || request.sync.len() > ITEMS_MAX {
        return Err(ApiError::invalid("sync", format_args!("1 to {ITEMS_MAX} backups")));
    }
    request.sync.iter().try_for_each(BackupSync::check)?;
    Ok(Replication::sync_backups(&access)?)
}

impl BackupSync {
    fn check(&self) -> Result<(), ApiError> {
        self.backup_id
            .parse::<BackupId>()
            .map_err(|error| ApiError::invalid("backup_id", error))?;
        Name::new(&self.backup_name).map_err(|error| ApiError::invalid("backup_name", error))?;
        for (field, text) in [
            ("bucket_name", &self.bucket_name),
            ("image_path", &self.image_path),
            ("resource_id", &self.resource_id),
            ("resource_name", &self.resource_name),
        ] {
            if text.is_empty() {
                return Err(ApiError::invalid(field, "it is required"));
            }
        }
        if self.resource_type.as_deref().is_some_and(|word| word != NATIVE_SERVER) {
            return Err(ApiError::invalid("resource_type", NATIVE_SERVER));
        }
        if self.created_at < 0 {
            return Err(ApiError::invalid("created_at", "seconds since 1970"));
        }
        Ok(())
    }
}
