//! `ImportBackup` (contract C33): takes in backups that lie in buckets.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::BackupId;
use cbr_model::audit::Event;
use cbr_model::name::Name;
use cbr_model::resource::ResourceKind;
use cbr_service::Imports;
use cbr_service::imports::{Imported, NewImport};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ImportBackup",
    verb: Verb::Post,
    path: "/v3/{project_id}/backups/sync",
    group: "Replication",
    summary: "Takes in raw images that lie in buckets as backups; one task for each.",
    admission: Admission::Project,
    action: Some("cbr:backups:sync"),
    event: Some(Event::new("syncBackup", "backup")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ImportBackupRequest)]
struct Request {
    /// 1 to 50.
    sync: Vec<BackupSync>,
}

/// A backup in a bucket.
#[derive(Debug, Deserialize, ToSchema)]
struct BackupSync {
    /// The backup gets this id.
    backup_id: String,
    backup_name: String,
    /// As the operator of the service calls it.
    bucket_name: String,
    /// The path of a raw image in the bucket.
    image_path: String,
    resource_id: String,
    resource_name: String,
    /// Default `OS::Native::Server`.
    resource_type: Option<String>,
    /// Seconds since 1970.
    created_at: i64,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportBackupResponse)]
struct Response {
    /// In the order of the request.
    sync: Vec<BackupSyncBegun>,
}

/// An import that began.
#[derive(Debug, Serialize, ToSchema)]
struct BackupSyncBegun {
    backup_id: String,
    operation_log_id: String,
}

/// `POST /v3/{project_id}/backups/sync`
#[tracing::instrument(name = "api.replication.import_backup", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let imports = &api.services.imports;
    let items: Result<Vec<_>, _> = request.sync.into_iter().map(|one| one.read(imports)).collect();
    let begun = imports.import(&access, &items?).await?;
    Ok(Json(Response { sync: begun.into_iter().map(BackupSyncBegun::from).collect() }))
}

impl BackupSync {
    fn read(self, imports: &Imports) -> Result<NewImport, ApiError> {
        let backup = self.backup_id.parse::<BackupId>();
        let resource = self.resource_id.parse();
        let name = Name::new(&self.backup_name);
        let is_native = |word: &str| word == ResourceKind::Native.as_str();
        if !self.resource_type.as_deref().is_none_or(is_native) {
            return Err(ApiError::invalid("resource_type", ResourceKind::Native.as_str()));
        }
        Ok(NewImport {
            backup: backup.map_err(|error| ApiError::invalid("backup_id", error))?,
            name: name.map_err(|error| ApiError::invalid("backup_name", error))?,
            bucket: self.bucket_name,
            path: self.image_path,
            resource: resource.map_err(|error| ApiError::invalid("resource_id", error))?,
            resource_name: self.resource_name,
            created_at: imports.created_at(self.created_at)?,
        })
    }
}

impl From<Imported> for BackupSyncBegun {
    fn from(imported: Imported) -> Self {
        Self { backup_id: imported.backup.to_string(), operation_log_id: imported.log.to_string() }
    }
}
