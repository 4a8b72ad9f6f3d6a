//! Jobs: how the neighbour services show their tasks (contract F.2, F.3, F.4).
//!
//! They share one path on one host, so one use case finds them all.

use std::sync::Arc;

use cbr_db::{NewTask, TaskRecord};
use cbr_model::operation::OperationStatus;
use cbr_model::size::Gib;
use cbr_model::{ImageId, ResourceId, TaskId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::core::Core;
use crate::error::db;
use crate::servers::PowerAction;
use crate::tasks::change_server::{self, ChangeServer, What};
use crate::tasks::create_image::{self, CreateImage};
use crate::tasks::create_server::{self, CreateServer};
use crate::tasks::create_volume::{self, CreateVolume, Subject};
use crate::tasks::delete_volume::{self, DeleteVolume};
use crate::tasks::power::{self, PowerTask};
use crate::{Access, Error, Result};

/// Use cases of jobs.
#[derive(Debug)]
pub struct Jobs {
    core: Arc<Core>,
}

/// A job of a neighbour service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Job {
    /// Its id.
    pub id: TaskId,
    /// How far it is.
    pub status: JobStatus,
    /// 0 to 100.
    pub progress: u8,
    /// What it does.
    pub work: JobWork,
    /// When it was asked for.
    pub began_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Contract code and reason of a failure.
    pub failure: Option<(String, String)>,
}

/// How far a job is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum JobStatus {
    /// Not started.
    Init,
    /// At work.
    Running,
    /// Done.
    Success,
    /// Ended without its result.
    Fail,
}

/// What a job does, and to what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JobWork {
    /// Makes a disk.
    CreateVolume(JobVolume),
    /// Deletes a disk.
    DeleteVolume(JobVolume),
    /// Starts, stops or restarts a server.
    Power {
        /// What is done.
        action: PowerAction,
        /// The server.
        server: ResourceId,
        /// Its name.
        name: String,
    },
    /// Makes a server.
    CreateServer {
        /// The id it has or will have.
        server: ResourceId,
        /// Its name.
        name: String,
    },
    /// Changes a server or deletes it.
    ChangeServer {
        /// What is done.
        change: ServerChange,
        /// The server.
        server: ResourceId,
        /// Its name.
        name: String,
    },
    /// Several of these, each a job of its own.
    Several(Vec<Job>),
    /// Makes an image.
    CreateImage {
        /// The image.
        image: ImageId,
        /// Its name.
        name: String,
    },
}

/// What is done to a server.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ServerChange {
    /// It gets this disk.
    Attach(ResourceId),
    /// This disk is taken from it.
    Detach(ResourceId),
    /// It is deleted.
    Delete,
}

/// The disk of a job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobVolume {
    /// Its id.
    pub id: ResourceId,
    /// Its name.
    pub name: String,
    /// Its size.
    pub size: Gib,
    /// Its type: the pool.
    pub volume_type: String,
}

impl Jobs {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// One job.
    pub async fn show(&self, access: &Access, id: TaskId) -> Result<Job> {
        let doing = "reading a job";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let task = tx.operations().find(access.project(), id).await.map_err(db(doing))?;
        let task = task.ok_or(Error::OperationNotFound(id))?;
        if task.kind != GROUP {
            return job(task);
        }
        let mut jobs = Vec::new();
        for id in stage::<Group>(&task)?.jobs {
            let task = tx.operations().find(access.project(), id).await.map_err(db(doing))?;
            jobs.push(job(task.ok_or(Error::OperationNotFound(id))?)?);
        }
        Ok(together(&task, jobs))
    }
}

/// The record that several tasks are one job.
#[derive(Debug, Serialize, Deserialize)]
struct Group {
    jobs: Vec<TaskId>,
}

/// Its kind. No engine runs it.
const GROUP: &str = "job_group";

/// The record that these tasks are one job; `tasks().insert_done` writes it.
pub(crate) fn group(core: &Core, access: &Access, jobs: &[TaskId]) -> NewTask {
    let id = TaskId::random(&*core.random);
    let stage = serde_json::to_string(&Group { jobs: jobs.to_vec() });
    let stage = stage.expect("a list of ids is JSON");
    let request_id = access.request_id().to_owned();
    NewTask { request_id, ..NewTask::new(id, access.project(), GROUP, stage) }
}

fn job(task: TaskRecord) -> Result<Job> {
    let work = work(&task)?.ok_or(Error::OperationNotFound(task.id))?;
    Ok(Job {
        id: task.id,
        status: status(task.status),
        progress: task.progress,
        work,
        began_at: task.created_at,
        ended_at: task.ended_at,
        failure: task.error.map(|error| (error.code, error.message)),
    })
}

/// Over when all are over; failed when one failed.
fn together(group: &TaskRecord, jobs: Vec<Job>) -> Job {
    let is_over = |job: &Job| matches!(job.status, JobStatus::Success | JobStatus::Fail);
    let failed = jobs.iter().find(|job| job.status == JobStatus::Fail);
    let status = if !jobs.iter().all(is_over) {
        let is_begun = jobs.iter().any(|job| job.status != JobStatus::Init);
        if is_begun { JobStatus::Running } else { JobStatus::Init }
    } else if failed.is_some() {
        JobStatus::Fail
    } else {
        JobStatus::Success
    };
    let ended: Option<Vec<Timestamp>> = jobs.iter().map(|job| job.ended_at).collect();
    Job {
        id: group.id,
        status,
        progress: jobs.iter().map(|job| job.progress).min().unwrap_or(100),
        began_at: group.created_at,
        ended_at: ended.and_then(|ends| ends.into_iter().max()),
        failure: failed.and_then(|job| job.failure.clone()),
        work: JobWork::Several(jobs),
    }
}

/// None: the task is nobody's job.
fn work(task: &TaskRecord) -> Result<Option<JobWork>> {
    Ok(Some(match task.kind.as_str() {
        create_volume::KIND => {
            JobWork::CreateVolume(stage::<CreateVolume>(task)?.into_subject().into())
        }
        delete_volume::KIND => {
            JobWork::DeleteVolume(stage::<DeleteVolume>(task)?.into_subject().into())
        }
        create_image::KIND => {
            let spec = stage::<CreateImage>(task)?.into_spec();
            JobWork::CreateImage { image: spec.image, name: spec.name }
        }
        create_server::KIND => {
            let spec = stage::<CreateServer>(task)?.into_spec();
            JobWork::CreateServer { server: spec.id, name: spec.name }
        }
        change_server::KIND => {
            let spec = stage::<ChangeServer>(task)?.into_spec();
            let change = match spec.what {
                What::Attach { volume } => ServerChange::Attach(volume),
                What::Detach { volume } => ServerChange::Detach(volume),
                What::Delete { .. } => ServerChange::Delete,
            };
            JobWork::ChangeServer { change, server: spec.server, name: spec.name }
        }
        power::KIND => {
            let spec = stage::<PowerTask>(task)?.into_spec();
            JobWork::Power { action: spec.action, server: spec.server, name: spec.name }
        }
        _ => return Ok(None),
    }))
}

impl From<Subject> for JobVolume {
    fn from(subject: Subject) -> Self {
        let Subject { id, name, size, pool } = subject;
        Self { id, name, size, volume_type: pool }
    }
}

const fn status(status: OperationStatus) -> JobStatus {
    match status {
        OperationStatus::Waiting => JobStatus::Init,
        OperationStatus::Running => JobStatus::Running,
        OperationStatus::Success => JobStatus::Success,
        OperationStatus::Failed | OperationStatus::Timeout | OperationStatus::Skipped => {
            JobStatus::Fail
        }
    }
}

/// Where a task stands.
pub(crate) fn stage<T: serde::de::DeserializeOwned>(task: &TaskRecord) -> Result<T> {
    serde_json::from_str(&task.stage).map_err(Error::internal("reading the stage of a job"))
}
