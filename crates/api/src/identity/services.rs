//! Services and endpoints, as lists of their own (contract F.1).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use serde::Serialize;
use utoipa::ToSchema;

use super::catalog::{CatalogEntry, catalog};
use super::wire::SelfLink;
use crate::error::ApiError;
use crate::extract::Authenticated;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

const SERVICES: &str = "/v3/services";
const ENDPOINTS: &str = "/v3/endpoints";

pub(crate) const LIST: Operation = Operation {
    name: "KeystoneListServices",
    verb: Verb::Get,
    path: SERVICES,
    group: "Identity",
    summary: "Lists services.",
    admission: Admission::Caller,
    action: None,
    event: None,
    success: 200,
    query: &[parameter("type", Form::Text, "Of this type.")],
    request: None,
    response: Some(schema_of::<ServicesResponse>()),
    mount: |filter| on(filter, services),
};

pub(crate) const LIST_ENDPOINTS: Operation = Operation {
    name: "KeystoneListEndpoints",
    path: ENDPOINTS,
    summary: "Lists where services are.",
    query: &[
        parameter("service_id", Form::Text, "Of this service."),
        parameter("interface", Form::Text, "`public`; there is no other."),
    ],
    response: Some(schema_of::<EndpointsResponse>()),
    mount: |filter| on(filter, endpoints),
    ..LIST
};

/// Body of an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListServicesResponse)]
struct ServicesResponse {
    services: Vec<Service>,
    links: SelfLink,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeystoneService)]
struct Service {
    id: &'static str,
    name: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    enabled: bool,
    links: SelfLink,
}

/// Body of an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListEndpointsResponse)]
struct EndpointsResponse {
    endpoints: Vec<Endpoint>,
    links: SelfLink,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeystoneEndpoint)]
struct Endpoint {
    id: &'static str,
    service_id: &'static str,
    interface: &'static str,
    region: String,
    region_id: String,
    url: String,
    enabled: bool,
    links: SelfLink,
}

/// `GET /v3/services`
#[tracing::instrument(name = "api.identity.services", skip_all)]
async fn services(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    query: Query,
) -> Result<Json<ServicesResponse>, ApiError> {
    let is_meant = |entry: &CatalogEntry| query.text("type").is_none_or(|kind| entry.kind == kind);
    let services = catalog(&api.settings, &caller)
        .into_iter()
        .filter(is_meant)
        .map(|entry| Service {
            id: entry.id,
            name: entry.name,
            kind: entry.kind,
            enabled: true,
            links: SelfLink::to(&api.settings, &format!("{SERVICES}/{}", entry.id)),
        })
        .collect();
    let links = SelfLink::to(&api.settings, SERVICES);
    Ok(Json(ServicesResponse { services, links }))
}

/// `GET /v3/endpoints`
#[tracing::instrument(name = "api.identity.endpoints", skip_all)]
async fn endpoints(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    query: Query,
) -> Result<Json<EndpointsResponse>, ApiError> {
    let mut endpoints = Vec::new();
    for entry in catalog(&api.settings, &caller) {
        for at in entry.endpoints {
            let is_meant = query.text("service_id").is_none_or(|id| entry.id == id)
                && query.text("interface").is_none_or(|interface| at.interface == interface);
            if is_meant {
                endpoints.push(Endpoint {
                    id: at.id,
                    service_id: entry.id,
                    interface: at.interface,
                    region: at.region,
                    region_id: at.region_id,
                    url: at.url,
                    enabled: true,
                    links: SelfLink::to(&api.settings, &format!("{ENDPOINTS}/{}", at.id)),
                });
            }
        }
    }
    let links = SelfLink::to(&api.settings, ENDPOINTS);
    Ok(Json(EndpointsResponse { endpoints, links }))
}
