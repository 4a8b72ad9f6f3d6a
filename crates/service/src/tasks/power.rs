//! Starts, stops or restarts one server (contract F.4).
//!
//! ```text
//!   Stop ──▶ Start ──▶ Done      a restart; the others begin or end earlier
//! ```
//! It has the server to itself, so it waits for a backup or restore of it that runs: a server is never
//! started while its disks are being written.

use async_trait::async_trait;
use cbr_db::NewTask;
use cbr_model::ResourceId;
use cbr_model::operation::OperationResource;
use cbr_model::resource::ResourceKind;
use cbr_task::{Failure, Outcome, StepError, Task, TaskContext};
use serde::{Deserialize, Serialize};

use super::order;
use super::restore::target;
use super::trouble::Trouble;
use crate::Access;
use crate::core::Core;
use crate::servers::{PowerAction, ServerView};

/// The kind, for those who look at jobs.
pub(crate) const KIND: &str = PowerTask::KIND;

/// What is done to which server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) server: ResourceId,
    pub(crate) name: String,
    pub(crate) action: PowerAction,
}

/// The stages.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(crate) enum PowerTask {
    /// Shut it down.
    Stop { spec: Spec },
    /// Start it.
    Start { spec: Spec },
    /// Over.
    Done { spec: Spec, outcome: Outcome },
}

/// The task that does `action` to the server.
pub(crate) fn new(
    core: &Core,
    access: &Access,
    server: &ServerView,
    action: PowerAction,
) -> NewTask {
    let spec = Spec { server: server.id, name: server.name.clone(), action };
    let first = match action {
        PowerAction::Start => PowerTask::Start { spec },
        PowerAction::Stop | PowerAction::Reboot => PowerTask::Stop { spec },
    };
    let resource =
        OperationResource { id: server.id, name: server.name.clone(), kind: ResourceKind::Server };
    order::on_resource(core, order::new(core, access, &first), resource)
}

impl PowerTask {
    /// What it is about.
    pub(crate) fn into_spec(self) -> Spec {
        let (Self::Stop { spec } | Self::Start { spec } | Self::Done { spec, .. }) = self;
        spec
    }
}

#[async_trait]
impl Task for PowerTask {
    const KIND: &'static str = "server_power";
    type Ctx = Core;

    async fn step(self, core: &Core, _run: &TaskContext) -> Result<Self, StepError<Self>> {
        let stage = self.clone();
        match self {
            Self::Stop { spec } => stop(core, spec).await.map_err(|trouble| trouble.at(stage)),
            Self::Start { spec } => start(core, spec).await.map_err(|trouble| trouble.at(stage)),
            Self::Done { .. } => Ok(self),
        }
    }

    fn unwind(self, failure: Failure) -> Self {
        let outcome = Outcome::Failed(failure);
        match self {
            Self::Stop { spec } | Self::Start { spec } => Self::Done { spec, outcome },
            Self::Done { .. } => self,
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Done { outcome, .. } => Some(outcome.clone()),
            Self::Stop { .. } | Self::Start { .. } => None,
        }
    }
}

async fn stop(core: &Core, spec: Spec) -> Result<PowerTask, Trouble> {
    target(core)?.power_off(spec.server).await?;
    Ok(match spec.action {
        PowerAction::Reboot => PowerTask::Start { spec },
        PowerAction::Start | PowerAction::Stop => {
            PowerTask::Done { spec, outcome: Outcome::Success }
        }
    })
}

async fn start(core: &Core, spec: Spec) -> Result<PowerTask, Trouble> {
    target(core)?.power_on(spec.server).await?;
    Ok(PowerTask::Done { spec, outcome: Outcome::Success })
}
