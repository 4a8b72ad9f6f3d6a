//! Jobs: how the neighbour services show their tasks (contract F.2, F.3, F.4).
//!
//! They share one path on one host, so one use case finds them all.

use std::sync::Arc;

use cbr_db::TaskRecord;
use cbr_model::operation::OperationStatus;
use cbr_model::size::Gib;
use cbr_model::{ImageId, ResourceId, TaskId, Timestamp};

use crate::core::Core;
use crate::error::db;
use crate::tasks::create_image::{self, CreateImage};
use crate::tasks::create_volume::{self, CreateVolume, Subject};
use crate::tasks::delete_volume::{self, DeleteVolume};
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
    /// Makes an image.
    CreateImage {
        /// The image.
        image: ImageId,
        /// Its name.
        name: String,
    },
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
        let work = work(&task)?.ok_or(Error::OperationNotFound(id))?;
        Ok(Job {
            id,
            status: status(task.status),
            progress: task.progress,
            work,
            began_at: task.created_at,
            ended_at: task.ended_at,
            failure: task.error.map(|error| (error.code, error.message)),
        })
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
