//! Opens a stream of the progress of tasks (extension).

use std::convert::Infallible;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::sse::Sse;
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use cbr_model::{ProjectId, TaskId};
use futures::stream::poll_fn;
use tokio::sync::mpsc::channel;

use super::board::{Board, are_over};
use super::follow::Follower;
use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, StillStanding, id_of};
use crate::operation::{Admission, Form, Operation, Verb, parameter, stream_of};
use crate::query::Query;
use crate::shares::Shares;
use crate::state::Api;
use crate::v3::operation_logs::show;

/// Most streams of one project at a time.
const IN_PROJECT_MAX: usize = 16;
/// Most streams of all projects at a time.
const ALL_MAX: usize = 256;
/// Most tasks of one stream.
const TASKS_MAX: usize = 50;
const PARAMETER: &str = "operation_log_id";

pub(crate) const OPERATION: Operation = Operation {
    name: "WatchOpLogs",
    verb: Verb::Get,
    path: "/v3/{project_id}/x/operation-logs/events",
    group: "Extensions",
    summary: "Streams operation logs as they change, as server-sent events, until all have ended. \
              With Last-Event-ID only what differs is sent; 204: nothing will.",
    admission: Admission::Project,
    action: Some("cbr:tasks:get"),
    event: None,
    success: 200,
    query: &[parameter(PARAMETER, Form::Texts, "The operation logs, 1 to 50.")],
    request: None,
    response: Some(stream_of::<show::Response>()),
    mount: |filter| on(filter, handle),
};

/// The places of streams (P24).
pub(crate) fn places() -> Shares<ProjectId> {
    Shares::new(IN_PROJECT_MAX, ALL_MAX)
}

/// `GET /v3/{project_id}/x/operation-logs/events`
#[tracing::instrument(name = "api.x.task_events", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    StillStanding(standing): StillStanding,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let tasks = tasks(&query)?;
    let logs = api.services.operations.states(&access, &tasks).await?;
    if let Some(absent) = tasks.iter().zip(&logs).find_map(|(id, log)| log.is_none().then_some(id))
    {
        return Err(cbr_service::Error::OperationNotFound(*absent).into());
    }
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let board = Board::read(last, tasks.len());
    let news = board.clone().news(&logs).map_err(|_| ApiError::unknown())?;
    if news.is_empty() && are_over(&logs) {
        // Tells a browser not to come again.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let full = || {
        let message = "Too many streams are open. Close one, or ask for the operation log.";
        ApiError::new(ErrorCode::TooManyRequests, message)
    };
    let place = api.streams.take(access.project()).ok_or_else(full)?;
    // One event at a time: who does not read makes nothing pile up.
    let (sender, mut receiver) = channel(1);
    drop(tokio::spawn(Follower { api, access, standing, tasks, board, _place: place }.run(sender)));
    let events = poll_fn(move |context| {
        receiver.poll_recv(context).map(|event| event.map(Ok::<_, Infallible>))
    });
    let mut response = Sse::new(events).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather answers would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn tasks(query: &Query) -> Result<Vec<TaskId>, ApiError> {
    let texts = query.texts(PARAMETER)?;
    if texts.is_empty() || texts.len() > TASKS_MAX {
        let why = format_args!("name 1 to {TASKS_MAX} operation logs");
        return Err(ApiError::invalid(PARAMETER, why));
    }
    texts.into_iter().map(|text| id_of(text, ErrorCode::OperationNotFound)).collect()
}
