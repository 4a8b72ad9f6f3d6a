//! Rows of `tasks` on their way to the model and back.

use cbr_model::operation::{
    OperationDetails, OperationError, OperationLog, OperationResource, OperationStatus,
    OperationType,
};
use cbr_model::resource::ResourceKind;
use cbr_model::{BackupId, CheckpointId, PolicyId, ProjectId, TaskId, Timestamp, VaultId};

use crate::error::DbError;
use crate::row::{Row, to_json};
use crate::sql::Sql;

/// A task to be written down.
#[derive(Clone, PartialEq, Debug)]
pub struct NewTask {
    /// Its id.
    pub id: TaskId,
    /// Which code runs it.
    pub kind: String,
    /// Its first stage, as JSON.
    pub stage: String,
    /// Project of what it works on.
    pub project: ProjectId,
    /// What the API calls it; none: not shown as an operation log.
    pub operation: Option<OperationType>,
    /// Vault it belongs to.
    pub vault: Option<VaultId>,
    /// Name of that vault now.
    pub vault_name: Option<String>,
    /// What it works on.
    pub resource: Option<OperationResource>,
    /// The run it belongs to.
    pub checkpoint: Option<CheckpointId>,
    /// The policy that starts it.
    pub policy: Option<PolicyId>,
    /// The backup it makes, reads or removes.
    pub backup: Option<BackupId>,
    /// Id of the request that starts it.
    pub request_id: String,
    /// Particulars.
    pub details: OperationDetails,
    /// Of the tasks with the same key at most one is at work.
    pub exclusive_key: Option<String>,
    /// The only node that may run it; none: any.
    pub node: Option<String>,
    /// Not before this time.
    pub run_at: Timestamp,
}

impl NewTask {
    /// A task of `kind` that begins at `stage` and has nothing else said about it.
    pub fn new(id: TaskId, project: ProjectId, kind: &str, stage: String) -> Self {
        Self {
            id,
            kind: kind.to_owned(),
            stage,
            project,
            operation: None,
            vault: None,
            vault_name: None,
            resource: None,
            checkpoint: None,
            policy: None,
            backup: None,
            request_id: String::new(),
            details: OperationDetails::None,
            exclusive_key: None,
            node: None,
            run_at: Timestamp(0),
        }
    }

    pub(crate) fn insertion(
        &self,
        status: OperationStatus,
        error: Option<&OperationError>,
        now: Timestamp,
    ) -> Sql {
        Sql::new(
            "INSERT INTO tasks (id, kind, stage, project_id, operation, vault_id, vault_name,
                 resource_id, resource_name, resource_kind, checkpoint_id, policy_id, backup_id,
                 request_id, details, exclusive_key, node, run_at, status, error_code,
                 error_message, ended_at, created_at, updated_at,
                 progress, cancel_requested, lease_until, fencing, attempts)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                 $18, $19, $20, $21, $22, $23, $23, 0, 0, 0, 0, 0)",
        )
        .bind(self.id)
        .bind(&self.kind)
        .bind(&self.stage)
        .bind(self.project)
        .bind(self.operation.map(OperationType::as_str))
        .bind(self.vault)
        .bind(self.vault_name.as_ref())
        .bind(self.resource.as_ref().map(|resource| resource.id))
        .bind(self.resource.as_ref().map(|resource| &resource.name))
        .bind(self.resource.as_ref().map(|resource| resource.kind.as_str()))
        .bind(self.checkpoint)
        .bind(self.policy)
        .bind(self.backup)
        .bind(&self.request_id)
        .bind(to_json(&self.details))
        .bind(self.exclusive_key.as_ref())
        .bind(self.node.as_ref())
        .bind(self.run_at)
        .bind(status.as_str())
        .bind(error.map(|error| &error.code))
        .bind(error.map(|error| &error.message))
        .bind(status.is_final().then_some(now))
        .bind(now)
    }
}

/// A task that this process may work on until its lease ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimedTask {
    /// Its id.
    pub id: TaskId,
    /// Which code runs it.
    pub kind: String,
    /// Where it stands, as JSON.
    pub stage: String,
    /// Its project.
    pub project: ProjectId,
    /// Number of this claim. Every save names it.
    pub fencing: i64,
    /// Claims since the stage last changed, this one included.
    pub attempts: u32,
    /// How far it is, in per cent.
    pub progress: u8,
    /// Whether somebody wants it to stop.
    pub cancel_requested: bool,
    /// When it was claimed for the first time.
    pub started_at: Timestamp,
}

/// A task as it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct TaskRecord {
    /// Its id.
    pub id: TaskId,
    /// Which code runs it.
    pub kind: String,
    /// Where it stands, as JSON.
    pub stage: String,
    /// Its project.
    pub project: ProjectId,
    /// What the API calls it.
    pub operation: Option<OperationType>,
    /// How far it is.
    pub status: OperationStatus,
    /// 0 to 100; never runs backwards.
    pub progress: u8,
    /// Vault it belongs to.
    pub vault: Option<VaultId>,
    /// Name of that vault when the task was made.
    pub vault_name: Option<String>,
    /// What it works on.
    pub resource: Option<OperationResource>,
    /// The run it belongs to.
    pub checkpoint: Option<CheckpointId>,
    /// The policy that started it.
    pub policy: Option<PolicyId>,
    /// The backup it makes, reads or removes.
    pub backup: Option<BackupId>,
    /// Id of the request that started it.
    pub request_id: String,
    /// Error of a failed or skipped task.
    pub error: Option<OperationError>,
    /// Particulars.
    pub details: OperationDetails,
    /// Whether somebody wants it to stop.
    pub cancel_requested: bool,
    /// Claims so far.
    pub fencing: i64,
    /// Claims since the stage last changed.
    pub attempts: u32,
    /// Not before this time.
    pub run_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its first step began.
    pub started_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl TaskRecord {
    /// What the API shows of it; none if it is not shown.
    pub fn into_operation_log(self) -> Option<OperationLog> {
        Some(OperationLog {
            operation: self.operation?,
            id: self.id,
            project: self.project,
            status: self.status,
            progress: self.progress,
            vault: self.vault,
            vault_name: self.vault_name,
            resource: self.resource,
            checkpoint: self.checkpoint,
            policy: self.policy,
            request_id: self.request_id,
            error: self.error,
            details: self.details,
            created_at: self.created_at,
            started_at: self.started_at,
            updated_at: self.updated_at,
            ended_at: self.ended_at,
        })
    }
}

/// A row of `tasks`.
pub(crate) fn task_record(row: &Row) -> Result<TaskRecord, DbError> {
    let operation =
        row.text_opt("operation")?.map(|_| row.word("operation", OperationType::from_str_exact));
    Ok(TaskRecord {
        id: row.id("id")?,
        kind: row.text("kind")?,
        stage: row.text("stage")?,
        project: row.id("project_id")?,
        operation: operation.transpose()?,
        status: row.word("status", OperationStatus::from_str_exact)?,
        progress: row.small("progress")?,
        vault: row.id_opt("vault_id")?,
        vault_name: row.text_opt("vault_name")?,
        resource: resource(row)?,
        checkpoint: row.id_opt("checkpoint_id")?,
        policy: row.id_opt("policy_id")?,
        backup: row.id_opt("backup_id")?,
        request_id: row.text("request_id")?,
        error: error(row)?,
        details: row.json("details")?,
        cancel_requested: row.flag("cancel_requested")?,
        fencing: row.int("fencing")?,
        attempts: row.small("attempts")?,
        run_at: row.time("run_at")?,
        created_at: row.time("created_at")?,
        started_at: row.time_opt("started_at")?,
        updated_at: row.time("updated_at")?,
        ended_at: row.time_opt("ended_at")?,
    })
}

fn resource(row: &Row) -> Result<Option<OperationResource>, DbError> {
    let Some(id) = row.id_opt("resource_id")? else { return Ok(None) };
    let kind = row.word("resource_kind", ResourceKind::from_str_exact)?;
    Ok(Some(OperationResource { id, name: row.text("resource_name")?, kind }))
}

fn error(row: &Row) -> Result<Option<OperationError>, DbError> {
    let Some(code) = row.text_opt("error_code")? else { return Ok(None) };
    Ok(Some(OperationError { code, message: row.text("error_message")? }))
}
