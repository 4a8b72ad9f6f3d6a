//! A job on the wire.

use cbr_model::ResourceId;
use cbr_service::Error;
use cbr_service::jobs::{self, JobStatus, JobVolume, JobWork, ServerChange};
use cbr_service::servers::PowerAction;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorCode};
use crate::time;

/// A job.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Job {
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

/// What the job works on; what does not concern its kind is absent.
#[derive(Debug, Default, Serialize, ToSchema)]
struct JobEntities {
    #[serde(skip_serializing_if = "Option::is_none")]
    volume_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// GB.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    volume_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process_percent: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_jobs_total: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    sub_jobs: Option<Vec<Job>>,
}

impl From<jobs::Job> for Job {
    fn from(job: jobs::Job) -> Self {
        // Clients look for a server that was made in the part of the job that made it.
        let single = matches!(job.work, JobWork::CreateServer { .. }).then(|| job.clone());
        let mut job = Self::alone(job);
        if let Some(single) = single {
            job.entities.sub_jobs_total = Some(1);
            let single = Self { job_type: "createSingleServer", ..Self::alone(single) };
            job.entities.sub_jobs = Some(vec![single]);
        }
        job
    }
}

impl Job {
    fn alone(job: jobs::Job) -> Self {
        let (error_code, fail_reason) = job.failure.unzip();
        let (job_type, entities) = entities(job.work, job.progress);
        Self {
            job_id: job.id.to_string(),
            job_type,
            status: match job.status {
                JobStatus::Init => "INIT",
                JobStatus::Running => "RUNNING",
                JobStatus::Success => "SUCCESS",
                JobStatus::Fail => "FAIL",
            },
            begin_time: time::format_zulu(job.began_at),
            end_time: job.ended_at.map(time::format_zulu),
            error_code,
            fail_reason,
            entities,
        }
    }
}

fn entities(work: JobWork, progress: u8) -> (&'static str, JobEntities) {
    match work {
        JobWork::CreateVolume(volume) => ("createVolume", JobEntities::of_volume(volume)),
        JobWork::DeleteVolume(volume) => ("deleteVolume", JobEntities::of_volume(volume)),
        JobWork::Power { action, server, name } => (
            match action {
                PowerAction::Start => "startServer",
                PowerAction::Stop => "stopServer",
                PowerAction::Reboot => "rebootServer",
            },
            JobEntities::of_server(server, name),
        ),
        JobWork::CreateServer { server, name } => {
            ("createServer", JobEntities::of_server(server, name))
        }
        JobWork::ChangeServer { change, server, name } => {
            let (job_type, volume) = match change {
                ServerChange::Attach(volume) => ("attachVolume", Some(volume)),
                ServerChange::Detach(volume) => ("detachVolume", Some(volume)),
                ServerChange::Delete => ("deleteServer", None),
            };
            let volume_id = volume.map(|id| id.to_string());
            (job_type, JobEntities { volume_id, ..JobEntities::of_server(server, name) })
        }
        JobWork::Several(jobs) => (
            "actOnServers",
            JobEntities {
                sub_jobs_total: Some(jobs.len()),
                sub_jobs: Some(jobs.into_iter().map(Job::from).collect()),
                ..JobEntities::default()
            },
        ),
        JobWork::CreateImage { image, name } => (
            "imsCreateWholeImage",
            JobEntities {
                image_id: Some(image.to_string()),
                image_name: Some(name),
                process_percent: Some(progress),
                ..JobEntities::default()
            },
        ),
    }
}

impl JobEntities {
    fn of_server(server: ResourceId, name: String) -> Self {
        Self { server_id: Some(server.to_string()), name: Some(name), ..Self::default() }
    }

    fn of_volume(volume: JobVolume) -> Self {
        Self {
            volume_id: Some(volume.id.to_string()),
            name: Some(volume.name),
            size: Some(volume.size.0),
            volume_type: Some(volume.volume_type),
            ..Self::default()
        }
    }
}

/// An operation that is no job is no job that exists.
pub(super) fn not_found(error: Error) -> ApiError {
    match error {
        Error::OperationNotFound(id) => {
            ApiError::new(ErrorCode::JobNotFound, format!("Job {id} does not exist."))
        }
        other => other.into(),
    }
}
