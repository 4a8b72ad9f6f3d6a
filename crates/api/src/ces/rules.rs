//! Alarm rules as the newer interface has them: several conditions, many vaults (contract F.6, MON-09).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::on;
use cbr_model::alarm::{AlarmRule, Watched};
use cbr_model::custom_metric::MetricDimension;
use cbr_model::metric::DIMENSION;
use cbr_service::alarms::{AlarmView, NewAlarm};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::alarms::{CreateResponse, things, watched};
use super::alarms_page::offset_page;
use super::conditions::{
    Receivers, ShownCondition, Wanted, WantedCondition, check_namespace, receivers, topics, window,
};
use super::ids::{known, read, short};
use super::row::project;
use super::wire::{Dimension, is_custom};
use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody, TextParameter};
use crate::operation::{Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

const RULES: &str = "/v2/{project_id}/alarms";

pub(crate) const CREATE: Operation = project(
    ("CreateAlarmRules", "Monitoring"),
    (Verb::Post, RULES),
    "Makes an alarm rule: several conditions, or those of a template, for many vaults.",
    "ces:alarms:create",
    |filter| on(filter, create),
)
.records("createAlarm", "alarm")
.succeeds_with(201)
.takes(schema_of::<CreateRequest>())
.gives(schema_of::<CreateResponse>());

pub(crate) const LIST: Operation = project(
    ("ListAlarmRules", "Monitoring"),
    (Verb::Get, RULES),
    "Lists alarm rules with all their conditions.",
    "ces:alarms:list",
    |filter| on(filter, list),
)
.reads(&[
    parameter("alarm_id", Form::Text, "This one."),
    parameter("name", Form::Text, "The name contains this."),
    parameter("namespace", Form::Text, "About something of this: `SYS.CBR`, or one of your own."),
    parameter("offset", Form::Integer, "How many are skipped; default 0."),
    parameter("limit", Form::Integer, "1 to 100; default 10."),
])
.gives(schema_of::<ListResponse>());

pub(crate) const SWITCH: Operation = project(
    ("BatchEnableAlarmRules", "Monitoring"),
    (Verb::Post, "/v2/{project_id}/alarms/action"),
    "Has rules looked at, or not: all of them, or none.",
    "ces:alarms:enable",
    |filter| on(filter, switch),
)
.records("enableAlarm", "alarm")
.takes(schema_of::<SwitchRequest>())
.gives(schema_of::<IdsResponse>());

pub(crate) const DELETE: Operation = project(
    ("BatchDeleteAlarmRules", "Monitoring"),
    (Verb::Post, "/v2/{project_id}/alarms/batch-delete"),
    "Removes rules: all of them, or none. Their history stays.",
    "ces:alarms:delete",
    |filter| on(filter, delete),
)
.records("deleteAlarm", "alarm")
.takes(schema_of::<DeleteRequest>())
.gives(schema_of::<IdsResponse>());

/// `{alarm_id}`
#[derive(Debug)]
pub(super) enum AlarmInPath {}

impl TextParameter for AlarmInPath {
    const NAME: &'static str = "alarm_id";
}

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateAlarmRulesRequest)]
struct CreateRequest {
    /// Without: `alarm-` and four letters (MON-06).
    name: Option<String>,
    description: Option<String>,
    /// `SYS.CBR`, or one that you publish in.
    namespace: String,
    /// Of each vault a list with its dimension; of a metric of your own a list of its dimensions.
    #[serde(default)]
    resources: Vec<Vec<WantedDimension>>,
    /// Without: those of the template.
    #[serde(default)]
    policies: Vec<WantedCondition>,
    /// `MULTI_INSTANCE`, `ALL_INSTANCE` or `EVENT.SYS`
    #[serde(rename = "type")]
    kind: String,
    alarm_notifications: Option<Vec<Wanted>>,
    ok_notifications: Option<Vec<Wanted>>,
    /// As `00:00`.
    notification_begin_time: Option<String>,
    /// As `23:59`.
    notification_end_time: Option<String>,
    /// As `GMT+08:00`; default UTC.
    effective_timezone: Option<String>,
    enterprise_project_id: Option<String>,
    enabled: bool,
    notification_enabled: bool,
    alarm_template_id: Option<String>,
    /// Not for backups.
    resource_group_id: Option<String>,
}

/// A dimension; without a value: of all of them.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = WantedDimension)]
struct WantedDimension {
    name: String,
    value: Option<String>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListAlarmRulesResponse)]
struct ListResponse {
    alarms: Vec<Shown>,
    count: u64,
}

/// An alarm rule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlarmRule)]
struct Shown {
    alarm_id: String,
    name: String,
    description: String,
    namespace: String,
    policies: Vec<ShownCondition>,
    resources: Vec<Resource>,
    #[serde(rename = "type")]
    kind: &'static str,
    enabled: bool,
    notification_enabled: bool,
    alarm_notifications: Vec<Receivers>,
    ok_notifications: Vec<Receivers>,
    notification_begin_time: String,
    notification_end_time: String,
    effective_timezone: String,
    enterprise_project_id: String,
    alarm_template_id: Option<String>,
}

/// What a rule watches.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlarmResource)]
struct Resource {
    dimensions: Vec<Dimension>,
}

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = BatchEnableAlarmRulesRequest)]
struct SwitchRequest {
    /// 1 to 100 of them.
    alarm_ids: Vec<String>,
    alarm_enabled: bool,
}

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = BatchDeleteAlarmRulesRequest)]
struct DeleteRequest {
    /// 1 to 100 of them.
    alarm_ids: Vec<String>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlarmIdsResponse)]
struct IdsResponse {
    alarm_ids: Vec<String>,
}

/// `POST /v2/{project_id}/alarms`
#[tracing::instrument(name = "api.rules.create", skip_all)]
async fn create(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<CreateRequest>,
) -> Result<(StatusCode, Json<CreateResponse>), ApiError> {
    let wanted = request.read(access.project())?;
    let rule = api.services.alarms.create(&access, wanted).await?;
    Ok((StatusCode::CREATED, Json(CreateResponse { alarm_id: short(rule.id) })))
}

/// `GET /v2/{project_id}/alarms`
#[tracing::instrument(name = "api.rules.list", skip_all)]
async fn list(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<ListResponse>, ApiError> {
    let page = offset_page(&query)?;
    let region = &api.settings.region;
    let namespace = query.text("namespace");
    if let Some(text) = query.text("alarm_id") {
        // One that is not there is no error here.
        let listed = match read(text) {
            Some(id) => api.services.alarms.find(&access, id).await?,
            None => None,
        };
        let is_meant = |view: &&AlarmView| namespace.is_none_or(|it| it == view.rule.namespace());
        let listed = listed.iter().filter(is_meant);
        let alarms: Vec<_> = listed.map(|view| Shown::of(view, region)).collect();
        let count = alarms.len() as u64;
        return Ok(Json(ListResponse { alarms, count }));
    }
    let name = query.text("name").map(str::to_owned);
    let listed = api.services.alarms.list(&access, name.as_ref(), namespace, false, page).await?;
    let alarms = listed.rows.iter().map(|view| Shown::of(view, region)).collect();
    Ok(Json(ListResponse { alarms, count: listed.total }))
}

/// `POST /v2/{project_id}/alarms/action`
#[tracing::instrument(name = "api.rules.switch", skip_all)]
async fn switch(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<SwitchRequest>,
) -> Result<Json<IdsResponse>, ApiError> {
    let ids = request.alarm_ids.iter().map(|id| known(id)).collect::<Result<_, _>>()?;
    let ids = api.services.alarms.enable(&access, ids, request.alarm_enabled).await?;
    Ok(Json(IdsResponse { alarm_ids: ids.into_iter().map(short).collect() }))
}

/// `POST /v2/{project_id}/alarms/batch-delete`
#[tracing::instrument(name = "api.rules.delete", skip_all)]
async fn delete(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<DeleteRequest>,
) -> Result<Json<IdsResponse>, ApiError> {
    let ids = request.alarm_ids.iter().map(|id| known(id)).collect::<Result<_, _>>()?;
    let ids = api.services.alarms.delete(&access, ids).await?;
    Ok(Json(IdsResponse { alarm_ids: ids.into_iter().map(short).collect() }))
}

impl CreateRequest {
    fn read(self, project: cbr_model::ProjectId) -> Result<NewAlarm, ApiError> {
        if self.resource_group_id.is_some_and(|id| !id.is_empty()) {
            return Err(ApiError::invalid("resource_group_id", "there are no resource groups"));
        }
        let (on_events, is_all) = match self.kind.as_str() {
            "EVENT.SYS" => (true, true),
            "ALL_INSTANCE" => (false, true),
            "MULTI_INSTANCE" => (false, false),
            _ => {
                let why = "MULTI_INSTANCE, ALL_INSTANCE or EVENT.SYS";
                return Err(ApiError::invalid("type", why));
            }
        };
        check_namespace(&self.namespace, on_events)?;
        let namespace = self.namespace.as_str();
        let conditions = self.policies.iter().map(|policy| policy.read(on_events, namespace));
        let template = self.alarm_template_id.filter(|id| !id.is_empty());
        Ok(NewAlarm {
            name: self.name,
            description: self.description.unwrap_or_default(),
            watched: if is_custom(namespace) {
                things(self.resources.into_iter().map(of_thing).collect::<Result<_, _>>()?, is_all)
            } else {
                watched(&dimensions(&self.resources, is_all)?, is_all)?
            },
            conditions: conditions.collect::<Result<_, _>>()?,
            template: template.as_deref().map(known).transpose()?,
            enabled: self.enabled,
            notifies: self.notification_enabled,
            on_alarm: topics(
                "alarm_notifications",
                &self.alarm_notifications.unwrap_or_default(),
                project,
            )?,
            on_recovery: topics(
                "ok_notifications",
                &self.ok_notifications.unwrap_or_default(),
                project,
            )?,
            window: window(
                self.notification_begin_time.as_deref(),
                self.notification_end_time.as_deref(),
                self.effective_timezone.as_deref(),
            )?,
            enterprise_project: self.enterprise_project_id.unwrap_or_else(|| "0".to_owned()),
        })
    }
}

/// The dimension of each vault; a dimension without a value means all, where that may be.
fn dimensions(
    resources: &[Vec<WantedDimension>],
    is_all: bool,
) -> Result<Vec<Dimension>, ApiError> {
    let mut dimensions = Vec::with_capacity(resources.len());
    for one in resources {
        match one.as_slice() {
            [] if is_all => {}
            [WantedDimension { name, value: None }] if is_all && name == DIMENSION => {}
            [WantedDimension { name, value: Some(value) }] => {
                dimensions.push(Dimension { name: name.clone(), value: value.clone() });
            }
            _ => {
                let why = "of each vault a list of one dimension, `instance_id`";
                return Err(ApiError::invalid("resources", why));
            }
        }
    }
    Ok(dimensions)
}

/// The dimensions of a thing; those without a value mean all there are.
fn of_thing(wanted: Vec<WantedDimension>) -> Result<Vec<Dimension>, ApiError> {
    if wanted.iter().all(|one| one.value.is_none()) {
        return Ok(Vec::new());
    }
    let one = |WantedDimension { name, value }| {
        let value =
            value.ok_or_else(|| ApiError::invalid("resources", "each dimension has a value"));
        Ok(Dimension { name, value: value? })
    };
    wanted.into_iter().map(one).collect()
}

/// The contract's word for what a rule watches.
pub(super) fn kind(rule: &AlarmRule) -> &'static str {
    match (rule.is_on_events(), &rule.watched) {
        (true, _) => "EVENT.SYS",
        (false, Watched::All) => "ALL_INSTANCE",
        (false, Watched::Vaults(_) | Watched::Things(_)) => "MULTI_INSTANCE",
    }
}

impl Shown {
    fn of(view: &AlarmView, region: &str) -> Self {
        let AlarmView { rule, topics, .. } = view;
        let resources = match &rule.watched {
            Watched::All => Vec::new(),
            Watched::Vaults(vaults) => {
                let one = |vault| Resource { dimensions: vec![Dimension::of(vault)] };
                vaults.iter().copied().map(one).collect()
            }
            Watched::Things(things) => {
                let one = |thing: &Vec<MetricDimension>| Resource {
                    dimensions: thing.iter().cloned().map(Dimension::from).collect(),
                };
                things.iter().map(one).collect()
            }
        };
        Self {
            alarm_id: short(rule.id),
            name: rule.name.clone(),
            description: rule.description.clone(),
            namespace: rule.namespace().to_owned(),
            policies: rule.conditions.iter().map(ShownCondition::named).collect(),
            resources,
            kind: kind(rule),
            enabled: rule.enabled,
            notification_enabled: rule.notifies,
            alarm_notifications: receivers(&rule.on_alarm, topics, region),
            ok_notifications: receivers(&rule.on_recovery, topics, region),
            notification_begin_time: rule.window.begin(),
            notification_end_time: rule.window.end(),
            effective_timezone: rule.window.zone().to_owned(),
            enterprise_project_id: rule.enterprise_project.clone(),
            alarm_template_id: rule.template.map(short),
        }
    }
}
