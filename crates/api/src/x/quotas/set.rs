//! Sets a quota (extension; QUO-06).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_model::quota::Quota;
use serde::Deserialize;
use utoipa::ToSchema;

use super::list::Response;
use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "SetQuota",
    verb: Verb::Put,
    path: "/v3/{project_id}/x/quotas",
    group: "Extensions",
    summary: "Sets a limit of the project, or has the one for everybody hold again. For administrators.",
    admission: Admission::Project,
    action: Some("cbr:vaults:setQuotas"),
    event: Some(Event::new("setQuota", "quota")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = SetQuotaRequest)]
#[serde(deny_unknown_fields)]
struct Request {
    /// `vaults`, `capacity_gb`, `backup_policies` or `vault_tags`.
    quota: String,
    /// Null: the limit for everybody.
    limit: Option<u64>,
}

/// `PUT /v3/{project_id}/x/quotas`
#[tracing::instrument(name = "api.x.quotas.set", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let quota = Quota::from_str_exact(&request.quota).ok_or_else(|| {
        ApiError::invalid("quota", "vaults, capacity_gb, backup_policies or vault_tags")
    })?;
    let quotas = api.services.vaults.set_quota(&access, quota, request.limit).await?;
    Ok(Json(Response::from(quotas)))
}
