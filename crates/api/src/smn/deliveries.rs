//! What was sent to whom, and what could not be (extension); and what happened.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::event::EventKind;
use cbr_model::topic::{Delivery, DeliveryStatus};
use serde::Serialize;
use utoipa::ToSchema;

use crate::ces::row::project;
use crate::error::ApiError;
use crate::extract::{Authorised, DeliveryInPath, PathId};
use crate::operation::{Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;
use crate::time;

pub(crate) const LIST: Operation = project(
    ("ListDeliveries", "Extensions"),
    (Verb::Get, "/v3/{project_id}/x/deliveries"),
    "Lists messages to single subscriptions, newest first.",
    "smn:deliveries:list",
    |filter| on(filter, list),
)
.reads(&[
    parameter("status", Form::Text, "`waiting`, `sent` or `dead`."),
    parameter("offset", Form::Integer, "How many are skipped; default 0."),
    parameter("limit", Form::Integer, "1 to 1000, which is the default."),
])
.gives(schema_of::<ListResponse>());

pub(crate) const RETRY: Operation = project(
    ("RetryDelivery", "Extensions"),
    (Verb::Post, "/v3/{project_id}/x/deliveries/{delivery_id}/retry"),
    "Tries a message again that was given up.",
    "smn:deliveries:retry",
    |filter| on(filter, retry),
)
.records("retryDelivery", "delivery")
.gives(schema_of::<Shown>());

pub(crate) const EVENTS: Operation = project(
    ("ListCbrEvents", "Extensions"),
    (Verb::Get, "/v3/{project_id}/x/events"),
    "Lists what happened that alarms can be raised for, newest first.",
    "ces:events:list",
    |filter| on(filter, events),
)
.reads(&[
    parameter("event", Form::Text, "Of this kind, e.g. `backupFailed`."),
    parameter("offset", Form::Integer, "How many are skipped; default 0."),
    parameter("limit", Form::Integer, "1 to 1000, which is the default."),
])
.gives(schema_of::<EventsResponse>());

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListDeliveriesResponse)]
struct ListResponse {
    deliveries: Vec<Shown>,
    count: u64,
}

/// A message to one subscription.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
struct Shown {
    id: String,
    topic_name: String,
    protocol: &'static str,
    endpoint: String,
    /// `alarm`, `recovery`, `notice`, `confirmation` or `published`
    kind: String,
    subject: String,
    /// `waiting`, `sent` or `dead`
    status: &'static str,
    attempts: u32,
    /// Why it was not taken the last time.
    error: Option<String>,
    created_at: String,
    ended_at: Option<String>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListCbrEventsResponse)]
struct EventsResponse {
    events: Vec<ShownEvent>,
    count: u64,
}

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CbrEvent)]
struct ShownEvent {
    id: String,
    event: &'static str,
    vault_id: Option<String>,
    resource_id: Option<String>,
    resource_name: String,
    detail: String,
    created_at: String,
}

/// `GET /v3/{project_id}/x/deliveries`
#[tracing::instrument(name = "api.x.deliveries.list", skip_all)]
async fn list(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<ListResponse>, ApiError> {
    let status = query.word("status", DeliveryStatus::from_str_exact)?;
    let listed = api.services.topics.deliveries(&access, status, query.page()?).await?;
    let deliveries = listed.rows.into_iter().map(Shown::from).collect();
    Ok(Json(ListResponse { deliveries, count: listed.total }))
}

/// `POST /v3/{project_id}/x/deliveries/{delivery_id}/retry`
#[tracing::instrument(name = "api.x.deliveries.retry", skip_all)]
async fn retry(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(id): PathId<DeliveryInPath>,
) -> Result<Json<Shown>, ApiError> {
    Ok(Json(api.services.topics.retry(&access, id).await?.into()))
}

/// `GET /v3/{project_id}/x/events`
#[tracing::instrument(name = "api.x.events.list", skip_all)]
async fn events(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<EventsResponse>, ApiError> {
    let kind = query.word("event", EventKind::from_str_exact)?;
    let listed = api.services.alarms.events(&access, kind, query.page()?).await?;
    let shown = |event: cbr_model::event::CbrEvent| ShownEvent {
        id: event.id.to_string(),
        event: event.kind.as_str(),
        vault_id: event.vault.map(|vault| vault.to_string()),
        resource_id: event.resource,
        resource_name: event.resource_name,
        detail: event.detail,
        created_at: time::format(event.at),
    };
    let events = listed.rows.into_iter().map(shown).collect();
    Ok(Json(EventsResponse { events, count: listed.total }))
}

impl From<Delivery> for Shown {
    fn from(one: Delivery) -> Self {
        Self {
            id: one.id.to_string(),
            topic_name: one.topic_name,
            protocol: one.protocol.as_str(),
            endpoint: one.endpoint,
            kind: one.message.kind,
            subject: one.message.en.subject,
            status: one.status.as_str(),
            attempts: one.attempts,
            error: one.error,
            created_at: time::format(one.created_at),
            ended_at: one.ended_at.map(time::format),
        }
    }
}
