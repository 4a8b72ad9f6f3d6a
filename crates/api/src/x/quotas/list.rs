//! Lists quotas with what is used of them (extension; QUO-02).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_service::vaults::QuotaUse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListQuotas",
    verb: Verb::Get,
    path: "/v3/{project_id}/x/quotas",
    group: "Extensions",
    summary: "Lists what is limited in the project, and how much of it is used.",
    admission: Admission::Project,
    action: Some("cbr:vaults:list"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListQuotasResponse)]
pub(super) struct Response {
    quotas: Vec<Quota>,
}

/// One limit.
#[derive(Debug, Serialize, ToSchema)]
struct Quota {
    /// `vaults`; `capacity_gb`: of all vaults together; `backup_policies`; `vault_tags`: how many tags one
    /// vault carries.
    quota: &'static str,
    /// Null: no limit.
    limit: Option<u64>,
    /// Null where it is not one number.
    used: Option<u64>,
}

impl From<Vec<QuotaUse>> for Response {
    fn from(quotas: Vec<QuotaUse>) -> Self {
        let shown =
            |one: QuotaUse| Quota { quota: one.quota.as_str(), limit: one.limit, used: one.used };
        Self { quotas: quotas.into_iter().map(shown).collect() }
    }
}

/// `GET /v3/{project_id}/x/quotas`
#[tracing::instrument(name = "api.x.quotas.list", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
) -> Result<Json<Response>, ApiError> {
    Ok(Json(Response::from(api.services.vaults.quotas(&access).await?)))
}
