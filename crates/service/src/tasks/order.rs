//! Tasks as they are enqueued: what their operation logs show, and where they may run.

use cbr_db::NewTask;
use cbr_model::backup::Backup;
use cbr_model::operation::{OperationDetails, OperationResource, OperationType};
use cbr_model::vault::Vault;
use cbr_model::{PolicyId, ProjectId, ResourceId, TaskId};
use cbr_task::Task;

use crate::Access;
use crate::core::Core;

/// For whom a task is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    /// The project of what it works on.
    pub(crate) project: ProjectId,
    /// The request that wants it; empty: nobody asked.
    pub(crate) request_id: &'a str,
    /// The policy that wants it.
    pub(crate) policy: Option<PolicyId>,
}

impl Origin<'static> {
    /// A policy, or, if there is none, what was agreed before.
    pub(crate) const fn policy(project: ProjectId, policy: Option<PolicyId>) -> Self {
        Self { project, request_id: "", policy }
    }
}

impl<'a> From<&'a Access> for Origin<'a> {
    fn from(access: &'a Access) -> Self {
        Self { project: access.project(), request_id: access.request_id(), policy: None }
    }
}

/// Of the tasks on one resource only one is at work (BAK-25, RST-27).
pub(crate) fn resource_key(resource: ResourceId) -> String {
    format!("resource:{resource}")
}

/// Of the tasks that delete backups of a resource, take them back or give them up only one is at work.
/// Not the resource's key: they need not wait for a backup that runs for hours.
pub(crate) fn erase_key(resource: ResourceId) -> String {
    format!("erase:{resource}")
}

/// A task that begins at `first`.
pub(super) fn new<'a, T: Task>(core: &Core, origin: impl Into<Origin<'a>>, first: &T) -> NewTask {
    let origin = origin.into();
    let id = TaskId::random(&*core.random);
    let task = cbr_task::new_task(id, origin.project, first)
        .expect("stages consist of texts, numbers and lists, which are JSON");
    NewTask { request_id: origin.request_id.to_owned(), policy: origin.policy, ..task }
}

/// The same, shown as an operation log of a vault.
pub(super) fn new_in_vault<'a, T: Task>(
    core: &Core,
    origin: impl Into<Origin<'a>>,
    vault: &Vault,
    operation: OperationType,
    first: &T,
) -> NewTask {
    NewTask {
        operation: Some(operation),
        vault: Some(vault.id),
        vault_name: Some(vault.name.to_string()),
        ..new(core, origin, first)
    }
}

/// The log of something that was done at once; `tasks().insert_done` writes it.
pub(crate) fn recorded(
    core: &Core,
    access: &Access,
    vault: &Vault,
    operation: OperationType,
    details: OperationDetails,
) -> NewTask {
    NewTask {
        request_id: access.request_id().to_owned(),
        ..recorded_by_itself(core, vault, operation, details)
    }
}

/// The same for what nobody asked for.
pub(crate) fn recorded_by_itself(
    core: &Core,
    vault: &Vault,
    operation: OperationType,
    details: OperationDetails,
) -> NewTask {
    let id = TaskId::random(&*core.random);
    NewTask {
        operation: Some(operation),
        vault: Some(vault.id),
        vault_name: Some(vault.name.to_string()),
        details,
        ..NewTask::new(id, vault.project, "recorded", "{}".to_owned())
    }
}

/// Works on this resource, which only this node reaches, alone.
pub(super) fn on_resource(core: &Core, task: NewTask, resource: OperationResource) -> NewTask {
    NewTask {
        exclusive_key: Some(resource_key(resource.id)),
        node: Some(core.node.clone()),
        resource: Some(resource),
        ..task
    }
}

/// Takes a backup away, brings it back or gives it up; of these only one is at work per resource.
pub(super) fn on_deleted(task: NewTask, backup: &Backup) -> NewTask {
    NewTask {
        checkpoint: Some(backup.checkpoint),
        backup: Some(backup.id),
        resource: Some(OperationResource {
            id: backup.resource,
            name: backup.resource_name.clone(),
            kind: backup.resource_kind,
        }),
        details: OperationDetails::Delete {
            backup_id: backup.id.to_string(),
            backup_name: backup.name.to_string(),
        },
        exclusive_key: Some(erase_key(backup.resource)),
        ..task
    }
}
