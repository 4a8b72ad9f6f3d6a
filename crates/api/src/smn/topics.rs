//! Topics.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::on;
use cbr_model::topic::{Text, Topic};
use cbr_service::topics::TopicChange;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::urn;
use crate::ces::row::project;
use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody, PathText, TextParameter};
use crate::operation::{Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;
use crate::time;

const TOPICS: &str = "/v2/{project_id}/notifications/topics";
const TOPIC: &str = "/v2/{project_id}/notifications/topics/{topic_urn}";

pub(crate) const CREATE: Operation = project(
    ("CreateTopic", "Notifications"),
    (Verb::Post, TOPICS),
    "Makes a topic. Without subscriptions nobody is told anything.",
    "smn:topic:create",
    |filter| on(filter, create),
)
.records("createTopic", "topic")
.succeeds_with(201)
.takes(schema_of::<CreateRequest>())
.gives(schema_of::<CreateResponse>());

pub(crate) const LIST: Operation = project(
    ("ListTopics", "Notifications"),
    (Verb::Get, TOPICS),
    "Lists topics, newest first.",
    "smn:topic:list",
    |filter| on(filter, list),
)
.reads(&[
    parameter("name", Form::Text, "The name contains this."),
    parameter("offset", Form::Integer, "How many are skipped; default 0."),
    parameter("limit", Form::Integer, "1 to 100, which is the default."),
])
.gives(schema_of::<ListResponse>());

pub(crate) const SHOW: Operation = project(
    ("ShowTopic", "Notifications"),
    (Verb::Get, TOPIC),
    "Shows a topic.",
    "smn:topic:get",
    |filter| on(filter, show),
)
.gives(schema_of::<Shown>());

pub(crate) const UPDATE: Operation = project(
    ("UpdateTopic", "Notifications"),
    (Verb::Put, TOPIC),
    "Changes what the body names.",
    "smn:topic:update",
    |filter| on(filter, update),
)
.records("updateTopic", "topic")
.takes(schema_of::<UpdateRequest>())
.gives(schema_of::<Shown>());

pub(crate) const DELETE: Operation = project(
    ("DeleteTopic", "Notifications"),
    (Verb::Delete, TOPIC),
    "Removes a topic with its subscriptions.",
    "smn:topic:delete",
    |filter| on(filter, delete),
)
.records("deleteTopic", "topic")
.gives(schema_of::<Done>());

pub(crate) const PUBLISH: Operation = project(
    ("PublishMessage", "Notifications"),
    (Verb::Post, "/v2/{project_id}/notifications/topics/{topic_urn}/publish"),
    "Sends a text to every confirmed subscription of a topic.",
    "smn:topic:publish",
    |filter| on(filter, publish),
)
.records("publishMessage", "topic")
.takes(schema_of::<PublishRequest>())
.gives(schema_of::<PublishResponse>());

/// `{topic_urn}`
#[derive(Debug)]
pub(super) enum TopicInPath {}

impl TextParameter for TopicInPath {
    const NAME: &'static str = "topic_urn";
}

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateTopicRequest)]
struct CreateRequest {
    /// 1 to 255 letters, digits, - and _.
    name: String,
    /// What mails name as their sender.
    #[serde(default)]
    display_name: String,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreateTopicResponse)]
struct CreateResponse {
    topic_urn: String,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListTopicsResponse)]
struct ListResponse {
    topic_count: u64,
    topics: Vec<Shown>,
}

/// A topic.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Topic)]
struct Shown {
    topic_urn: String,
    name: String,
    display_name: String,
    /// 0: what cannot be sent is tried again.
    push_policy: u8,
    enterprise_project_id: &'static str,
    create_time: String,
    update_time: String,
    /// Whether notices about the project's vaults go here (extension, MON-10).
    #[serde(rename = "x-vault_notices")]
    takes_notices: bool,
}

/// Body of the request. What is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UpdateTopicRequest)]
struct UpdateRequest {
    display_name: Option<String>,
    /// Whether notices about the project's vaults go here (extension, MON-10).
    #[serde(rename = "x-vault_notices")]
    takes_notices: Option<bool>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TopicDone)]
struct Done {
    topic_urn: String,
}

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PublishMessageRequest)]
struct PublishRequest {
    #[serde(default)]
    subject: String,
    message: String,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PublishMessageResponse)]
struct PublishResponse {
    topic_urn: String,
    /// How many subscriptions it goes to (extension).
    #[serde(rename = "x-subscriptions")]
    subscriptions: u32,
}

/// `POST /v2/{project_id}/notifications/topics`
#[tracing::instrument(name = "api.topics.create", skip_all)]
async fn create(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<CreateRequest>,
) -> Result<(StatusCode, Json<CreateResponse>), ApiError> {
    let topics = &api.services.topics;
    let topic = topics.create(&access, &request.name, &request.display_name).await?;
    let topic_urn = urn::of_topic(&topic, &api.settings.region);
    Ok((StatusCode::CREATED, Json(CreateResponse { topic_urn })))
}

/// `GET /v2/{project_id}/notifications/topics`
#[tracing::instrument(name = "api.topics.list", skip_all)]
async fn list(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<ListResponse>, ApiError> {
    let page = query.page_of(100)?;
    let name = query.text("name").map(str::to_owned);
    let listed = api.services.topics.list(&access, name.as_ref(), page).await?;
    let region = &api.settings.region;
    let topics = listed.rows.iter().map(|topic| Shown::of(topic, region)).collect();
    Ok(Json(ListResponse { topic_count: listed.total, topics }))
}

/// `GET /v2/{project_id}/notifications/topics/{topic_urn}`
#[tracing::instrument(name = "api.topics.show", skip_all)]
async fn show(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathText(urn, _): PathText<TopicInPath>,
) -> Result<Json<Shown>, ApiError> {
    let name = urn::topic(&urn, access.project())?;
    let topic = api.services.topics.show(&access, &name).await?;
    Ok(Json(Shown::of(&topic, &api.settings.region)))
}

/// `PUT /v2/{project_id}/notifications/topics/{topic_urn}`
#[tracing::instrument(name = "api.topics.update", skip_all)]
async fn update(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathText(urn, _): PathText<TopicInPath>,
    JsonBody(request): JsonBody<UpdateRequest>,
) -> Result<Json<Shown>, ApiError> {
    let name = urn::topic(&urn, access.project())?;
    let UpdateRequest { display_name, takes_notices } = request;
    let change = TopicChange { display_name, takes_notices };
    let topic = api.services.topics.update(&access, &name, change).await?;
    Ok(Json(Shown::of(&topic, &api.settings.region)))
}

/// `DELETE /v2/{project_id}/notifications/topics/{topic_urn}`
#[tracing::instrument(name = "api.topics.delete", skip_all)]
async fn delete(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathText(urn, _): PathText<TopicInPath>,
) -> Result<Json<Done>, ApiError> {
    let name = urn::topic(&urn, access.project())?;
    api.services.topics.delete(&access, &name).await?;
    Ok(Json(Done { topic_urn: urn }))
}

/// `POST /v2/{project_id}/notifications/topics/{topic_urn}/publish`
#[tracing::instrument(name = "api.topics.publish", skip_all)]
async fn publish(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathText(urn, _): PathText<TopicInPath>,
    JsonBody(request): JsonBody<PublishRequest>,
) -> Result<Json<PublishResponse>, ApiError> {
    let name = urn::topic(&urn, access.project())?;
    let text = Text { subject: request.subject, body: request.message };
    let subscriptions = api.services.topics.publish(&access, &name, text).await?;
    Ok(Json(PublishResponse { topic_urn: urn, subscriptions }))
}

impl Shown {
    fn of(topic: &Topic, region: &str) -> Self {
        Self {
            topic_urn: urn::of_topic(topic, region),
            name: topic.name.clone(),
            display_name: topic.display_name.clone(),
            push_policy: 0,
            enterprise_project_id: "0",
            create_time: time::format_zulu(topic.created_at),
            update_time: time::format_zulu(topic.updated_at),
            takes_notices: topic.takes_notices,
        }
    }
}
