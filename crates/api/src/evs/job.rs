//! A job of the disk service (contract F.3).

use axum::Json;
use axum::extract::State;
use axum::routing::on;
use cbr_service::Error;
use cbr_service::volumes::{VolumeJob, VolumeJobKind, VolumeJobStatus};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorCode};
use crate::extract::{Authorised, JobInPath, PathId};
use crate::operation::{Admission, Operation, Verb, schema_of};
use crate::state::Api;
use crate::time;

pub(crate) const OPERATION: Operation = Operation {
    name: "ShowJob",
    verb: Verb::Get,
    path: "/v1/{project_id}/jobs/{job_id}",
    group: "Disks",
    summary: "Shows how far a job is.",
    admission: Admission::Project,
    action: Some("evs:volumes:get"),
    event: None,
    success: 200,
    query: &[],
    request: None,
    response: Some(schema_of::<Job>()),
    mount: |filter| on(filter, handle),
};

/// A job.
#[derive(Debug, Serialize, ToSchema)]
struct Job {
    job_id: String,
    job_type: &'static str,
    /// INIT, RUNNING, SUCCESS or FAIL.
    status: &'static str,
    begin_time: String,
    end_time: Option<String>,
    error_code: Option<String>,
    fail_reason: Option<String>,
    entities: JobEntities,
}

/// What the job works on.
#[derive(Debug, Serialize, ToSchema)]
struct JobEntities {
    volume_id: String,
    name: String,
    /// GB.
    size: u64,
    volume_type: String,
}

/// `GET /v1/{project_id}/jobs/{job_id}`
#[tracing::instrument(name = "api.jobs.show", skip_all, fields(task.id = %job))]
async fn handle(
    State(api): State<Api>,
    Authorised(access): Authorised,
    PathId(job): PathId<JobInPath>,
) -> Result<Json<Job>, ApiError> {
    let job = api.services.volumes.job(&access, job).await.map_err(|error| match error {
        Error::OperationNotFound(id) => {
            ApiError::new(ErrorCode::JobNotFound, format!("Job {id} does not exist."))
        }
        other => other.into(),
    })?;
    Ok(Json(job.into()))
}

impl From<VolumeJob> for Job {
    fn from(job: VolumeJob) -> Self {
        let (error_code, fail_reason) = job.failure.unzip();
        Self {
            job_id: job.id.to_string(),
            job_type: match job.kind {
                VolumeJobKind::Create => "createVolume",
                VolumeJobKind::Delete => "deleteVolume",
            },
            status: match job.status {
                VolumeJobStatus::Init => "INIT",
                VolumeJobStatus::Running => "RUNNING",
                VolumeJobStatus::Success => "SUCCESS",
                VolumeJobStatus::Fail => "FAIL",
            },
            begin_time: time::format_zulu(job.began_at),
            end_time: job.ended_at.map(time::format_zulu),
            error_code,
            fail_reason,
            entities: JobEntities {
                volume_id: job.volume.to_string(),
                name: job.volume_name,
                size: job.size.0,
                volume_type: job.volume_type,
            },
        }
    }
}
