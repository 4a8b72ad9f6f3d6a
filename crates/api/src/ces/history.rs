//! The history of alarms (contract F.6): each change of state.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::Timestamp;
use cbr_model::alarm::{AlarmRecord, AlarmState};
use cbr_service::alarms::RecordFilter;
use serde::Serialize;
use utoipa::ToSchema;

use super::alarms_page::offset_page;
use super::conditions::{ShownCondition, check_namespace};
use super::ids::{read, short};
use super::row::project;
use super::wire::Dimension;
use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;
use crate::time;

pub(crate) const LIST: Operation = project(
    ("ListAlarmHistories", "Monitoring"),
    (Verb::Get, "/V1.0/{project_id}/alarm-histories"),
    "Lists changes of state of alarms, newest first.",
    "ces:alarmHistory:list",
    |filter| on(filter, list),
)
.reads(&[
    parameter("alarm_id", Form::Text, "Of this rule."),
    parameter("alarm_name", Form::Text, "Of rules of this name."),
    parameter("alarm_status", Form::Text, "To `ok`, `alarm` or `insufficient_data`."),
    parameter("alarm_level", Form::Integer, "Of this level, 1 to 4."),
    parameter("namespace", Form::Text, "About something of this: `SYS.CBR`, or one of your own."),
    parameter("from", Form::Integer, "Not before this time, in milliseconds since 1970."),
    parameter("to", Form::Integer, "Not after this time, in milliseconds since 1970."),
    parameter("start", Form::Integer, "How many are skipped; default 0."),
    parameter("limit", Form::Integer, "1 to 100; default 10."),
])
.gives(schema_of::<Response>());

pub(crate) const LIST_V2: Operation = project(
    ("ListAlarmHistoriesV2", "Monitoring"),
    (Verb::Get, "/v2/{project_id}/alarm-histories"),
    "Lists changes of state of alarms, newest first.",
    "ces:alarmHistory:list",
    |filter| on(filter, list_v2),
)
.reads(&[
    parameter("alarm_id", Form::Texts, "Of one of these rules."),
    parameter("record_id", Form::Text, "This one."),
    parameter("name", Form::Text, "Of rules of this name."),
    parameter("status", Form::Texts, "To `ok`, `alarm` or `insufficient_data`."),
    parameter("level", Form::Integer, "Of this level, 1 to 4."),
    parameter("namespace", Form::Text, "About something of this: `SYS.CBR`, or one of your own."),
    parameter("resource_id", Form::Text, "Of this vault or thing."),
    parameter("alarm_type", Form::Text, "`event` or `metric`."),
    parameter("from", Form::Time, "Not before this time."),
    parameter("to", Form::Time, "Not after this time."),
    parameter("offset", Form::Integer, "How many are skipped; default 0."),
    parameter("limit", Form::Integer, "1 to 100; default 10."),
])
.gives(schema_of::<ResponseV2>());

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListAlarmHistoriesResponse)]
struct Response {
    alarm_histories: Vec<Shown>,
    meta_data: MetaData,
}

/// How many there are.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlarmHistoriesMetaData)]
struct MetaData {
    total: u64,
}

/// A change of state.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlarmHistory)]
struct Shown {
    alarm_id: String,
    alarm_name: String,
    alarm_status: &'static str,
    alarm_level: u8,
    alarm_type: &'static str,
    metric: Metric,
    condition: Option<ShownCondition>,
    datapoints: Vec<DataPoint>,
    additional_info: AdditionalInfo,
    /// Milliseconds since 1970.
    trigger_time: i64,
    /// When it was over, or else the same as `trigger_time`.
    update_time: i64,
}

/// What it is about.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlarmHistoryMetric)]
struct Metric {
    namespace: String,
    metric_name: String,
    dimensions: Vec<Dimension>,
}

/// A value that decided.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlarmHistoryValue)]
struct DataPoint {
    value: f64,
}

/// What it was about, and who was told.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlarmHistoryInfo)]
struct AdditionalInfo {
    resource_id: String,
    resource_name: String,
    /// What an event said.
    detail: String,
    /// How many subscriptions were told.
    told: u32,
    /// Why nobody was told, if so.
    untold: Option<String>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListAlarmHistoriesV2Response)]
struct ResponseV2 {
    alarm_histories: Vec<ShownV2>,
    count: u64,
}

/// A change of state.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlarmHistoryV2)]
struct ShownV2 {
    record_id: String,
    alarm_id: String,
    name: String,
    status: &'static str,
    level: u8,
    #[serde(rename = "type")]
    kind: &'static str,
    action_enabled: bool,
    begin_time: String,
    /// When an alarm was over.
    end_time: Option<String>,
    metric: Metric,
    condition: Option<ShownCondition>,
    additional_info: AdditionalInfo,
    data_points: Vec<DataPoint>,
}

/// `GET /V1.0/{project_id}/alarm-histories`
#[tracing::instrument(name = "api.alarms.history", skip_all)]
async fn list(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let mut page = offset_page(&query)?;
    page.offset = query.value("start")?.unwrap_or(0);
    let micros = |millis: i64| Timestamp(millis.saturating_mul(1000));
    let filter = RecordFilter {
        alarms: alarms(query.text("alarm_id").into_iter().collect())?,
        name: query.text("alarm_name").map(str::to_owned),
        statuses: query.word("alarm_status", AlarmState::from_str_exact)?.into_iter().collect(),
        level: query.value("alarm_level")?,
        namespace: namespace(&query)?,
        from: query.value("from")?.map(micros),
        to: query.value("to")?.map(micros),
        ..RecordFilter::default()
    };
    let listed = api.services.alarms.history(&access, &filter, page).await?;
    let meta_data = MetaData { total: listed.total };
    let alarm_histories = listed.rows.into_iter().map(Shown::from).collect();
    Ok(Json(Response { alarm_histories, meta_data }))
}

/// `GET /v2/{project_id}/alarm-histories`
#[tracing::instrument(name = "api.rules.history", skip_all)]
async fn list_v2(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<ResponseV2>, ApiError> {
    let page = offset_page(&query)?;
    let on_event = match query.text("alarm_type") {
        None => None,
        Some("event") => Some(true),
        Some("metric") => Some(false),
        Some(_) => return Err(ApiError::invalid("alarm_type", "event or metric")),
    };
    let id = query.text("record_id").map(|text| {
        read(text).ok_or_else(|| ApiError::invalid("record_id", "it is the id of a record"))
    });
    let filter = RecordFilter {
        id: id.transpose()?,
        alarms: alarms(query.texts("alarm_id")?)?,
        name: query.text("name").map(str::to_owned),
        statuses: query.words("status", AlarmState::from_str_exact)?,
        level: query.value("level")?,
        namespace: namespace(&query)?,
        resource: query.text("resource_id").map(str::to_owned),
        on_event,
        from: query.time("from")?,
        to: query.time("to")?,
    };
    let listed = api.services.alarms.history(&access, &filter, page).await?;
    let alarm_histories = listed.rows.into_iter().map(ShownV2::from).collect();
    Ok(Json(ResponseV2 { alarm_histories, count: listed.total }))
}

/// The rules of these ids; of one that is none there is no history, as of one that is not there.
fn alarms(texts: Vec<&str>) -> Result<Vec<cbr_model::AlarmId>, ApiError> {
    let one = |text| {
        read(text).ok_or_else(|| ApiError::invalid("alarm_id", "it is the id of an alarm rule"))
    };
    texts.into_iter().map(one).collect()
}

/// The namespace that is asked for.
fn namespace(query: &Query) -> Result<Option<String>, ApiError> {
    let Some(namespace) = query.text("namespace") else { return Ok(None) };
    check_namespace(namespace, false)?;
    Ok(Some(namespace.to_owned()))
}

fn kind(record: &AlarmRecord) -> &'static str {
    if record.on_event { "EVENT.SYS" } else { "MULTI_INSTANCE" }
}

fn metric(record: &AlarmRecord) -> Metric {
    let name = record.detail.condition.as_ref().map_or("", |condition| condition.what.as_str());
    let vault = record.resource.parse().ok();
    let of_vault = vault.filter(|_| !record.on_event).map(Dimension::of);
    let own = record.detail.dimensions.iter().cloned().map(Dimension::from);
    Metric {
        namespace: record.namespace().to_owned(),
        metric_name: name.to_owned(),
        dimensions: of_vault.into_iter().chain(own).collect(),
    }
}

fn values(record: &AlarmRecord) -> Vec<DataPoint> {
    record.detail.values.iter().flatten().map(|value| DataPoint { value: *value }).collect()
}

fn info(record: &AlarmRecord) -> AdditionalInfo {
    AdditionalInfo {
        resource_id: record.resource.clone(),
        resource_name: record.detail.resource_name.clone(),
        detail: record.detail.text.clone(),
        told: record.detail.told,
        untold: record.detail.untold.clone(),
    }
}

impl From<AlarmRecord> for Shown {
    fn from(record: AlarmRecord) -> Self {
        let millis = |at: Timestamp| at.0.div_euclid(1000);
        Self {
            alarm_id: short(record.alarm),
            alarm_status: record.status.as_str(),
            alarm_level: record.level,
            alarm_type: kind(&record),
            metric: metric(&record),
            condition: record.detail.condition.as_ref().map(ShownCondition::bare),
            datapoints: values(&record),
            additional_info: info(&record),
            trigger_time: millis(record.at),
            update_time: millis(record.ended_at.unwrap_or(record.at)),
            alarm_name: record.alarm_name,
        }
    }
}

impl From<AlarmRecord> for ShownV2 {
    fn from(record: AlarmRecord) -> Self {
        Self {
            record_id: short(record.id),
            alarm_id: short(record.alarm),
            status: record.status.as_str(),
            level: record.level,
            kind: kind(&record),
            action_enabled: record.detail.untold.is_none(),
            begin_time: time::format(record.at),
            end_time: record.ended_at.map(time::format),
            metric: metric(&record),
            condition: record.detail.condition.as_ref().map(ShownCondition::bare),
            additional_info: info(&record),
            data_points: values(&record),
            name: record.alarm_name,
        }
    }
}
