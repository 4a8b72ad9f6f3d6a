//! `ListProtectable` (contract C53).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_service::protectables::{PROTECTABLES_LIMIT_MAX, ProtectableFilter};
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::{Protectable, ProtectableType};
use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::{Query, enterprise_project};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListProtectable",
    verb: Verb::Get,
    path: "/v3/{project_id}/protectables/{protectable_type}/instances",
    group: "Protectables",
    summary: "Lists resources that a vault could take.",
    admission: Admission::Project,
    action: Some("cbr:vaults:listProtectables"),
    event: None,
    success: 200,
    query: &[
        parameter("id", Form::Texts, "One of these ids."),
        parameter("name", Form::Text, "The name contains this."),
        parameter("status", Form::Texts, "One of these native statuses."),
        parameter("server_id", Form::Text, "Disks of this server; only with type disk."),
        parameter("enterprise_project_id", Form::Text, "All are in 0; all_granted_eps: any."),
        parameter("limit", Form::Integer, "1 to 50; default 50."),
        parameter("offset", Form::Integer, "So many are skipped."),
        parameter("marker", Form::Text, "Only those after the one with this id."),
    ],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer. There is no count: clients page until a page is empty.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListProtectableResponse)]
struct Response {
    instances: Vec<Protectable>,
}

/// `GET /v3/{project_id}/protectables/{protectable_type}/instances`
#[tracing::instrument(name = "api.protectables.list", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    kind: ProtectableType,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let page = query.page_of(PROTECTABLES_LIMIT_MAX)?;
    let filter = ProtectableFilter {
        ids: query.values("id")?,
        name: query.text("name").map(str::to_owned),
        statuses: query.texts("status")?.into_iter().map(str::to_owned).collect(),
        server: query.value("server_id")?,
    };
    // Resources of this provider are in no enterprise project but the default one.
    let is_elsewhere = enterprise_project(&query).is_some_and(|id| id != "0");
    let found = match kind {
        ProtectableType::Empty => vec![],
        ProtectableType::Offered(_) if is_elsewhere => vec![],
        ProtectableType::Offered(kind) => {
            api.services.protectables.list(&access, kind, &filter, page).await?
        }
    };
    let instances = found.into_iter().map(|found| Protectable::of(found, access.project()));
    Ok(Json(Response { instances: instances.collect() }))
}
