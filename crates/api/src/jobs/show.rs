//! A job of the disk, server or image service (contract F.2, F.3, F.4).

use axum::Json;
use axum::extract::State;
use axum::routing::on;

use super::wire::{Job, not_found};
use crate::error::ApiError;
use crate::extract::{Authorised, JobInPath, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowJob",
    verb: Verb::Get,
    path: "/v1/{project_id}/jobs/{job_id}",
    group: "Jobs",
    summary: "Shows how far a job of the disk, server or image service is.",
    admission: Admission::Project,
    action: Some("evs:volumes:get"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Job>()),
    mount: |filter| on(filter, handle),
};

/// `GET /v1/{project_id}/jobs/{job_id}`
#[tracing::instrument(name = "api.jobs.show", skip_all, fields(task.id = %job))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(job): PathId<JobInPath>,
) -> Result<Json<Job>, ApiError> {
    let job = api.services.jobs.show(&access, job).await.map_err(not_found)?;
    Ok(Json(job.into()))
}
