//! Which versions there are (contract F.1). Clients ask before they log in.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const ROOT: Operation = Operation {
    name: "ListVersions",
    verb: Verb::Get,
    path: "/",
    group: "Identity",
    summary: "Lists versions.",
    admission: Admission::Anyone,
    action: None,
    event: None,
    success: 300,
    query: &[],
    request: None,
    response: Some(schema_of::<ListResponse>()),
    mount: |filter| on(filter, list),
};

pub(crate) const SHOW: Operation = Operation {
    name: "ShowVersion",
    verb: Verb::Get,
    path: "/v3",
    group: "Identity",
    summary: "Shows the version.",
    admission: Admission::Anyone,
    action: None,
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<ShowResponse>()),
    mount: |filter| on(filter, show),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListVersionsResponse)]
struct ListResponse {
    versions: Versions,
}

#[derive(Debug, Serialize, ToSchema)]
struct Versions {
    values: [Version; 1],
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowVersionResponse)]
struct ShowResponse {
    version: Version,
}

/// A version of the identity API.
#[derive(Debug, Serialize, ToSchema)]
struct Version {
    id: &'static str,
    status: &'static str,
    updated: &'static str,
    links: [VersionLink; 1],
    #[serde(rename = "media-types")]
    media_types: [MediaType; 1],
}

#[derive(Debug, Serialize, ToSchema)]
struct VersionLink {
    rel: &'static str,
    href: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct MediaType {
    base: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
}

/// `GET /`: 300, as Keystone answers.
async fn list(State(api): State<Api>) -> (StatusCode, Json<ListResponse>) {
    let versions = Versions { values: [version(&api)] };
    (StatusCode::MULTIPLE_CHOICES, Json(ListResponse { versions }))
}

/// `GET /v3`
async fn show(State(api): State<Api>) -> Json<ShowResponse> {
    Json(ShowResponse { version: version(&api) })
}

fn version(api: &Api) -> Version {
    Version {
        id: "v3.14",
        status: "stable",
        updated: "2020-04-07T00:00:00Z",
        links: [VersionLink { rel: "self", href: format!("{}/v3/", api.settings.public_url) }],
        media_types: [MediaType {
            base: "application/json",
            kind: "application/vnd.openstack.identity-v3+json",
        }],
    }
}
