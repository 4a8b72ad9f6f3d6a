//! Changes the disks of a server that was made here, or deletes it (contract F.4).
//!
//! ```text
//!   Apply ──▶ Done                                 attaching, detaching
//!   Stop ──▶ Apply ──▶ Remove its disks ──▶ Done   deleting; disks only if that is wanted
//! ```
//! It has the server to itself, so it waits for a backup or restore of it that runs.

use async_trait::async_trait;
use cbr_db::NewTask;
use cbr_model::ResourceId;
use cbr_model::operation::OperationResource;
use cbr_model::resource::ResourceKind;
use cbr_provider::ServerStatus;
use cbr_task::{Failure, Outcome, StepError, Task, TaskContext};
use serde::{Deserialize, Serialize};

use super::create_server::server_factory;
use super::create_volume::delete_each;
use super::order;
use super::restore::target;
use super::trouble::Trouble;
use crate::Access;
use crate::core::Core;
use crate::servers::ServerView;

/// The kind, for those who look at jobs.
pub(crate) const KIND: &str = ChangeServer::KIND;

/// What is done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum What {
    /// Gives it a disk.
    Attach { volume: ResourceId },
    /// Takes a disk from it.
    Detach { volume: ResourceId },
    /// Deletes it, and these disks.
    Delete { volumes: Vec<ResourceId> },
}

/// What is done to which server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) server: ResourceId,
    pub(crate) name: String,
    pub(crate) what: What,
}

/// The stages.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(crate) enum ChangeServer {
    /// Shut it down.
    Stop { spec: Spec },
    /// Change or delete it.
    Apply { spec: Spec },
    /// Delete the disks it had.
    Remove { spec: Spec },
    /// Over.
    Done { spec: Spec, outcome: Outcome },
}

/// The task that does `what` to the server.
pub(crate) fn new(core: &Core, access: &Access, server: &ServerView, what: What) -> NewTask {
    let deletes = matches!(what, What::Delete { .. });
    let spec = Spec { server: server.id, name: server.name.clone(), what };
    let first = if deletes { ChangeServer::Stop { spec } } else { ChangeServer::Apply { spec } };
    let resource =
        OperationResource { id: server.id, name: server.name.clone(), kind: ResourceKind::Server };
    order::on_resource(core, order::new(core, access, &first), resource)
}

impl ChangeServer {
    /// What it is about.
    pub(crate) fn into_spec(self) -> Spec {
        let (Self::Stop { spec }
        | Self::Apply { spec }
        | Self::Remove { spec }
        | Self::Done { spec, .. }) = self;
        spec
    }
}

#[async_trait]
impl Task for ChangeServer {
    const KIND: &'static str = "change_server";
    type Ctx = Core;

    async fn step(self, core: &Core, _run: &TaskContext) -> Result<Self, StepError<Self>> {
        let stage = self.clone();
        let next = match self {
            Self::Stop { spec } => stop(core, spec).await,
            Self::Apply { spec } => apply(core, spec).await,
            Self::Remove { spec } => remove(core, spec).await,
            Self::Done { .. } => Ok(self),
        };
        next.map_err(|trouble| trouble.at(stage))
    }

    fn unwind(self, failure: Failure) -> Self {
        match self {
            Self::Done { .. } => self,
            other => Self::Done { spec: other.into_spec(), outcome: Outcome::Failed(failure) },
        }
    }

    fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Done { outcome, .. } => Some(outcome.clone()),
            _ => None,
        }
    }

    fn may_cancel(&self) -> bool {
        false
    }
}

/// One in fault is stopped if it can be: whether it is off, the provider finds out before it deletes it.
///
/// A disk that was taken from it since somebody wanted both gone does not go; nor does any of a server that
/// somebody else deleted meanwhile, because whose they are now is not known.
async fn stop(core: &Core, mut spec: Spec) -> Result<ChangeServer, Trouble> {
    match core.resources.provider().inventory().server(spec.server).await {
        Ok(server) => {
            match (&server.status, core.resources.provider().target()) {
                (ServerStatus::Running, _) => target(core)?.power_off(spec.server).await?,
                (ServerStatus::Fault { .. }, Some(target)) => {
                    match target.power_off(spec.server).await {
                        Err(error) if error.is_retryable() => return Err(error.into()),
                        Ok(()) | Err(_) => {}
                    }
                }
                (ServerStatus::Fault { .. }, None) | (ServerStatus::Stopped, _) => {}
            }
            if let What::Delete { volumes } = &mut spec.what {
                volumes.retain(|id| server.volumes.iter().any(|at| at.volume == *id));
            }
        }
        Err(error) if error.is_not_found() => {
            if let What::Delete { volumes } = &mut spec.what {
                volumes.clear();
            }
        }
        Err(error) => return Err(error.into()),
    }
    Ok(ChangeServer::Apply { spec })
}

async fn apply(core: &Core, spec: Spec) -> Result<ChangeServer, Trouble> {
    let servers = server_factory(core)?;
    match &spec.what {
        What::Attach { volume } => servers.attach(spec.server, *volume).await?,
        What::Detach { volume } => servers.detach(spec.server, *volume).await?,
        What::Delete { .. } => {
            servers.delete_server(spec.server).await?;
            return Ok(ChangeServer::Remove { spec });
        }
    }
    Ok(ChangeServer::Done { spec, outcome: Outcome::Success })
}

async fn remove(core: &Core, spec: Spec) -> Result<ChangeServer, Trouble> {
    if let What::Delete { volumes } = &spec.what {
        delete_each(core, volumes).await?;
    }
    Ok(ChangeServer::Done { spec, outcome: Outcome::Success })
}
