//! A job of the image service, on that service's own path (contract F.2).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_service::Error;
use cbr_service::jobs::JobWork;

use super::wire::{Job, not_found};
use crate::error::ApiError;
use crate::extract::{Authorised, JobInPath, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowImageJob",
    verb: Verb::Get,
    path: "/v1/cloudimages/job/{job_id}",
    group: "Jobs",
    summary: "Shows how far a job of the image service is.",
    admission: Admission::OwnProject,
    action: Some("ims:images:get"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Job>()),
    mount: |filter| on(filter, handle),
};

/// `GET /v1/cloudimages/job/{job_id}`
#[tracing::instrument(name = "api.jobs.show_image", skip_all, fields(task.id = %id))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(id): PathId<JobInPath>,
) -> Result<Json<Job>, ApiError> {
    let job = api.services.jobs.show(&access, id).await.map_err(not_found)?;
    match job.work {
        JobWork::CreateImage { .. } => Ok(Json(job.into())),
        _ => Err(not_found(Error::OperationNotFound(id))),
    }
}
