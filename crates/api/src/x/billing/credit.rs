//! Gives to an account, or takes from it (extension; BIL-01, BIL-06). For who runs the installation.

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use cbr_service::billing::Credit;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::account::Account;
use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "CreditAccount",
    verb: Verb::Post,
    path: "/v3/{project_id}/x/billing/credits",
    group: "Extensions",
    summary: "Gives to an account, or takes from it. For administrators of the account that runs the installation.",
    admission: Admission::Project,
    action: Some("cbr:vaults:credit"),
    event: Some(Event::new("creditAccount", "account")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreditAccountRequest)]
#[serde(deny_unknown_fields)]
struct Request {
    /// To whom; without it: to the caller's account.
    domain_id: Option<String>,
    /// Minor units of the currency; negative takes.
    amount: i64,
    /// What it is known by, 1 to 64 characters: the same again changes nothing.
    reference: String,
    /// For people, at most 255 characters.
    note: Option<String>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreditAccountResponse)]
struct Response {
    account: Account,
}

/// `POST /v3/{project_id}/x/billing/credits`
#[tracing::instrument(name = "api.x.billing.credit", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let domain = match request.domain_id {
        None => access.caller().domain.id,
        Some(id) => id.parse().map_err(|why| ApiError::invalid("domain_id", why))?,
    };
    let credit = Credit {
        domain,
        amount: request.amount,
        reference: request.reference,
        note: request.note.unwrap_or_default(),
    };
    let account = api.services.billing.credit(&access, credit).await?.into();
    Ok(Json(Response { account }))
}
