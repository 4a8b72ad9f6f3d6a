//! Orders another period of a prepaid vault (extension; BIL-03).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_service::vaults::Prepaid;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody, PathId, VaultInPath};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;
use crate::v3::vaults::new_vault::period;
use crate::x::orders::wire::Lines;

pub(crate) const OPERATION: Operation = Operation {
    name: "RenewVault",
    verb: Verb::Post,
    path: "/v3/{project_id}/x/vaults/{vault_id}/renew",
    group: "Extensions",
    summary: "Orders another period of a prepaid vault; one that froze because its period was over is available again.",
    admission: Admission::Project,
    action: Some("cbr:vaults:updateOrder"),
    event: Some(Event::new("renewVault", "vault")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Lines>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RenewVaultRequest)]
#[serde(deny_unknown_fields)]
struct Request {
    /// `month` or `year`.
    period_type: String,
    /// 1 to 9 months or 1 to 5 years.
    period_num: i64,
    /// Whether it is renewed when that ends; default no.
    is_auto_renew: Option<bool>,
    /// Whether it is paid at once, where orders are charged; default yes.
    is_auto_pay: Option<bool>,
}

/// `POST /v3/{project_id}/x/vaults/{vault_id}/renew`
#[tracing::instrument(name = "api.x.vaults.renew", skip_all, fields(vault.id = %vault))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(vault): PathId<VaultInPath>,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Lines>, ApiError> {
    let wanted = Prepaid {
        period: period(Some(&request.period_type), Some(request.period_num))?,
        auto_renew: request.is_auto_renew.unwrap_or(false),
        auto_pay: request.is_auto_pay.unwrap_or(true),
    };
    let order = api.services.billing.renew(&access, vault, wanted).await?;
    Ok(Json(Lines::from(vec![order])))
}
