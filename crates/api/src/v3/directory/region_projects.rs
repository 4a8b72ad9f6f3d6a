//! `ListProjects` (contract C74): the projects of the caller, as Keystone lists them.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::Authenticated;
use crate::identity::wire::{SelfLink, WireProject};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

const PATH: &str = "/v3/region-projects";

pub(crate) const OPERATION: Operation = Operation {
    name: "ListProjects",
    verb: Verb::Get,
    path: PATH,
    group: "Domains",
    summary: "Lists the projects the caller may use.",
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
#[schema(as = ListRegionProjectsResponse)]
struct Response {
    projects: Vec<WireProject>,
    links: SelfLink,
}

/// `GET /v3/region-projects`
#[tracing::instrument(name = "api.directory.region_projects", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
) -> Result<Json<Response>, ApiError> {
    let found = api.services.identity.projects(&caller, None).await?;
    let said = api.services.identity.project_descriptions(&caller).await?;
    let projects =
        found.iter().map(|project| WireProject::of(project, &said, &api.settings)).collect();
    Ok(Json(Response { projects, links: SelfLink::to(&api.settings, PATH) }))
}
