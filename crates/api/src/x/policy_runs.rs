//! What became of the occurrences of policies (extension; POL-12, TSK-08, P16).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::policy::run::{PolicyRun, RunState};
use cbr_model::query::PolicyRunFilter;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::query::Query;
use crate::state::Api;
use crate::time;

pub(crate) const OPERATION: Operation = Operation {
    name: "ListPolicyRuns",
    verb: Verb::Get,
    path: "/v3/{project_id}/x/policy-runs",
    group: "Extensions",
    summary: "Lists what became of each time at which a policy was due, the latest first.",
    admission: Admission::Project,
    action: Some("cbr:policies:list"),
    event: None,
    success: 200,
    query: &[
        parameter("policy_id", Form::Text, "Of this policy."),
        parameter("vault_id", Form::Text, "For this vault."),
        parameter("state", Form::Texts, "waiting, started, skipped, refused or missed."),
        parameter("start_time", Form::Time, "Due at this time or later."),
        parameter("end_time", Form::Time, "Due at this time or earlier."),
        parameter("limit", Form::Integer, "1 to 1000; default 1000."),
        parameter("offset", Form::Integer, "So many are skipped."),
        parameter("marker", Form::Text, "Only those after the one with this id."),
    ],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListPolicyRunsResponse)]
struct Response {
    policy_runs: Vec<Run>,
    /// How many match without paging.
    count: u64,
}

/// A time at which a policy was due for a vault.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyRun)]
struct Run {
    id: String,
    policy_id: String,
    policy_name: String,
    vault_id: String,
    vault_name: String,
    /// When it was due; unique for a policy and a vault.
    scheduled_at: String,
    /// `started`; `skipped`: every resource was left out; `refused`: the policy or the vault forbids it;
    /// `missed`: nobody was there to start it in time; `waiting`: it could not be started and is tried
    /// again.
    state: &'static str,
    /// One word for why it was not started, or `none`; see docs/operations/schedules.md.
    reason: &'static str,
    /// The same for people.
    message: String,
    /// The run over the vault.
    checkpoint_id: Option<String>,
    /// How many backups were started.
    started_count: u32,
    /// How many resources were left out; their operation logs say why.
    skipped_count: u32,
    /// How many of the backups are full ones by the policy's interval.
    full_count: u32,
    decided_at: String,
}

impl From<PolicyRun> for Run {
    fn from(run: PolicyRun) -> Self {
        Self {
            id: run.id().to_string(),
            policy_id: run.policy.to_string(),
            policy_name: run.policy_name,
            vault_id: run.vault.to_string(),
            vault_name: run.vault_name,
            scheduled_at: time::format(run.occurrence),
            state: run.state.as_str(),
            reason: run.reason.as_str(),
            message: run.message,
            checkpoint_id: run.checkpoint.map(|id| id.to_string()),
            started_count: run.started,
            skipped_count: run.skipped,
            full_count: run.full,
            decided_at: time::format(run.decided_at),
        }
    }
}

/// `GET /v3/{project_id}/x/policy-runs`
#[tracing::instrument(name = "api.x.policy_runs", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    query: Query,
) -> Result<Json<Response>, ApiError> {
    let filter = PolicyRunFilter {
        policy: query.value("policy_id")?,
        vault: query.value("vault_id")?,
        states: query.words("state", RunState::from_str_exact)?,
        from: query.time("start_time")?,
        until: query.time("end_time")?,
    };
    let runs = api.services.schedules.runs(&access, &filter, query.page()?).await?;
    let policy_runs = runs.rows.into_iter().map(Run::from).collect();
    Ok(Json(Response { policy_runs, count: runs.total }))
}
