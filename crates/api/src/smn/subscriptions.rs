//! Who is told what is sent to a topic.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::on;
use cbr_model::topic::{Protocol, Subscription};
use cbr_service::topics::NewSubscription;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::topics::TopicInPath;
use super::urn;
use crate::ces::row::project;
use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody, PathText, TextParameter};
use crate::operation::{Form, Operation, Parameter, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

const OF_TOPIC: &str = "/v2/{project_id}/notifications/topics/{topic_urn}/subscriptions";
const PAGE: &[Parameter] = &[
    parameter("offset", Form::Integer, "How many are skipped; default 0."),
    parameter("limit", Form::Integer, "1 to 100, which is the default."),
];

pub(crate) const SUBSCRIBE: Operation = project(
    ("AddSubscription", "Notifications"),
    (Verb::Post, OF_TOPIC),
    "Asks somebody to agree to get what is sent to a topic; nothing else is sent before.",
    "smn:topic:subscribe",
    |filter| on(filter, subscribe),
)
.records("subscribeTopic", "subscription")
.succeeds_with(201)
.takes(schema_of::<SubscribeRequest>())
.gives(schema_of::<SubscribeResponse>());

pub(crate) const LIST: Operation = project(
    ("ListSubscriptions", "Notifications"),
    (Verb::Get, "/v2/{project_id}/notifications/subscriptions"),
    "Lists subscriptions to all topics, newest first.",
    "smn:topic:listSubscriptions",
    |filter| on(filter, list),
)
.reads(PAGE)
.gives(schema_of::<ListResponse>());

pub(crate) const LIST_OF_TOPIC: Operation = project(
    ("ListSubscriptionsByTopic", "Notifications"),
    (Verb::Get, OF_TOPIC),
    "Lists subscriptions to a topic, newest first.",
    "smn:topic:listSubscriptionsByTopic",
    |filter| on(filter, list_of_topic),
)
.reads(PAGE)
.gives(schema_of::<ListResponse>());

pub(crate) const UNSUBSCRIBE: Operation = project(
    ("CancelSubscription", "Notifications"),
    (Verb::Delete, "/v2/{project_id}/notifications/subscriptions/{subscription_urn}"),
    "Removes a subscription.",
    "smn:topic:deleteSubscription",
    |filter| on(filter, unsubscribe),
)
.records("unsubscribeTopic", "subscription")
.gives(schema_of::<Done>());

/// `{subscription_urn}`
#[derive(Debug)]
enum SubscriptionUrn {}

impl TextParameter for SubscriptionUrn {
    const NAME: &'static str = "subscription_urn";
}

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AddSubscriptionRequest)]
struct SubscribeRequest {
    /// `email`, `http`, `https`, or `sms` where the operator has a gateway.
    protocol: String,
    /// An address, or a telephone number.
    endpoint: String,
    #[serde(default)]
    remark: String,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AddSubscriptionResponse)]
struct SubscribeResponse {
    subscription_urn: String,
    /// What requests are signed with; shown here only (extension).
    #[serde(rename = "x-secret", skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListSubscriptionsResponse)]
struct ListResponse {
    subscription_count: u64,
    subscriptions: Vec<Shown>,
}

/// A subscription.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Subscription)]
struct Shown {
    topic_urn: String,
    protocol: &'static str,
    subscription_urn: String,
    /// The project.
    owner: String,
    endpoint: String,
    remark: String,
    /// 0: not confirmed; 1: confirmed.
    status: u8,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriptionDone)]
struct Done {
    subscription_urn: String,
}

/// `POST …/topics/{topic_urn}/subscriptions`
#[tracing::instrument(name = "api.topics.subscribe", skip_all)]
async fn subscribe(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathText(urn, _): PathText<TopicInPath>,
    JsonBody(request): JsonBody<SubscribeRequest>,
) -> Result<(StatusCode, Json<SubscribeResponse>), ApiError> {
    let name = urn::topic(&urn, access.project())?;
    let protocol = Protocol::from_str_exact(&request.protocol)
        .ok_or_else(|| ApiError::invalid("protocol", "email, http, https or sms"))?;
    let wanted = NewSubscription { protocol, endpoint: request.endpoint, remark: request.remark };
    let (made, secret) = api.services.topics.subscribe(&access, &name, wanted).await?;
    let is_signed = matches!(protocol, Protocol::Http | Protocol::Https);
    let answer = SubscribeResponse {
        subscription_urn: urn::of_subscription(&made, &name, &api.settings.region),
        secret: is_signed.then(|| secret.to_string()),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// `GET /v2/{project_id}/notifications/subscriptions`
#[tracing::instrument(name = "api.subscriptions.list", skip_all)]
async fn list(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<ListResponse>, ApiError> {
    let listed = api.services.topics.subscriptions(&access, None, query.page_of(100)?).await?;
    Ok(Json(ListResponse::of(listed, &api.settings.region)))
}

/// `GET …/topics/{topic_urn}/subscriptions`
#[tracing::instrument(name = "api.subscriptions.of_topic", skip_all)]
async fn list_of_topic(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathText(urn, _): PathText<TopicInPath>,
    query: Query,
) -> Result<Json<ListResponse>, ApiError> {
    let name = urn::topic(&urn, access.project())?;
    let page = query.page_of(100)?;
    let listed = api.services.topics.subscriptions(&access, Some(&name), page).await?;
    Ok(Json(ListResponse::of(listed, &api.settings.region)))
}

/// `DELETE …/subscriptions/{subscription_urn}`
#[tracing::instrument(name = "api.subscriptions.delete", skip_all)]
async fn unsubscribe(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathText(urn, _): PathText<SubscriptionUrn>,
) -> Result<Json<Done>, ApiError> {
    let id = urn::subscription(&urn, access.project())?;
    api.services.topics.unsubscribe(&access, id).await?;
    Ok(Json(Done { subscription_urn: urn }))
}

impl ListResponse {
    fn of(listed: cbr_model::query::Listing<(Subscription, String)>, region: &str) -> Self {
        let shown = |(one, topic): &(Subscription, String)| Shown {
            topic_urn: format!("urn:smn:{region}:{}:{topic}", one.project),
            protocol: one.protocol.as_str(),
            subscription_urn: urn::of_subscription(one, topic, region),
            owner: one.project.to_string(),
            endpoint: one.endpoint.clone(),
            remark: one.remark.clone(),
            status: u8::from(one.confirmed_at.is_some()),
        };
        let subscriptions = listed.rows.iter().map(shown).collect();
        Self { subscription_count: listed.total, subscriptions }
    }
}
