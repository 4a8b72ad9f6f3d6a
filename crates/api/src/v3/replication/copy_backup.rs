//! `CopyBackup` (contract C32): checked, and refused, because there is no other region.

use std::convert::Infallible;

use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_model::name::{Name, check_description};
use serde::Deserialize;
use utoipa::ToSchema;

use super::wire::Destination;
use crate::error::ApiError;
use crate::extract::{Authorised, BackupInPath, JsonBody, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "CopyBackup",
    verb: Verb::Post,
    path: "/v3/{project_id}/backups/{backup_id}/replicate",
    group: "Replication",
    summary: "Would copy a backup to another region; refused, because there is none.",
    admission: Admission::Project,
    action: Some("cbr:backups:replicate"),
    event: Some(Event::new("replicateBackup", "backup")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: None,
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CopyBackupRequest)]
struct Request {
    replicate: Replicate,
}

/// The copy that is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = BackupReplicate)]
struct Replicate {
    name: Option<String>,
    description: Option<String>,
    #[serde(flatten)]
    destination: Destination,
}

/// `POST /v3/{project_id}/backups/{backup_id}/replicate`
#[tracing::instrument(name = "api.replication.copy_backup", skip_all, fields(backup.id = %backup))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(backup): PathId<BackupInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Infallible, ApiError> {
    let Replicate { name, description, destination } = request.replicate;
    if let Some(name) = name {
        Name::new(&name).map_err(|error| ApiError::invalid("name", error))?;
    }
    let description = description.unwrap_or_default();
    check_description(&description).map_err(|error| ApiError::invalid("description", error))?;
    let (to, here) = (destination.read()?, &api.settings.region);
    Ok(api.services.replication.copy_backup(&access, here, backup, &to).await?)
}
