//! Metrics of a user's own (contract F.6).

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::on;
use cbr_model::Timestamp;
use cbr_model::custom_metric::CustomValue;
use serde::Deserialize;
use utoipa::ToSchema;

use super::wire::{Dimension, custom};
use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "CreateMetricData",
    verb: Verb::Post,
    path: "/V1.0/{project_id}/metric-data",
    group: "Monitoring",
    summary: "Keeps values of metrics of the project's own, for at most a week; 1 to 1000 of them, all or none.",
    admission: Admission::Project,
    action: Some("ces:metricData:create"),
    event: None,
    success: 201,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: None,
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateMetricDataRequest)]
#[serde(transparent)]
struct Request(Vec<Published>);

/// A value.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PublishedValue)]
struct Published {
    metric: PublishedMetric,
    /// For so many seconds it is kept: 1 to 604800.
    ttl: u32,
    /// When it was collected, in milliseconds since 1970: from three days ago to ten minutes ahead.
    collect_time: i64,
    value: f64,
    /// At most 32 characters.
    unit: Option<String>,
    /// `int` or `float`, the default.
    #[serde(rename = "type")]
    form: Option<String>,
}

/// Of what.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PublishedMetric)]
struct PublishedMetric {
    /// `service.item`; not one of those that begin with `SYS`, `AGT` or `SRE`.
    namespace: String,
    metric_name: String,
    /// 1 to 4.
    dimensions: Vec<Dimension>,
}

/// `POST /V1.0/{project_id}/metric-data`
#[tracing::instrument(name = "api.metrics.publish", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(Request(values)): JsonBody<Request>,
) -> Result<StatusCode, ApiError> {
    let values = values.into_iter().map(Published::read).collect::<Result<Vec<_>, _>>()?;
    api.services.monitoring.publish(&access, &values).await?;
    Ok(StatusCode::CREATED)
}

impl Published {
    fn read(self) -> Result<CustomValue, ApiError> {
        match self.form.as_deref() {
            None | Some("float") => {}
            Some("int") if self.value.fract() == 0.0 => {}
            Some("int") => return Err(ApiError::invalid("value", "a whole number: it is an int")),
            Some(_) => return Err(ApiError::invalid("type", "int or float")),
        }
        let PublishedMetric { namespace, metric_name, dimensions } = self.metric;
        Ok(CustomValue {
            metric: custom(namespace, metric_name, dimensions),
            unit: self.unit.unwrap_or_default(),
            at: Timestamp(self.collect_time.saturating_mul(1000)),
            value: self.value,
            ttl: self.ttl,
        })
    }
}
