//! Templates of alarm rules (MON-09).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::on;
use cbr_model::alarm::AlarmTemplate;
use cbr_model::metric::NAMESPACE;
use cbr_service::alarms::NewTemplate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::alarms_page::offset_page;
use super::conditions::{ShownCondition, WantedCondition, check_namespace};
use super::ids::{known, short};
use super::row::project;
use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody, PathText, TextParameter};
use crate::operation::{Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;
use crate::time;

const TEMPLATES: &str = "/v2/{project_id}/alarm-templates";

pub(crate) const CREATE: Operation = project(
    ("CreateAlarmTemplate", "Monitoring"),
    (Verb::Post, TEMPLATES),
    "Makes a template of conditions.",
    "ces:alarmTemplates:create",
    |filter| on(filter, create),
)
.records("createAlarmTemplate", "alarm_template")
.succeeds_with(201)
.takes(schema_of::<CreateRequest>())
.gives(schema_of::<CreateResponse>());

pub(crate) const LIST: Operation = project(
    ("ListAlarmTemplates", "Monitoring"),
    (Verb::Get, TEMPLATES),
    "Lists templates: the project's, newest first, and then the built-in ones.",
    "ces:alarmTemplates:list",
    |filter| on(filter, list),
)
.reads(&[
    parameter("offset", Form::Integer, "How many are skipped; default 0."),
    parameter("limit", Form::Integer, "1 to 100; default 10."),
])
.gives(schema_of::<ListResponse>());

pub(crate) const SHOW: Operation = project(
    ("ShowAlarmTemplate", "Monitoring"),
    (Verb::Get, "/v2/{project_id}/alarm-templates/{template_id}"),
    "Shows a template with its conditions.",
    "ces:alarmTemplates:get",
    |filter| on(filter, show),
)
.gives(schema_of::<Shown>());

pub(crate) const DELETE: Operation = project(
    ("BatchDeleteAlarmTemplates", "Monitoring"),
    (Verb::Post, "/v2/{project_id}/alarm-templates/batch-delete"),
    "Removes templates: all of them, or none. Rules made from them stay.",
    "ces:alarmTemplates:delete",
    |filter| on(filter, delete),
)
.records("deleteAlarmTemplate", "alarm_template")
.takes(schema_of::<DeleteRequest>())
.gives(schema_of::<DeleteResponse>());

/// `{template_id}`
#[derive(Debug)]
enum TemplateInPath {}

impl TextParameter for TemplateInPath {
    const NAME: &'static str = "template_id";
}

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateAlarmTemplateRequest)]
struct CreateRequest {
    template_name: String,
    template_description: Option<String>,
    /// 0 metrics, 2 events; without: metrics.
    template_type: Option<u8>,
    policies: Vec<WantedCondition>,
    /// Must be false.
    is_overwrite: Option<bool>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreateAlarmTemplateResponse)]
struct CreateResponse {
    template_id: String,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListAlarmTemplatesResponse)]
struct ListResponse {
    alarm_templates: Vec<Listed>,
    count: u64,
}

/// A template.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlarmTemplateListed)]
struct Listed {
    template_id: String,
    template_name: String,
    /// `custom`, `custom_event`, `system` or `system_event`
    template_type: &'static str,
    create_time: String,
    template_description: String,
}

/// A template with its conditions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlarmTemplate)]
struct Shown {
    #[serde(flatten)]
    listed: Listed,
    policies: Vec<ShownCondition>,
}

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = BatchDeleteAlarmTemplatesRequest)]
struct DeleteRequest {
    /// 1 to 100 of them.
    template_ids: Vec<String>,
    /// Must be false: rules stay.
    delete_associate_alarm: Option<bool>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BatchDeleteAlarmTemplatesResponse)]
struct DeleteResponse {
    template_ids: Vec<String>,
}

/// `POST /v2/{project_id}/alarm-templates`
#[tracing::instrument(name = "api.templates.create", skip_all)]
async fn create(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<CreateRequest>,
) -> Result<(StatusCode, Json<CreateResponse>), ApiError> {
    if request.is_overwrite == Some(true) {
        let why = "nothing is overwritten; remove the old one first";
        return Err(ApiError::invalid("is_overwrite", why));
    }
    let on_events = match request.template_type {
        None | Some(0) => false,
        Some(2) => true,
        Some(_) => return Err(ApiError::invalid("template_type", "0 (metrics) or 2 (events)")),
    };
    let conditions = request.policies.iter().map(|policy| {
        let namespace = policy.namespace.as_deref().unwrap_or(NAMESPACE);
        check_namespace(namespace, on_events)?;
        policy.read(on_events, namespace)
    });
    let wanted = NewTemplate {
        name: request.template_name,
        description: request.template_description.unwrap_or_default(),
        conditions: conditions.collect::<Result<_, _>>()?,
    };
    let template = api.services.alarms.create_template(&access, wanted).await?;
    Ok((StatusCode::CREATED, Json(CreateResponse { template_id: short(template.id) })))
}

/// `GET /v2/{project_id}/alarm-templates`
#[tracing::instrument(name = "api.templates.list", skip_all)]
async fn list(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<ListResponse>, ApiError> {
    let page = offset_page(&query)?;
    let listed = api.services.alarms.list_templates(&access, page).await?;
    let alarm_templates = listed.rows.iter().map(Listed::from).collect();
    Ok(Json(ListResponse { alarm_templates, count: listed.total }))
}

/// `GET /v2/{project_id}/alarm-templates/{template_id}`
#[tracing::instrument(name = "api.templates.show", skip_all)]
async fn show(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathText(id, _): PathText<TemplateInPath>,
) -> Result<Json<Shown>, ApiError> {
    let template = api.services.alarms.show_template(&access, known(&id)?).await?;
    let policies = template.conditions.iter().map(ShownCondition::of_template).collect();
    Ok(Json(Shown { listed: Listed::from(&template), policies }))
}

/// `POST /v2/{project_id}/alarm-templates/batch-delete`
#[tracing::instrument(name = "api.templates.delete", skip_all)]
async fn delete(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<DeleteRequest>,
) -> Result<Json<DeleteResponse>, ApiError> {
    if request.delete_associate_alarm == Some(true) {
        let why = "rules made from a template stay; remove them first";
        return Err(ApiError::invalid("delete_associate_alarm", why));
    }
    let ids = request.template_ids.iter().map(|id| known(id)).collect::<Result<_, _>>()?;
    let ids = api.services.alarms.delete_templates(&access, ids).await?;
    Ok(Json(DeleteResponse { template_ids: ids.into_iter().map(short).collect() }))
}

impl From<&AlarmTemplate> for Listed {
    fn from(template: &AlarmTemplate) -> Self {
        let template_type = match (template.project, template.is_on_events()) {
            (Some(_), false) => "custom",
            (Some(_), true) => "custom_event",
            (None, false) => "system",
            (None, true) => "system_event",
        };
        Self {
            template_id: short(template.id),
            template_name: template.name.clone(),
            template_type,
            create_time: time::format(template.created_at),
            template_description: template.description.clone(),
        }
    }
}
