//! How many disks a project has (QUO-02). The provider's room is the only limit.

use axum::Json;
use axum::extract::{Path, State};
use axum::routing::on;
use cbr_model::ProjectId;
use cbr_model::query::Page;
use cbr_service::volumes::VolumeFilter;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorCode};
use crate::extract::Authorised;
use crate::operation::{Admission, Form, Operation, Verb, parameter, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "CinderListQuotas",
    verb: Verb::Get,
    path: "/v2/{project_id}/os-quota-sets/{target_project_id}",
    group: "Disks",
    summary: "Shows how many disks the project has, and of what size; there is no limit.",
    admission: Admission::Project,
    action: Some("evs:quotas:get"),
    event: None,
    success: 200,
    query: &[parameter("usage", Form::Text, "What is used is always told.")],
    request: None,
    response: Some(schema_of::<Response>()),
    mount: |filter| on(filter, handle),
};

/// Body of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CinderListQuotasResponse)]
struct Response {
    quota_set: QuotaSet,
}

/// What is used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VolumeQuotas)]
struct QuotaSet {
    id: String,
    volumes: Quota,
    gigabytes: Quota,
}

/// A limit.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VolumeQuota)]
struct Quota {
    in_use: u64,
    /// -1: none.
    limit: i64,
    reserved: u64,
}

/// `GET /v2/{project_id}/os-quota-sets/{target_project_id}`
#[tracing::instrument(name = "api.volumes.quotas", skip_all)]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    Path((_, target)): Path<(String, String)>,
) -> Result<Json<Response>, ApiError> {
    if target.parse::<ProjectId>().ok() != Some(access.project()) {
        let message = format!("Project {target} is not the one of the path.");
        return Err(ApiError::new(ErrorCode::ProjectNotFound, message));
    }
    let all = VolumeFilter::default();
    let page = Page { limit: u32::MAX, ..Page::default() };
    let found = api.services.volumes.list(&access, &all, page).await?;
    let gigabytes = found.rows.iter().map(|volume| volume.size.0).sum();
    let quota = |in_use| Quota { in_use, limit: -1, reserved: 0 };
    let quota_set = QuotaSet {
        id: access.project().to_string(),
        volumes: quota(found.total),
        gigabytes: quota(gigabytes),
    };
    Ok(Json(Response { quota_set }))
}
