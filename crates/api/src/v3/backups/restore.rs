//! `RestoreBackup` (contract C31).
//!
//! The contract's text has no body in the answer; Terraform needs `job_id` and
//! polls that operation log, so it is always there (E.5 number 2).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::ResourceId;
use cbr_model::audit::Event;
use cbr_service::backups::{DiskMapping, RestoreRequest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, BackupInPath, JsonBody, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "RestoreBackup",
    verb: Verb::Post,
    path: "/v3/{project_id}/backups/{backup_id}/restore",
    group: "Backups",
    summary: "Restores a backup to the disk or server it was made of, or to another; a task does it.",
    admission: Admission::Project,
    action: Some("cbr:backups:restore"),
    event: Some(Event::new("restoreBackup", "backup")),
    success: 202,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RestoreBackupRequest)]
struct Request {
    restore: Restore,
}

/// Where to.
#[derive(Debug, Deserialize, ToSchema)]
struct Restore {
    /// For a server backup; default: the server it was made of.
    server_id: Option<String>,
    /// For a disk backup; default: the disk it was made of.
    volume_id: Option<String>,
    /// For a server backup: which disk each of its disks goes to; default: the original ones.
    mappings: Option<Vec<Mapping>>,
    /// Whether the server is started afterwards; default true.
    power_on: Option<bool>,
    /// Another name of `server_id` or `volume_id`.
    resource_id: Option<String>,
}

/// Where one disk of a server backup goes.
#[derive(Debug, Deserialize, ToSchema)]
struct Mapping {
    /// The disk's backup.
    backup_id: String,
    /// The target.
    volume_id: String,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RestoreBackupResponse)]
struct Response {
    /// Id of the operation log.
    job_id: String,
}

/// `POST /v3/{project_id}/backups/{backup_id}/restore`
#[tracing::instrument(name = "api.backups.restore", skip_all, fields(backup.id = %backup))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(backup): PathId<BackupInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let wanted = request.restore.read()?;
    let task = api.services.backups.restore(&access, backup, wanted).await?;
    Ok(Json(Response { job_id: task.to_string() }))
}

impl Restore {
    fn read(self) -> Result<RestoreRequest, ApiError> {
        let resource = target(self.resource_id.as_deref(), ErrorCode::ResourceNotFound)?;
        let server = target(self.server_id.as_deref(), ErrorCode::ServerNotFound)?;
        let volume = target(self.volume_id.as_deref(), ErrorCode::VolumeNotFound)?;
        let mappings = self
            .mappings
            .unwrap_or_default()
            .iter()
            .map(|mapping| {
                let backup =
                    mapping.backup_id.parse().map_err(|why: cbr_model::id::InvalidId| {
                        ApiError::new(ErrorCode::BackupNotFound, format!("{why}."))
                    })?;
                let volume = target(Some(&mapping.volume_id), ErrorCode::VolumeNotFound)?
                    .ok_or_else(|| ApiError::invalid("mappings.volume_id", "it is empty"))?;
                Ok(DiskMapping { backup, volume })
            })
            .collect::<Result<_, ApiError>>()?;
        let power_on = self.power_on.unwrap_or(true);
        Ok(RestoreRequest { server, volume, resource, mappings, power_on })
    }
}

/// A target; empty text is none, text that is no id is the id of nothing.
fn target(text: Option<&str>, absent: ErrorCode) -> Result<Option<ResourceId>, ApiError> {
    text.filter(|text| !text.is_empty())
        .map(|text| {
            text.parse()
                .map_err(|why: cbr_model::id::InvalidId| ApiError::new(absent, format!("{why}.")))
        })
        .transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";

    fn read(restore: serde_json::Value) -> Result<RestoreRequest, ErrorCode> {
        let request: Request = serde_json::from_value(json!({ "restore": restore })).unwrap();
        request.restore.read().map_err(|error| error.code)
    }

    /// E.2: the command line sends `mappings: []` and `power_on: false` unless told otherwise.
    #[test]
    fn absent_targets_mean_the_original_ones() {
        let request = read(json!({"mappings": [], "power_on": false})).unwrap();
        let (server, volume, resource) = (None, None, None);
        let none = RestoreRequest { server, volume, resource, mappings: vec![], power_on: false };
        assert_eq!(request, none);
        assert!(read(json!({})).unwrap().power_on);
    }

    #[test]
    fn targets_are_read_and_bad_ones_get_their_codes() {
        let mapping = json!([{"backup_id": ID, "volume_id": ID}]);
        let request = read(json!({"server_id": ID, "mappings": mapping})).unwrap();
        assert_eq!((request.mappings.len(), request.server.is_some()), (1, true));
        let generic = read(json!({"resource_id": ID})).unwrap();
        assert!(generic.resource.is_some() && generic.volume.is_none() && generic.server.is_none());
        assert_eq!(read(json!({"volume_id": "x"})), Err(ErrorCode::VolumeNotFound));
        assert_eq!(read(json!({"server_id": "x"})), Err(ErrorCode::ServerNotFound));
        let bad = json!([{"backup_id": "x", "volume_id": ID}]);
        assert_eq!(read(json!({ "mappings": bad })), Err(ErrorCode::BackupNotFound));
    }
}
