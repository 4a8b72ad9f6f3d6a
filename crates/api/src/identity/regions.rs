//! The region (contract F.1). There is one.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::SelfLink;
use crate::error::ApiError;
use crate::extract::Authenticated;
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListRegions",
    verb: Verb::Get,
    path: "/v3/regions",
    group: "Identity",
    summary: "Shows the region.",
    admission: Admission::Caller,
    action: None,
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListRegionsResponse)]
struct Response {
    regions: [Region; 1],
    links: SelfLink,
}

/// A region.
#[derive(Debug, Serialize, ToSchema)]
struct Region {
    id: String,
    description: &'static str,
    parent_region_id: Option<String>,
    links: SelfLink,
}

/// `GET /v3/regions`
#[tracing::instrument(name = "api.identity.regions", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authenticated(_): Authenticated,
) -> Result<Json<Response>, ApiError> {
    let id = api.settings.region.clone();
    let links = SelfLink::to(&api.settings, &format!("/v3/regions/{id}"));
    let region = Region { id, description: "", parent_region_id: None, links };
    let links = SelfLink::to(&api.settings, "/v3/regions");
    Ok(Json(Response { regions: [region], links }))
}
