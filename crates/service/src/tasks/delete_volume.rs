//! Deletes a disk.

use async_trait::async_trait;
use cbr_db::{DbError, NewTask, Tx};
use cbr_model::ResourceId;
use cbr_model::operation::OperationResource;
use cbr_model::resource::ResourceKind;
use cbr_task::{Failure, Outcome, StepError, Task, TaskContext};
use serde::{Deserialize, Serialize};

use super::create_volume::{Subject, factory};
use super::order;
use super::trouble::Trouble;
use crate::Access;
use crate::core::Core;
use crate::volumes::VolumeView;

/// The kind, for those who look at jobs.
pub(crate) const KIND: &str = DeleteVolume::KIND;

/// The stages of the deletion of a disk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(crate) enum DeleteVolume {
    /// Remove it.
    Remove { subject: Subject },
    /// Over.
    Done { subject: Subject, outcome: Outcome },
}

/// What no other task may work on meanwhile.
pub(crate) fn key(volume: ResourceId) -> String {
    order::resource_key(volume)
}

/// The task that deletes the disk.
pub(crate) fn new(core: &Core, access: &Access, volume: &VolumeView) -> NewTask {
    let subject = Subject {
        id: volume.id,
        name: volume.name.clone(),
        size: volume.size,
        pool: volume.volume_type.clone(),
    };
    let resource =
        OperationResource { id: volume.id, name: volume.name.clone(), kind: ResourceKind::Volume };
    let task = order::new(core, access, &DeleteVolume::Remove { subject });
    order::on_resource(core, task, resource)
}

impl DeleteVolume {
    /// What it is about.
    pub(crate) fn into_subject(self) -> Subject {
        let (Self::Remove { subject } | Self::Done { subject, .. }) = self;
        subject
    }
}

#[async_trait]
impl Task for DeleteVolume {
    const KIND: &'static str = "delete_volume";
    type Ctx = Core;

    async fn step(self, core: &Core, _run: &TaskContext) -> Result<Self, StepError<Self>> {
        match self {
            Self::Remove { subject } => match remove(core, subject.id).await {
                Ok(()) => Ok(Self::Done { subject, outcome: Outcome::Success }),
                Err(trouble) => Err(trouble.at(Self::Remove { subject })),
            },
            Self::Done { .. } => Ok(self),
        }
    }

    async fn enter(&self, _core: &Core, _run: &TaskContext, tx: &mut Tx) -> Result<(), DbError> {
        match self {
            Self::Done { subject, outcome: Outcome::Success } => {
                tx.disk_owners().delete(subject.id).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    fn unwind(self, failure: Failure) -> Self {
        match self {
            Self::Remove { subject } => Self::Done { subject, outcome: Outcome::Failed(failure) },
            Self::Done { .. } => self,
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Done { outcome, .. } => Some(outcome.clone()),
            Self::Remove { .. } => None,
        }
    }

    fn may_cancel(&self) -> bool {
        false
    }
}

async fn remove(core: &Core, volume: ResourceId) -> Result<(), Trouble> {
    factory(core)?.delete_volume(volume).await.map_err(Trouble::from)
}
