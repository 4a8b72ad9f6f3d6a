//! The policy that a project can have without describing it (extension; POL-04).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_model::audit::Event;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::extract::{Authorised, JsonBody};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;
use crate::v3::policies::wire::Policy;

pub(crate) const OPERATION: Operation = Operation {
    name: "EnsureDefaultPolicy",
    verb: Verb::Post,
    path: "/v3/{project_id}/x/default-policy",
    group: "Extensions",
    summary: "The project's default policy, which is made unless it is there: every day at 22:00, kept for 30 days.",
    admission: Admission::Project,
    action: Some("cbr:policies:create"),
    event: Some(Event::new("createPolicy", "policy")),
    success: 200,
    query: &[],
    request: Some(schema_of::<Request>()),
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = EnsureDefaultPolicyRequest)]
struct Request {
    /// Where it is 22:00, of the tz database; default UTC. Of a policy that is there already it changes
    /// nothing.
    #[serde(rename = "x-time-zone")]
    time_zone: Option<String>,
}

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EnsureDefaultPolicyResponse)]
struct Response {
    policy: Policy,
}

/// `POST /v3/{project_id}/x/default-policy`
#[tracing::instrument(name = "api.policies.default", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Response>, ApiError> {
    let policy = api.services.policies.standard(&access, request.time_zone).await?.into();
    Ok(Json(Response { policy }))
}
