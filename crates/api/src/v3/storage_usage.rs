//! `ShowStorageUsage` (contract C64).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::resource::ResourceKind;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowStorageUsage",
    verb: Verb::Get,
    path: "/v3/{project_id}/storage_usage",
    group: "Metering",
    summary: "Shows what the backups of each resource take, in order of the resources' ids.",
    admission: Admission::Project,
    action: Some("cbr:backups:listStorageUsage"),
    event: None,
    success: 200,
    query: &[
        parameter("resource_id", Form::Text, "Of this resource."),
        parameter("resource_type", Form::Text, "Of resources of this type."),
        parameter("limit", Form::Integer, "1 to 1000; default 1000."),
        parameter("offset", Form::Integer, "So many are skipped."),
    ],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowStorageUsageResponse)]
struct Response {
    /// How many resources match without paging.
    resource_count: u64,
    storage_usage: Vec<StorageUsage>,
}

/// What the backups of one resource take.
#[derive(Debug, Serialize, ToSchema)]
struct StorageUsage {
    resource_id: String,
    resource_name: String,
    resource_type: &'static str,
    backup_count: u64,
    /// MB.
    backup_size: u64,
    /// MB in several availability zones: none.
    backup_size_multiaz: u64,
}

/// `GET /v3/{project_id}/storage_usage`
#[tracing::instrument(name = "api.storage_usage", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let page = query.page()?;
    let resource = query.value("resource_id")?;
    // A type that the contract knows and nothing here is of: nothing matches.
    let kind = match query.text("resource_type") {
        Some("OS::Ironic::BareMetalServer") => {
            return Ok(Json(Response { resource_count: 0, storage_usage: Vec::new() }));
        }
        _ => query.word("resource_type", ResourceKind::from_str_exact)?,
    };
    let (usage, resource_count) = api.services.vaults.usage(&access, resource, kind, page).await?;
    let storage_usage = usage
        .into_iter()
        .map(|usage| StorageUsage {
            resource_id: usage.resource.to_string(),
            resource_name: usage.name,
            resource_type: usage.kind.as_str(),
            backup_count: usage.backups,
            backup_size: usage.bytes.whole_mib(),
            backup_size_multiaz: 0,
        })
        .collect();
    Ok(Json(Response { resource_count, storage_usage }))
}
