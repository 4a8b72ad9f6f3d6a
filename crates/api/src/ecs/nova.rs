//! Servers in the shape of OpenStack's compute service (contract F.4), for clients that speak that.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::ProjectId;
use cbr_service::servers::{ServerFilter, ServerStatus, ServerView};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, PathId, ServerInPath};
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;
use crate::time;

pub(crate) const LIST: Operation = Operation {
    name: "NovaListServersDetails",
    verb: Verb::Get,
    path: "/v2.1/{project_id}/servers/detail",
    group: "Servers",
    summary: "Lists servers in order of their ids, in the shape of OpenStack's compute service.",
    admission: Admission::Project,
    action: Some("ecs:cloudServers:list"),
    event: None,
    success: 200,
    query: &[
        parameter("name", Form::Text, "The name contains this."),
        parameter("status", Form::Text, "In this status."),
        parameter("limit", Form::Integer, "1 to 1000; default 1000."),
        parameter("offset", Form::Integer, "So many are skipped."),
        parameter("marker", Form::Text, "Only those after the one with this id."),
    ],
    request: None,
    response: Some(schema_of::<ListResponse>()),
    mount: |filter| on(filter, list),
};

/// The same without particulars: clients read the id and the name of it.
pub(crate) const LIST_SIMPLE: Operation =
    Operation { name: "NovaListServers", path: "/v2.1/{project_id}/servers", ..LIST };

pub(crate) const SHOW: Operation = Operation {
    name: "NovaShowServer",
    path: "/v2.1/{project_id}/servers/{server_id}",
    summary: "Shows a server in the shape of OpenStack's compute service.",
    action: Some("ecs:cloudServers:get"),
    query: &[],
    response: Some(schema_of::<ShowResponse>()),
    mount: |filter| on(filter, show),
    ..LIST
};

/// Body of an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NovaListServersResponse)]
struct ListResponse {
    servers: Vec<NovaServer>,
}

/// Body of an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NovaShowServerResponse)]
struct ShowResponse {
    server: NovaServer,
}

/// A server. What a backup service does not know is empty.
#[derive(Debug, Serialize, ToSchema)]
struct NovaServer {
    id: String,
    name: String,
    status: &'static str,
    #[serde(rename = "OS-EXT-STS:vm_state")]
    vm_state: &'static str,
    #[serde(rename = "OS-EXT-STS:power_state")]
    power_state: u8,
    #[serde(rename = "OS-EXT-AZ:availability_zone")]
    availability_zone: String,
    #[serde(rename = "os-extended-volumes:volumes_attached")]
    volumes: Vec<VolumeId>,
    flavor: Flavor,
    image: String,
    addresses: BTreeMap<String, String>,
    metadata: BTreeMap<String, String>,
    links: Vec<String>,
    tenant_id: String,
    created: String,
    updated: String,
}

/// A disk.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NovaVolumeAttached)]
struct VolumeId {
    id: String,
}

/// What it computes with: only the operator knows.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = NovaFlavor)]
struct Flavor {
    id: String,
    links: Vec<String>,
}

impl NovaServer {
    fn of(server: ServerView, project: ProjectId) -> Self {
        let (vm_state, power_state) = match server.status {
            ServerStatus::Active => ("active", 1),
            ServerStatus::Shutoff => ("stopped", 4),
            ServerStatus::Error => ("error", 0),
        };
        Self {
            id: server.id.to_string(),
            name: server.name,
            status: server.status.as_str(),
            vm_state,
            power_state,
            availability_zone: server.availability_zone,
            volumes: server.volumes.iter().map(|it| VolumeId { id: it.id.to_string() }).collect(),
            flavor: Flavor::default(),
            image: String::new(),
            addresses: BTreeMap::new(),
            metadata: BTreeMap::new(),
            links: Vec::new(),
            tenant_id: project.to_string(),
            created: time::format_zulu(server.created_at),
            updated: time::format_zulu(server.created_at),
        }
    }
}

/// `GET /v2.1/{project_id}/servers`, `GET /v2.1/{project_id}/servers/detail`
#[tracing::instrument(name = "api.nova.list_servers", skip_all)]
async fn list(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<ListResponse>, ApiError> {
    let filter = ServerFilter {
        name: query.text("name").map(str::to_owned),
        status: query.text("status").map(str::to_owned),
        ..ServerFilter::default()
    };
    let found = api.services.servers.list(&access, &filter, query.page()?).await?;
    let project = access.project();
    let servers = found.rows.into_iter().map(|server| NovaServer::of(server, project)).collect();
    Ok(Json(ListResponse { servers }))
}

/// `GET /v2.1/{project_id}/servers/{server_id}`
#[tracing::instrument(name = "api.nova.show_server", skip_all, fields(server.id = %server))]
async fn show(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(server): PathId<ServerInPath>,
) -> Result<Json<ShowResponse>, ApiError> {
    let server = api.services.servers.show(&access, server).await?;
    Ok(Json(ShowResponse { server: NovaServer::of(server, access.project()) }))
}
