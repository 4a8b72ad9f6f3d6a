//! The service catalogue (contract A.3, F.1): which services there are, and where.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::identity::Caller;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::SelfLink;
use crate::error::ApiError;
use crate::extract::Authenticated;
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::settings::Settings;
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowCatalog",
    verb: Verb::Get,
    path: "/v3/auth/catalog",
    group: "Identity",
    summary: "Shows which services there are, and where.",
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
#[schema(as = ShowCatalogResponse)]
struct Response {
    catalog: Vec<CatalogEntry>,
    links: SelfLink,
}

/// A service.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CatalogEntry {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) endpoints: Vec<Endpoint>,
}

/// Where a service is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CatalogEndpoint)]
pub(super) struct Endpoint {
    pub(super) id: &'static str,
    pub(super) interface: &'static str,
    pub(super) region: String,
    pub(super) region_id: String,
    pub(super) url: String,
}

/// Id (fixed, so that it never changes), name, type, path.
const SERVICES: [(&str, &str, &str, &str); 11] = [
    ("10000000000000000000000000000001", "iam", "identity", "/v3"),
    ("10000000000000000000000000000002", "cbr", "cbr", "/v3/{project}"),
    ("10000000000000000000000000000003", "evs", "evs", "/v2/{project}"),
    ("10000000000000000000000000000004", "evs", "volumev2", "/v2/{project}"),
    ("10000000000000000000000000000005", "ecs", "ecs", "/v1/{project}"),
    ("10000000000000000000000000000006", "ims", "ims", ""),
    ("10000000000000000000000000000007", "ims", "image", "/v2"),
    ("10000000000000000000000000000008", "cts", "cts", "/v3/{project}"),
    ("10000000000000000000000000000009", "ces", "ces", "/V1.0/{project}"),
    ("1000000000000000000000000000000a", "sfsturbo", "sfsturbo", "/v1/{project}"),
    ("1000000000000000000000000000000b", "ecs", "compute", "/v2.1/{project}"),
];

/// `GET /v3/auth/catalog`
#[tracing::instrument(name = "api.identity.catalog", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
) -> Result<Json<Response>, ApiError> {
    let links = SelfLink::to(&api.settings, "/v3/auth/catalog");
    Ok(Json(Response { catalog: catalog(&api.settings, &caller), links }))
}

/// The services as `caller` reaches them.
pub(super) fn catalog(settings: &Settings, caller: &Caller) -> Vec<CatalogEntry> {
    // Without a project the address ends before it; clients append it.
    let project = caller.project.as_ref().map(|project| format!("/{}", project.id));
    let project = project.as_deref().unwrap_or("");
    SERVICES
        .iter()
        .map(|(id, name, kind, path)| CatalogEntry {
            id,
            name,
            kind,
            endpoints: vec![Endpoint {
                id,
                interface: "public",
                region: settings.region.clone(),
                region_id: settings.region.clone(),
                url: format!("{}{}", settings.public_url, path.replace("/{project}", project)),
            }],
        })
        .collect()
}
