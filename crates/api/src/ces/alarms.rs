//! Alarm rules as the older interface has them: one metric each (contract F.6).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::on;
use cbr_model::VaultId;
use cbr_model::alarm::{Watched, Window};
use cbr_model::custom_metric::MetricDimension;
use cbr_service::alarms::{AlarmChange, AlarmView, NewAlarm};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::alarms_page::{MetaData, page};
use super::conditions::{
    Actions, ShownCondition, Wanted, WantedCondition, check_namespace, receivers, topics, window,
};
use super::ids::{known, short};
use super::row::project;
use super::rules::AlarmInPath;
use super::wire::{Dimension, custom, is_custom, vault};
use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody, PathText};
use crate::operation::{Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

const ALARMS: &str = "/V1.0/{project_id}/alarms";
const ALARM: &str = "/V1.0/{project_id}/alarms/{alarm_id}";
const ACTION: &str = "/V1.0/{project_id}/alarms/{alarm_id}/action";
/// The type of alarms on events.
const EVENTS: &str = "EVENT.SYS";

pub(crate) const CREATE: Operation = project(
    ("CreateAlarm", "Monitoring"),
    (Verb::Post, ALARMS),
    "Makes an alarm rule on one metric, or one kind of event.",
    "ces:alarms:create",
    |filter| on(filter, create),
)
.records("createAlarm", "alarm")
.succeeds_with(201)
.takes(schema_of::<CreateRequest>())
.gives(schema_of::<CreateResponse>());

pub(crate) const LIST: Operation = project(
    ("ListAlarms", "Monitoring"),
    (Verb::Get, ALARMS),
    "Lists alarm rules with what they know.",
    "ces:alarms:list",
    |filter| on(filter, list),
)
.reads(&[
    parameter("start", Form::Text, "Only those after the one with this id."),
    parameter("limit", Form::Integer, "1 to 100, which is the default."),
    parameter("order", Form::Text, "`asc` or `desc`, the default, by the time they were made."),
])
.gives(schema_of::<ListResponse>());

pub(crate) const SHOW: Operation = project(
    ("ShowAlarm", "Monitoring"),
    (Verb::Get, ALARM),
    "Shows an alarm rule.",
    "ces:alarms:get",
    |filter| on(filter, show),
)
.gives(schema_of::<ShowResponse>());

pub(crate) const UPDATE: Operation = project(
    ("UpdateAlarm", "Monitoring"),
    (Verb::Put, ALARM),
    "Changes what the body names.",
    "ces:alarms:update",
    |filter| on(filter, update),
)
.records("updateAlarm", "alarm")
.succeeds_with(204)
.takes(schema_of::<UpdateRequest>());

pub(crate) const SWITCH: Operation = project(
    ("UpdateAlarmAction", "Monitoring"),
    (Verb::Put, ACTION),
    "Has a rule looked at, or not.",
    "ces:alarms:enable",
    |filter| on(filter, switch),
)
.records("enableAlarm", "alarm")
.succeeds_with(204)
.takes(schema_of::<SwitchRequest>());

pub(crate) const DELETE: Operation = project(
    ("DeleteAlarm", "Monitoring"),
    (Verb::Delete, ALARM),
    "Removes a rule; its history stays.",
    "ces:alarms:delete",
    |filter| on(filter, delete),
)
.records("deleteAlarm", "alarm")
.succeeds_with(204);

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateAlarmRequest)]
struct CreateRequest {
    /// Without: `alarm-` and four letters (MON-06).
    alarm_name: Option<String>,
    alarm_description: Option<String>,
    metric: Metric,
    condition: WantedCondition,
    /// Default true.
    alarm_enabled: Option<bool>,
    /// Whether anybody is told; default true.
    alarm_action_enabled: Option<bool>,
    /// 1 (critical) to 4 (informational); default 2.
    alarm_level: Option<u8>,
    /// `EVENT.SYS` for events; `ALL_INSTANCE` for all vaults, or all that publish the metric.
    alarm_type: Option<String>,
    alarm_actions: Option<Vec<Wanted>>,
    ok_actions: Option<Vec<Wanted>>,
    /// Must be empty: nobody is told that nothing is known.
    insufficientdata_actions: Option<Vec<Wanted>>,
    enterprise_project_id: Option<String>,
    /// As `00:00`.
    alarm_action_begin_time: Option<String>,
    /// As `23:59`.
    alarm_action_end_time: Option<String>,
    /// As `GMT+08:00`; default UTC.
    effective_timezone: Option<String>,
}

/// What an alarm is about.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = AlarmMetric)]
struct Metric {
    namespace: String,
    metric_name: String,
    #[serde(default)]
    dimensions: Vec<Dimension>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreateAlarmResponse)]
pub(super) struct CreateResponse {
    pub(super) alarm_id: String,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListAlarmsResponse)]
struct ListResponse {
    metric_alarms: Vec<Shown>,
    meta_data: MetaData,
}

/// Body of the answer: a list of one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShowAlarmResponse)]
struct ShowResponse {
    metric_alarms: Vec<Shown>,
}

/// An alarm rule. Of one with several conditions or vaults the first is shown; the newer interface
/// shows all of them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MetricAlarm)]
struct Shown {
    alarm_id: String,
    alarm_name: String,
    alarm_description: String,
    metric: Metric,
    condition: ShownCondition,
    alarm_enabled: bool,
    alarm_action_enabled: bool,
    alarm_level: u8,
    alarm_type: &'static str,
    /// `ok`, `alarm` or `insufficient_data`
    alarm_state: &'static str,
    alarm_actions: Vec<Actions>,
    ok_actions: Vec<Actions>,
    insufficientdata_actions: Vec<Actions>,
    alarm_action_begin_time: String,
    alarm_action_end_time: String,
    effective_timezone: String,
    /// Milliseconds since 1970.
    update_time: i64,
    enterprise_project_id: String,
}

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UpdateAlarmRequest)]
struct UpdateRequest {
    alarm_name: Option<String>,
    alarm_description: Option<String>,
    condition: Option<WantedCondition>,
    alarm_action_enabled: Option<bool>,
    alarm_level: Option<u8>,
    alarm_actions: Option<Vec<Wanted>>,
    ok_actions: Option<Vec<Wanted>>,
    insufficientdata_actions: Option<Vec<Wanted>>,
    alarm_action_begin_time: Option<String>,
    alarm_action_end_time: Option<String>,
    effective_timezone: Option<String>,
}

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UpdateAlarmActionRequest)]
struct SwitchRequest {
    alarm_enabled: bool,
}

/// `POST /V1.0/{project_id}/alarms`
#[tracing::instrument(name = "api.alarms.create", skip_all)]
async fn create(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<CreateRequest>,
) -> Result<(StatusCode, Json<CreateResponse>), ApiError> {
    let wanted = request.read(access.project())?;
    let rule = api.services.alarms.create(&access, wanted).await?;
    Ok((StatusCode::CREATED, Json(CreateResponse { alarm_id: short(rule.id) })))
}

/// `GET /V1.0/{project_id}/alarms`
#[tracing::instrument(name = "api.alarms.list", skip_all)]
async fn list(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<ListResponse>, ApiError> {
    let (page, is_ascending) = page(&query)?;
    let listed = api.services.alarms.list(&access, None, None, is_ascending, page).await?;
    let meta_data = MetaData::of(&listed, page.limit);
    let region = &api.settings.region;
    let metric_alarms = listed.rows.iter().map(|view| Shown::of(view, region)).collect();
    Ok(Json(ListResponse { metric_alarms, meta_data }))
}

/// `GET /V1.0/{project_id}/alarms/{alarm_id}`
#[tracing::instrument(name = "api.alarms.show", skip_all)]
async fn show(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathText(id, _): PathText<AlarmInPath>,
) -> Result<Json<ShowResponse>, ApiError> {
    let view = api.services.alarms.show(&access, known(&id)?).await?;
    Ok(Json(ShowResponse { metric_alarms: vec![Shown::of(&view, &api.settings.region)] }))
}

/// `PUT /V1.0/{project_id}/alarms/{alarm_id}`
#[tracing::instrument(name = "api.alarms.update", skip_all)]
async fn update(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathText(id, _): PathText<AlarmInPath>,
    JsonBody(request): JsonBody<UpdateRequest>,
) -> Result<StatusCode, ApiError> {
    let id = known(&id)?;
    let before = api.services.alarms.show(&access, id).await?;
    let change = request.read(&before, access.project())?;
    api.services.alarms.update(&access, id, change).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /V1.0/{project_id}/alarms/{alarm_id}/action`
#[tracing::instrument(name = "api.alarms.switch", skip_all)]
async fn switch(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathText(id, _): PathText<AlarmInPath>,
    JsonBody(request): JsonBody<SwitchRequest>,
) -> Result<StatusCode, ApiError> {
    api.services.alarms.enable(&access, vec![known(&id)?], request.alarm_enabled).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /V1.0/{project_id}/alarms/{alarm_id}`
#[tracing::instrument(name = "api.alarms.delete", skip_all)]
async fn delete(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathText(id, _): PathText<AlarmInPath>,
) -> Result<StatusCode, ApiError> {
    api.services.alarms.delete(&access, vec![known(&id)?]).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl CreateRequest {
    fn read(self, project: cbr_model::ProjectId) -> Result<NewAlarm, ApiError> {
        refuse_insufficient(self.insufficientdata_actions.as_deref())?;
        let on_events = self.alarm_type.as_deref() == Some(EVENTS);
        let namespace = self.metric.namespace;
        check_namespace(&namespace, on_events)?;
        let condition = WantedCondition {
            metric_name: Some(self.metric.metric_name),
            level: self.alarm_level.or(self.condition.level),
            ..self.condition
        };
        let is_all = on_events || self.alarm_type.as_deref() == Some("ALL_INSTANCE");
        Ok(NewAlarm {
            name: self.alarm_name,
            description: self.alarm_description.unwrap_or_default(),
            watched: if is_custom(&namespace) {
                things(vec![self.metric.dimensions], is_all)
            } else {
                watched(&self.metric.dimensions, is_all)?
            },
            conditions: vec![condition.read(on_events, &namespace)?],
            template: None,
            enabled: self.alarm_enabled.unwrap_or(true),
            notifies: self.alarm_action_enabled.unwrap_or(true),
            on_alarm: topics("alarm_actions", &self.alarm_actions.unwrap_or_default(), project)?,
            on_recovery: topics("ok_actions", &self.ok_actions.unwrap_or_default(), project)?,
            window: window(
                self.alarm_action_begin_time.as_deref(),
                self.alarm_action_end_time.as_deref(),
                self.effective_timezone.as_deref(),
            )?,
            enterprise_project: self.enterprise_project_id.unwrap_or_else(|| "0".to_owned()),
        })
    }
}

impl UpdateRequest {
    fn read(
        self,
        before: &AlarmView,
        project: cbr_model::ProjectId,
    ) -> Result<AlarmChange, ApiError> {
        refuse_insufficient(self.insufficientdata_actions.as_deref())?;
        let rule = &before.rule;
        let condition = |wanted: WantedCondition| {
            let [known] = rule.conditions.as_slice() else {
                let why = "the rule has several; they are changed by making it anew";
                return Err(ApiError::invalid("condition", why));
            };
            // What the rule is about stays.
            let named = WantedCondition {
                metric_name: Some(known.what.as_str().to_owned()),
                level: wanted.level.or(Some(known.level)),
                unit: wanted.unit.or_else(|| Some(known.what.unit().to_owned())),
                ..wanted
            };
            Ok(vec![named.read(rule.is_on_events(), rule.namespace())?])
        };
        let names = |key, wanted: Option<Vec<Wanted>>| {
            wanted.map(|wanted| topics(key, &wanted, project)).transpose()
        };
        Ok(AlarmChange {
            name: self.alarm_name,
            description: self.alarm_description,
            conditions: self.condition.map(condition).transpose()?,
            notifies: self.alarm_action_enabled,
            on_alarm: names("alarm_actions", self.alarm_actions)?,
            on_recovery: names("ok_actions", self.ok_actions)?,
            window: changed_window(
                &rule.window,
                self.alarm_action_begin_time,
                self.alarm_action_end_time,
                self.effective_timezone,
            )?,
            level: self.alarm_level,
        })
    }
}

/// The window with what is said of it; `None`: nothing is.
fn changed_window(
    before: &Window,
    begin: Option<String>,
    end: Option<String>,
    zone: Option<String>,
) -> Result<Option<Window>, ApiError> {
    if begin.is_none() && end.is_none() && zone.is_none() {
        return Ok(None);
    }
    let begin = begin.unwrap_or_else(|| before.begin());
    let end = end.unwrap_or_else(|| before.end());
    let zone = zone.unwrap_or_else(|| before.zone().to_owned());
    window(Some(&begin), Some(&end), Some(&zone)).map(Some)
}

fn refuse_insufficient(wanted: Option<&[Wanted]>) -> Result<(), ApiError> {
    if wanted.is_none_or(<[Wanted]>::is_empty) {
        return Ok(());
    }
    let why = "nobody is told that nothing is known; read alarm_state, or watch the service itself";
    Err(ApiError::invalid("insufficientdata_actions", why))
}

/// The vaults of these dimensions.
pub(super) fn watched(dimensions: &[Dimension], is_all: bool) -> Result<Watched, ApiError> {
    if dimensions.is_empty() && is_all {
        return Ok(Watched::All);
    }
    let mut vaults: Vec<VaultId> = Vec::with_capacity(dimensions.len());
    for dimension in dimensions {
        let id = vault(&dimension.name, &dimension.value)?;
        let id = id.ok_or_else(|| ApiError::invalid("dimensions", "the value is no vault id"))?;
        if !vaults.contains(&id) {
            vaults.push(id);
        }
    }
    Ok(Watched::Vaults(vaults))
}

/// What these dimensions are of; without any: everything there is, where that may be.
pub(super) fn things(wanted: Vec<Vec<Dimension>>, is_all: bool) -> Watched {
    let mut things: Vec<Vec<MetricDimension>> = Vec::with_capacity(wanted.len());
    for dimensions in wanted {
        // In the order that a metric has them.
        let metric = custom(String::new(), String::new(), dimensions);
        let thing = metric.dimensions().to_vec();
        if !thing.is_empty() && !things.contains(&thing) {
            things.push(thing);
        }
    }
    if things.is_empty() && is_all { Watched::All } else { Watched::Things(things) }
}

impl Shown {
    fn of(view: &AlarmView, region: &str) -> Self {
        let AlarmView { rule, state, topics } = view;
        let first = rule.conditions.first();
        let actions = |ids| receivers(ids, topics, region).into_iter().map(Actions::from).collect();
        let dimensions = match &rule.watched {
            Watched::All => Vec::new(),
            Watched::Vaults(vaults) => vaults.iter().copied().map(Dimension::of).collect(),
            Watched::Things(things) => {
                things.iter().take(1).flatten().cloned().map(Dimension::from).collect()
            }
        };
        Self {
            alarm_id: short(rule.id),
            alarm_name: rule.name.clone(),
            alarm_description: rule.description.clone(),
            metric: Metric {
                namespace: rule.namespace().to_owned(),
                metric_name: first.map_or("", |first| first.what.as_str()).to_owned(),
                dimensions,
            },
            condition: ShownCondition::bare(first.expect("a rule has at least one condition")),
            alarm_enabled: rule.enabled,
            alarm_action_enabled: rule.notifies,
            alarm_level: first.map_or(2, |first| first.level),
            alarm_type: super::rules::kind(rule),
            alarm_state: state.as_str(),
            alarm_actions: actions(&rule.on_alarm),
            ok_actions: actions(&rule.on_recovery),
            insufficientdata_actions: Vec::new(),
            alarm_action_begin_time: rule.window.begin(),
            alarm_action_end_time: rule.window.end(),
            effective_timezone: rule.window.zone().to_owned(),
            update_time: rule.updated_at.0.div_euclid(1000),
            enterprise_project_id: rule.enterprise_project.clone(),
        }
    }
}
