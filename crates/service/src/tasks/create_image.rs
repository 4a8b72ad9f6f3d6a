//! Makes an image of a server's backup, once that is complete (IMG-01, IMG-12).
//!
//! ```text
//!   Wait ──▶ Done{success}
//!     └────▶ Done{failed}      the backup came to nothing, and the image goes
//! ```
//! The image is there from the start and holds its backup; nothing is copied.

use std::time::Duration;

use async_trait::async_trait;
use cbr_db::{DbError, NewTask, Tx};
use cbr_model::backup::{Backup, BackupState};
use cbr_model::image::Image;
use cbr_model::operation::{OperationResource, OperationType};
use cbr_model::vault::Vault;
use cbr_model::{BackupId, ImageId, ProjectId};
use cbr_task::{Failure, Outcome, StepError, Task, TaskContext};
use serde::{Deserialize, Serialize};

use super::order;
use super::trouble::Trouble;
use crate::Access;
use crate::core::Core;
use crate::failure::Code;

/// The kind, for those who look at jobs.
pub(crate) const KIND: &str = CreateImage::KIND;
/// How often the backup is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// The image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) image: ImageId,
    pub(crate) name: String,
    project: ProjectId,
    backup: BackupId,
}

/// The stages of the making of an image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(crate) enum CreateImage {
    /// For the backup.
    Wait { spec: Spec },
    /// Over.
    Done { spec: Spec, outcome: Outcome },
}

/// The task that makes `image`, of a backup in `vault`.
pub(crate) fn new(
    core: &Core,
    access: &Access,
    vault: &Vault,
    backup: &Backup,
    image: &Image,
) -> NewTask {
    let spec = Spec {
        image: image.id,
        name: image.name.clone(),
        project: image.project,
        backup: backup.id,
    };
    let task =
        order::new_in_vault(core, access, vault, OperationType::Image, &CreateImage::Wait { spec });
    NewTask {
        checkpoint: Some(backup.checkpoint),
        backup: Some(backup.id),
        resource: Some(OperationResource {
            id: backup.resource,
            name: backup.resource_name.clone(),
            kind: backup.resource_kind,
        }),
        ..task
    }
}

impl CreateImage {
    /// What it is about.
    pub(crate) fn into_spec(self) -> Spec {
        let (Self::Wait { spec } | Self::Done { spec, .. }) = self;
        spec
    }
}

#[async_trait]
impl Task for CreateImage {
    const KIND: &'static str = "create_image";
    type Ctx = Core;

    async fn step(self, core: &Core, _run: &TaskContext) -> Result<Self, StepError<Self>> {
        let stage = self.clone();
        match self {
            Self::Wait { spec } => look(core, spec).await.map_err(|trouble| trouble.at(stage)),
            Self::Done { .. } => Ok(self),
        }
    }

    async fn enter(&self, _core: &Core, _run: &TaskContext, tx: &mut Tx) -> Result<(), DbError> {
        match self {
            Self::Done { spec, outcome } if *outcome != Outcome::Success => {
                tx.images().delete(spec.project, spec.image).await.map(drop)
            }
            Self::Done { spec, .. } => tx.images().note_complete(spec.image).await,
            Self::Wait { .. } => Ok(()),
        }
    }

    fn unwind(self, failure: Failure) -> Self {
        match self {
            Self::Wait { spec } => Self::Done { spec, outcome: Outcome::Failed(failure) },
            Self::Done { .. } => self,
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Done { outcome, .. } => Some(outcome.clone()),
            Self::Wait { .. } => None,
        }
    }
}

async fn look(core: &Core, spec: Spec) -> Result<CreateImage, Trouble> {
    let mut tx = core.db.read().await?;
    let backup = tx.backups().find_all(&[spec.backup]).await?.pop();
    drop(tx);
    match backup.map(|backup| backup.state) {
        Some(BackupState::Protecting) => Err(Trouble::Wait { after: EVERY }),
        Some(BackupState::Available { .. } | BackupState::Restoring { .. }) => {
            Ok(CreateImage::Done { spec, outcome: Outcome::Success })
        }
        Some(BackupState::Error { reason, .. }) => {
            let reason = format!("The backup of the server failed: {reason}");
            Err(Trouble::fail(Code::ImageFailed, reason))
        }
        Some(BackupState::Deleting { .. }) | None => {
            Err(Trouble::fail(Code::ImageFailed, "The backup was deleted meanwhile."))
        }
    }
}
