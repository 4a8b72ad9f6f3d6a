//! Metrics on the wire (contract F.6).

use cbr_model::custom_metric::{CustomMetric, MetricDimension, thing_name};
use cbr_model::metric::{DIMENSION, DataPoint, Filter, Metric, NAMESPACE, PERIODS};
use cbr_model::{Timestamp, VaultId};
use cbr_service::monitoring::{MetricKey, MetricQuery, PublishedMetric};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::error::ApiError;

/// What a metric is of.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = MetricDimension)]
pub(super) struct Dimension {
    /// `instance_id`; of a metric of your own, what you called it.
    pub(super) name: String,
    /// Id of a vault; of a metric of your own, what you said.
    pub(super) value: String,
}

/// A metric of a user's own; whether it can be one is looked at where it is used.
pub(super) fn custom(namespace: String, name: String, dimensions: Vec<Dimension>) -> CustomMetric {
    CustomMetric::new(namespace, name, dimensions.into_iter().map(MetricDimension::from).collect())
}

/// Whether a namespace is one that users publish in.
pub(super) fn is_custom(namespace: &str) -> bool {
    !CustomMetric::is_reserved(namespace)
}

impl From<MetricDimension> for Dimension {
    fn from(MetricDimension { name, value }: MetricDimension) -> Self {
        Self { name, value }
    }
}

impl From<Dimension> for MetricDimension {
    fn from(Dimension { name, value }: Dimension) -> Self {
        Self { name, value }
    }
}

impl Dimension {
    /// The dimension of a vault.
    pub(super) fn of(vault: VaultId) -> Self {
        Self { name: DIMENSION.to_owned(), value: vault.to_string() }
    }
}

/// One metric of one vault, or of a user's own.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MetricOfVault)]
pub(super) struct MetricOfVault {
    namespace: String,
    metric_name: String,
    unit: String,
    dimensions: Vec<Dimension>,
}

impl From<MetricKey> for MetricOfVault {
    fn from(key: MetricKey) -> Self {
        Self {
            namespace: NAMESPACE.to_owned(),
            metric_name: key.metric.as_str().to_owned(),
            unit: key.metric.unit().to_owned(),
            dimensions: vec![Dimension::of(key.vault)],
        }
    }
}

impl From<PublishedMetric> for MetricOfVault {
    fn from(PublishedMetric { metric, unit }: PublishedMetric) -> Self {
        let dimensions = metric.dimensions().iter().cloned().map(Dimension::from).collect();
        Self { namespace: metric.namespace, metric_name: metric.name, unit, dimensions }
    }
}

impl MetricOfVault {
    /// Whether it is one of this name, and of this dimension.
    pub(super) fn is(&self, name: Option<&str>, dimension: Option<&str>) -> bool {
        let has = |wanted: &str| {
            let wanted = wanted.split_once(',');
            self.dimensions
                .iter()
                .any(|one| wanted == Some((one.name.as_str(), one.value.as_str())))
        };
        name.is_none_or(|name| name == self.metric_name) && dimension.is_none_or(has)
    }

    /// Where a list goes on after this metric.
    pub(super) fn marker(&self) -> String {
        let dimensions: Vec<_> =
            self.dimensions.iter().cloned().map(MetricDimension::from).collect();
        format!("{}.{}.{}", self.namespace, self.metric_name, thing_name(&dimensions))
    }
}

/// A metric by its name, in the namespace there is.
pub(super) fn metric(namespace: &str, name: &str) -> Result<Metric, ApiError> {
    if namespace != NAMESPACE {
        let why = format_args!("`{NAMESPACE}`, or one that is not of a service (`SYS.`)");
        return Err(ApiError::invalid("namespace", why));
    }
    Metric::from_str_exact(name).ok_or_else(|| {
        let known = Metric::ALL.map(Metric::as_str).join(", ");
        ApiError::invalid("metric_name", format_args!("one of {known}"))
    })
}

/// The vault that a dimension names; `None`: it is no id, so there is nothing of it.
pub(super) fn vault(name: &str, value: &str) -> Result<Option<VaultId>, ApiError> {
    if name != DIMENSION {
        return Err(ApiError::invalid("dim.0", format_args!("the dimension is `{DIMENSION}`")));
    }
    Ok(value.parse().ok())
}

/// A dimension as a query says it: `instance_id,<id>`.
pub(super) fn dimension(text: &str) -> Result<Option<VaultId>, ApiError> {
    let form =
        || ApiError::invalid("dim.0", format_args!("write it as {DIMENSION},<id of a vault>"));
    let (name, value) = text.split_once(',').ok_or_else(form)?;
    vault(name, value)
}

/// Which values: a filter, a period, and times in milliseconds.
pub(super) fn query(
    filter: &str,
    period: u32,
    from: i64,
    to: i64,
) -> Result<MetricQuery, ApiError> {
    let filter = Filter::from_str_exact(filter)
        .ok_or_else(|| ApiError::invalid("filter", "average, max, min, sum or variance"))?;
    if !PERIODS.contains(&period) {
        let why = "1, 300, 1200, 3600, 14400 or 86400 seconds";
        return Err(ApiError::invalid("period", why));
    }
    let at = |millis: i64| Timestamp(millis.saturating_mul(1000));
    Ok(MetricQuery { period, filter, from: at(from), to: at(to) })
}

/// A value: under the name of its filter, with its time in milliseconds.
pub(super) fn point(point: DataPoint, filter: Filter, unit: Option<&str>) -> Value {
    let mut fields = Map::new();
    fields.insert(filter.as_str().to_owned(), json!(point.value));
    fields.insert("timestamp".to_owned(), json!(point.begin.saturating_mul(1000)));
    if let Some(unit) = unit {
        fields.insert("unit".to_owned(), json!(unit));
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MON-01, contract F.6.
    #[test]
    fn a_metric_is_named_by_namespace_name_and_dimension() {
        assert_eq!(metric("SYS.CBR", "vault_util").unwrap(), Metric::VaultUtil);
        assert_eq!(metric("SYS.ECS", "vault_util").unwrap_err().status(), 400);
        assert_eq!(metric("SYS.CBR", "cpu_util").unwrap_err().status(), 400);
        let id = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";
        assert_eq!(dimension(&format!("instance_id,{id}")).unwrap().unwrap().to_string(), id);
        assert_eq!(dimension("instance_id,web").unwrap(), None);
        assert_eq!(dimension("instance_id").unwrap_err().status(), 400);
        assert_eq!(dimension(&format!("disk,{id}")).unwrap_err().status(), 400);
        assert_eq!(query("mean", 300, 0, 1).unwrap_err().status(), 400);
        assert_eq!(query("max", 900, 0, 1).unwrap_err().status(), 400);
    }
}
