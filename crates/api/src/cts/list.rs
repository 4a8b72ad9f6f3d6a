//! List of traces (contract F.7).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::Timestamp;
use cbr_model::audit::TraceFilter;
use cbr_model::query::Page;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::Trace;
use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

/// Rows of a page: when the client does not say, and at most.
const LIMIT: (u32, u32) = (10, 200);
/// Without a time, only the last hour is listed.
const WINDOW_SECONDS: i64 = 60 * 60;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListTraces",
    verb: Verb::Get,
    path: "/v3/{project_id}/traces",
    group: "Traces",
    summary: "Lists records of changes, newest first; without a time, those of the last hour.",
    admission: Admission::Project,
    action: Some("cts:trace:list"),
    event: None,
    success: 200,
    query: &[
        parameter("trace_type", Form::Text, "`system`."),
        parameter("service_type", Form::Text, "In this service, e.g. `CBR`."),
        parameter("resource_type", Form::Text, "To this kind of thing."),
        parameter("resource_id", Form::Text, "To this thing."),
        parameter("resource_name", Form::Text, "To a thing of this name."),
        parameter("trace_name", Form::Text, "Of this name."),
        parameter("trace_id", Form::Text, "This record, whenever it was."),
        parameter(
            "trace_rating",
            Form::Text,
            "`normal`: what was done; `warning`: what was refused.",
        ),
        parameter("user", Form::Text, "By the user of this name."),
        parameter("from", Form::Integer, "Not before this time, in milliseconds since 1970."),
        parameter("to", Form::Integer, "Not after this time, in milliseconds since 1970."),
        parameter("limit", Form::Integer, "1 to 200; default 10."),
        parameter("next", Form::Text, "Only those after the one with this id."),
    ],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListTracesResponse)]
struct Response {
    traces: Vec<Trace>,
    meta_data: MetaData,
}

/// Which part of the list it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListTracesMetaData)]
struct MetaData {
    /// Rows in this answer.
    count: usize,
    /// Id to go on from; null: this is the end.
    marker: Option<String>,
}

/// `GET /v3/{project_id}/traces`
#[tracing::instrument(name = "api.traces.list", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let page = page(&query)?;
    let is_other = |key, only: &[&str]| query.text(key).is_some_and(|text| !only.contains(&text));
    // There is one tracker, and nothing is recorded of what failed by our fault.
    if is_other("trace_type", &["system"]) || is_other("trace_rating", &["normal", "warning"]) {
        let meta_data = MetaData { count: 0, marker: None };
        return Ok(Json(Response { traces: Vec::new(), meta_data }));
    }
    let filter = filter(&query, api.clock.now())?;
    let listed = api.services.audit.list(&access, &filter, page).await?;
    let is_more = listed.rows.len() == page.limit as usize;
    let last = listed.rows.last().filter(|_| is_more).map(|last| last.id.to_string());
    let traces: Vec<Trace> = listed.rows.into_iter().map(Trace::from).collect();
    let meta_data = MetaData { count: traces.len(), marker: last };
    Ok(Json(Response { traces, meta_data }))
}

fn page(query: &Query) -> Result<Page, ApiError> {
    let (default, max) = LIMIT;
    let limit = match query.value::<u32>("limit")? {
        None => default,
        Some(limit) if (1..=max).contains(&limit) => limit,
        Some(_) => return Err(ApiError::invalid("limit", format_args!("1 to {max}"))),
    };
    Ok(Page { limit, offset: 0, marker: query.value("next")? })
}

fn filter(query: &Query, now: Timestamp) -> Result<TraceFilter, ApiError> {
    let text = |key| query.text(key).map(str::to_owned);
    let micros = |millis: i64| Timestamp(millis.saturating_mul(1000));
    let id = query.value("trace_id")?;
    let from = query.value::<i64>("from")?.map(micros);
    // The millisecond that was said, to its end.
    let to = query.value::<i64>("to")?.map(|to| Timestamp(micros(to).0.saturating_add(999)));
    let window = now.plus_seconds(-WINDOW_SECONDS);
    let is_open = id.is_none() && from.is_none() && to.is_none();
    Ok(TraceFilter {
        id,
        service: text("service_type"),
        name: text("trace_name"),
        resource_type: text("resource_type"),
        resource_id: text("resource_id"),
        resource_name: text("resource_name"),
        is_refused: query.text("trace_rating").map(|rating| rating == "warning"),
        user_name: text("user"),
        from: from.or_else(|| is_open.then_some(window)),
        to,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract F.7: the default window is the last hour; a record asked for by its id has none.
    #[test]
    fn without_a_time_it_is_the_last_hour() {
        let now = Timestamp(10_000_000_000);
        let of = |text: &str| filter(&Query::parse(text), now).unwrap();
        assert_eq!(of("").from, Some(Timestamp(6_400_000_000)));
        assert_eq!(of("from=5").from, Some(Timestamp(5000)));
        assert_eq!((of("to=5").from, of("to=5").to), (None, Some(Timestamp(5999))));
        assert_eq!(of("trace_id=5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01").from, None);
        assert_eq!(page(&Query::parse("limit=201")).unwrap_err().status(), 400);
        assert_eq!(page(&Query::parse("")).unwrap().limit, 10);
    }
}
