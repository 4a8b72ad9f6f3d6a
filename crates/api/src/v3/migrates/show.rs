//! `ShowMigrateStatus` (contract C71).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::identity::Project;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::OverAccount;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

/// Whatever there was is moved: there was nothing.
const SUCCESS: &str = "success";

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowMigrateStatus",
    verb: Verb::Get,
    path: "/v3/migrates",
    group: "Domains",
    summary: "Shows the migration that the account asked for: over, with nothing moved, because there are no \
              predecessor services.",
    admission: Admission::Account,
    action: Some("cbr:domains:getMigration"),
    event: None,
    success: 200,
    query: &[parameter("all_regions", Form::Flag, "In all regions; default true. There is one.")],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowMigrateStatusResponse)]
struct Response {
    status: &'static str,
    /// Each project of the account, by name.
    project_status: Vec<ProjectStatus>,
}

/// How far the migration of a project is. What would say why it failed is left out: none can.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DomainMigrateProjectStatus)]
struct ProjectStatus {
    status: &'static str,
    project_id: String,
    project_name: String,
    region_id: String,
    /// Per cent.
    progress: u8,
}

/// `GET /v3/migrates`
#[tracing::instrument(name = "api.migrates.show", skip_all)]
async fn handle(
    State(api): State<Api>,
    OverAccount(access): OverAccount,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let _: Option<bool> = query.value("all_regions")?;
    let projects = api.services.identity.migrated_projects(&access).await?;
    let of = |project: Project| ProjectStatus {
        status: SUCCESS,
        project_id: project.id.to_string(),
        project_name: project.name,
        region_id: api.settings.region.clone(),
        progress: 100,
    };
    let project_status = projects.into_iter().map(of).collect();
    Ok(Json(Response { status: SUCCESS, project_status }))
}
