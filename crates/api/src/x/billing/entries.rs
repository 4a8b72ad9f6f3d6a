//! Why the caller's account has what it has (extension; BIL-01).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::billing::BalanceEntry;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;
use crate::time;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListBalanceEntries",
    verb: Verb::Get,
    path: "/v3/{project_id}/x/billing/entries",
    group: "Extensions",
    summary: "Lists what changed the balance of the account, newest first.",
    admission: Admission::Project,
    action: Some("cbr:vaults:list"),
    event: None,
    success: 200,
    query: &[
        parameter("offset", Form::Integer, "So many are left out."),
        parameter("limit", Form::Integer, "At most so many; default and maximum 1000."),
    ],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListBalanceEntriesResponse)]
struct Response {
    entries: Vec<Entry>,
    /// Without paging.
    count: u64,
}

/// One change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BalanceEntry)]
struct Entry {
    created_at: String,
    /// `credit`, `order` or `usage`.
    kind: &'static str,
    /// The administrator's word; the order; the hour, counted since 1970.
    reference: String,
    /// Minor units; negative: it became less.
    amount: i64,
    /// What there was afterwards.
    balance: i64,
    note: String,
}

/// `GET /v3/{project_id}/x/billing/entries`
#[tracing::instrument(name = "api.x.billing.entries", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let (entries, count) = api.services.billing.entries(&access, query.page()?).await?;
    Ok(Json(Response { entries: entries.into_iter().map(Entry::from).collect(), count }))
}

impl From<BalanceEntry> for Entry {
    fn from(entry: BalanceEntry) -> Self {
        Self {
            created_at: time::format(entry.at),
            kind: entry.kind.as_str(),
            reference: entry.reference,
            amount: entry.amount.0,
            balance: entry.balance.0,
            note: entry.note,
        }
    }
}
