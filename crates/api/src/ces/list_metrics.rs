//! List of metrics (contract F.6).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::metric::{DIMENSION, Metric, NAMESPACE};
use cbr_service::Access;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::{MetricOfVault, dimension, is_custom};
use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;

/// Metrics of a page, when the client does not say, and at most.
const LIMIT_MAX: u32 = 1000;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListMetrics",
    verb: Verb::Get,
    path: "/V1.0/{project_id}/metrics",
    group: "Monitoring",
    summary: "Lists the metrics of the project's vaults, and those that it publishes itself.",
    admission: Admission::Project,
    action: Some("ces:metrics:list"),
    event: None,
    success: 200,
    query: &[
        parameter("namespace", Form::Text, "`SYS.CBR`, or one of your own."),
        parameter("metric_name", Form::Text, "Of this name."),
        parameter(
            "dim.0",
            Form::Text,
            "Of this vault: `instance_id,<id>`; or of your own: `<name>,<value>`.",
        ),
        parameter("start", Form::Text, "Only those after the one with this marker."),
        parameter("limit", Form::Integer, "1 to 1000, which is the default."),
        parameter("order", Form::Text, "`asc` or `desc`, the default, by vault."),
    ],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListMetricsResponse)]
struct Response {
    metrics: Vec<MetricOfVault>,
    meta_data: MetaData,
}

/// Which part of the list it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListMetricsMetaData)]
struct MetaData {
    /// Metrics in this answer.
    count: usize,
    /// Metrics in all.
    total: usize,
    /// What to go on from; empty: this is the end.
    marker: String,
}

/// `GET /V1.0/{project_id}/metrics`
#[tracing::instrument(name = "api.metrics.list", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let limit = query.page_of(LIMIT_MAX)?.limit as usize;
    let is_ascending = match query.text("order") {
        Some("asc") => true,
        None | Some("desc") => false,
        Some(_) => return Err(ApiError::invalid("order", "asc or desc")),
    };
    let mut metrics = match wanted(&query)? {
        Some((vault, metric)) => {
            api.services.monitoring.list_metrics(&access, vault, metric).await?
        }
        None => Vec::new(),
    }
    .into_iter()
    .map(MetricOfVault::from)
    .collect::<Vec<_>>();
    metrics.extend(own(&api, &access, &query).await?);
    if !is_ascending {
        metrics.reverse();
    }
    let total = metrics.len();
    let begin = match query.text("start") {
        None => 0,
        Some(start) => {
            let at = metrics.iter().position(|one| one.marker() == start);
            at.ok_or_else(|| ApiError::invalid("start", "there is no metric with this marker"))? + 1
        }
    };
    let is_more = total - begin > limit;
    let metrics: Vec<_> = metrics.into_iter().skip(begin).take(limit).collect();
    let marker = metrics.last().filter(|_| is_more).map(MetricOfVault::marker).unwrap_or_default();
    let meta_data = MetaData { count: metrics.len(), total, marker };
    Ok(Json(Response { metrics, meta_data }))
}

/// Those that the project publishes itself.
async fn own(api: &Api, access: &Access, query: &Query) -> Result<Vec<MetricOfVault>, ApiError> {
    let namespace = query.text("namespace");
    if namespace.is_some_and(|namespace| !is_custom(namespace)) {
        return Ok(Vec::new());
    }
    let published = api.services.monitoring.published(access, namespace).await?;
    let mut metrics: Vec<_> = published.into_iter().map(MetricOfVault::from).collect();
    metrics.retain(|one| one.is(query.text("metric_name"), query.text("dim.0")));
    Ok(metrics)
}

type Wanted = (Option<cbr_model::VaultId>, Option<Metric>);

/// Of which vault and name; `None`: there can be none.
fn wanted(query: &Query) -> Result<Option<Wanted>, ApiError> {
    if query.text("namespace").is_some_and(|namespace| namespace != NAMESPACE) {
        return Ok(None);
    }
    let metric = match query.text("metric_name").map(Metric::from_str_exact) {
        Some(None) => return Ok(None),
        known => known.flatten(),
    };
    // Without a namespace those of the project's own are meant as well, which have other dimensions.
    let is_other = |text: &str| text.split_once(',').is_some_and(|(name, _)| name != DIMENSION);
    if query.text("namespace").is_none() && query.text("dim.0").is_some_and(is_other) {
        return Ok(None);
    }
    match query.text("dim.0").map(dimension).transpose()? {
        Some(None) => Ok(None),
        vault => Ok(Some((vault.flatten(), metric))),
    }
}
