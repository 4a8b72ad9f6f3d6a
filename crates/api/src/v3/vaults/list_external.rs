//! `ListExternalVault` (contract C14): vaults of another project, to choose where something shall go.
//!
//! There is one region. What is listed is what the caller could list in that project itself.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::ProjectId;
use cbr_model::query::VaultFilter;
use cbr_service::access::Request;
use serde::Serialize;
use utoipa::ToSchema;

use super::list::filter;
use super::wire::Vault;
use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListExternalVault",
    verb: Verb::Get,
    path: "/v3/{project_id}/vaults/external",
    group: "Vaults",
    summary: "Lists vaults of another project that the caller may use, newest first.",
    admission: Admission::Project,
    action: Some("cbr:vaults:listExternalVaults"),
    event: None,
    success: 200,
    query: &[
        parameter("external_project_id", Form::Text, "Whose vaults; needed."),
        parameter("region_id", Form::Text, "The region; needed. There is one."),
        parameter("vault_id", Form::Text, "Only this vault, whatever the other filters say."),
        parameter("object_type", Form::Text, "What the vault holds."),
        parameter("objcet_type", Form::Text, "The same, as an SDK writes it."),
        parameter("protect_type", Form::Text, "backup, replication or hybrid."),
        parameter("cloud_type", Form::Text, "public or hybrid."),
        parameter("limit", Form::Integer, "1 to 1000; default 1000."),
        parameter("offset", Form::Integer, "So many are skipped."),
    ],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListExternalVaultResponse)]
struct Response {
    vaults: Vec<Vault>,
    /// How many match without paging.
    count: u64,
    limit: u32,
    offset: u64,
}

/// A vault that is named overrides all other filters.
fn asked(query: &Query) -> Result<Option<VaultFilter>, ApiError> {
    match query.value("vault_id")? {
        Some(id) => Ok(Some(VaultFilter { ids: vec![id], ..VaultFilter::default() })),
        None => filter(query),
    }
}

/// `GET /v3/{project_id}/vaults/external`
#[tracing::instrument(name = "api.vaults.list_external", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let region = query.text("region_id").ok_or_else(|| ApiError::invalid("region_id", "needed"))?;
    let own = &api.settings.region;
    if region != own {
        return Err(ApiError::invalid("region_id", format_args!("the only region is `{own}`")));
    }
    let project = query
        .value::<ProjectId>("external_project_id")?
        .ok_or_else(|| ApiError::invalid("external_project_id", "needed"))?;
    let request = Request { id: access.request_id().to_owned(), ..Request::default() };
    // What is shown there is what a list there would show, to who may list there.
    let (caller, list) = (access.caller().clone(), Some("cbr:vaults:list"));
    let there = api.services.identity.access(caller, project, list, request).await?;
    let page = query.page()?;
    let (found, count) = match asked(&query)? {
        None => (Vec::new(), 0),
        Some(filter) => {
            let listed = api.services.vaults.list(&there, &filter, page).await?;
            (listed.rows, listed.total)
        }
    };
    let vaults = found.into_iter().map(Vault::from).collect();
    Ok(Json(Response { vaults, count, limit: page.limit, offset: page.offset }))
}
