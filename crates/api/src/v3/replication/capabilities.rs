//! `ShowReplicationCapabilities` (contract C56).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use crate::extract::Authorised;
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowReplicationCapabilities",
    verb: Verb::Get,
    path: "/v3/{project_id}/replication-capabilities",
    group: "Replication",
    summary: "Shows where backups can be copied to.",
    admission: Admission::Project,
    action: Some("cbr:backups:queryReplicationCapability"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowReplicationCapabilitiesResponse)]
struct Response {
    regions: [Region; 1],
}

/// A region and where its backups can be copied to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReplicationRegion)]
struct Region {
    name: String,
    /// Empty: there is no other region.
    replication_destinations: Vec<String>,
}

/// `GET /v3/{project_id}/replication-capabilities`
#[tracing::instrument(name = "api.replication.capabilities", skip_all)]
async fn handle(State(api): State<Api>, Authorised(_): Authorised) -> Json<Response> {
    let region = Region { name: api.settings.region.clone(), replication_destinations: vec![] };
    Json(Response { regions: [region] })
}
