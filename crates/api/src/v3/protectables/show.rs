//! `ShowProtectable` (contract C54).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::{Protectable, ProtectableType};
use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, InstanceInPath, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowProtectable",
    verb: Verb::Get,
    path: "/v3/{project_id}/protectables/{protectable_type}/instances/{instance_id}",
    group: "Protectables",
    summary: "Shows a resource that a vault could take.",
    admission: Admission::Project,
    action: Some("cbr:vaults:getProtectables"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowProtectableResponse)]
struct Response {
    instance: Protectable,
}

/// `GET /v3/{project_id}/protectables/{protectable_type}/instances/{instance_id}`
#[tracing::instrument(name = "api.protectables.show", skip_all, fields(resource.id = %id))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    kind: ProtectableType,
    PathId(id): PathId<InstanceInPath>,
) -> Result<Json<Response>, ApiError> {
    let ProtectableType::Offered(kind) = kind else {
        let message = format!("Resource {id} does not exist.");
        return Err(ApiError::new(ErrorCode::ResourceNotFound, message));
    };
    let found = api.services.protectables.show(&access, kind, id).await?;
    Ok(Json(Response { instance: Protectable::of(found, access.project()) }))
}
