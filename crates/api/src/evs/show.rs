//! One disk (contract F.3).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::Volume;
use crate::error::ApiError;
use crate::extract::{Authorised, PathId, VolumeInPath};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowVolume",
    verb: Verb::Get,
    path: "/v2/{project_id}/cloudvolumes/{volume_id}",
    group: "Disks",
    summary: "Shows a disk.",
    admission: Admission::Project,
    action: Some("evs:volumes:get"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowVolumeResponse)]
struct Response {
    volume: Volume,
}

/// `GET /v2/{project_id}/cloudvolumes/{volume_id}`
#[tracing::instrument(name = "api.volumes.show", skip_all, fields(volume.id = %volume))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(volume): PathId<VolumeInPath>,
) -> Result<Json<Response>, ApiError> {
    let volume = api.services.volumes.show(&access, volume).await?;
    Ok(Json(Response { volume: Volume::of(volume, access.project()) }))
}
