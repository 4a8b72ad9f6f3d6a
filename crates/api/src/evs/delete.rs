//! Deleting a disk (contract F.3).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, PathId, VolumeInPath};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "DeleteVolume",
    verb: Verb::Delete,
    path: "/v2/{project_id}/cloudvolumes/{volume_id}",
    group: "Disks",
    summary: "Deletes a disk that is not attached, also a protected one: its backups stay. A job does it.",
    admission: Admission::Project,
    action: Some("evs:volumes:delete"),
    event: Some(Event::new("deleteVolume", "volume")),
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeleteVolumeResponse)]
struct Response {
    job_id: String,
}

/// `DELETE /v2/{project_id}/cloudvolumes/{volume_id}`
#[tracing::instrument(name = "api.volumes.delete", skip_all, fields(volume.id = %volume))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(volume): PathId<VolumeInPath>,
) -> Result<Json<Response>, ApiError> {
    let job = api.services.volumes.delete(&access, volume).await?;
    Ok(Json(Response { job_id: job.to_string() }))
}
