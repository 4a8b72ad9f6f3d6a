//! Rows of `backups` on their way to the model and back.

use std::collections::HashMap;

use cbr_model::BackupId;
use cbr_model::backup::{AppConsistency, Backup, BackupState, Content};
use cbr_model::resource::ResourceKind;
use cbr_model::size::Bytes;

use crate::error::DbError;
use crate::row::{Row, to_json};
use crate::sql::Sql;
use crate::tx::Tx;

/// What a backup is made of, of a row `t`: all but what other columns are for, and the description of its
/// resource, which may be long and is asked for alone.
pub(crate) const SELECT: &str =
    "SELECT t.id, t.project_id, t.vault_id, t.checkpoint_id, t.parent_id,
    t.name, t.description, t.resource_id, t.resource_name, t.resource_kind, t.resource_size_gib,
    t.resource_az, t.status, t.content, t.error, t.incremental, t.auto_trigger, t.system_disk,
    t.encrypted, t.app_consistent, t.app_consistency_code, t.app_consistency_message,
    t.created_at, t.updated_at, t.protected_at, t.expired_at ";

/// The backups of these rows, with their disks.
pub(crate) async fn load(tx: &mut Tx, rows: &[Row]) -> Result<Vec<Backup>, DbError> {
    let mut backups = rows.iter().map(backup).collect::<Result<Vec<_>, _>>()?;
    // A disk's content is all there is; of anything else there may be parts.
    let is_disk = |backup: &Backup| matches!(backup.state.content(), Some(Content::Disk(_)));
    let wholes: Vec<BackupId> =
        backups.iter().filter(|backup| !is_disk(backup)).map(|backup| backup.id).collect();
    if wholes.is_empty() {
        return Ok(backups);
    }
    let mut sql = Sql::new(SELECT);
    sql.text("FROM backups t WHERE 1 = 1").and_one_of("t.parent_id", wholes);
    sql.text(" ORDER BY t.parent_id, t.position");
    let mut children: HashMap<BackupId, Vec<Backup>> = HashMap::new();
    for row in tx.rows("backups.children", "backups", sql).await? {
        children.entry(row.id("parent_id")?).or_default().push(backup(&row)?);
    }
    for backup in &mut backups {
        backup.children = children.remove(&backup.id).unwrap_or_default();
    }
    Ok(backups)
}

fn backup(row: &Row) -> Result<Backup, DbError> {
    backup_in(row, state(row)?)
}

/// The backup of a row, without children, in this state.
pub(crate) fn backup_in(row: &Row, state: BackupState) -> Result<Backup, DbError> {
    Ok(Backup {
        id: row.id("id")?,
        project: row.id("project_id")?,
        vault: row.id("vault_id")?,
        checkpoint: row.id("checkpoint_id")?,
        parent: row.id_opt("parent_id")?,
        name: row.text("name")?.try_into().map_err(|error| row.inconsistent("name", error))?,
        description: row.text("description")?,
        resource: row.id("resource_id")?,
        resource_name: row.text("resource_name")?,
        resource_kind: row.word("resource_kind", ResourceKind::from_str_exact)?,
        resource_size: row.gib("resource_size_gib")?,
        resource_az: row.text("resource_az")?,
        state,
        incremental: row.flag("incremental")?,
        auto_trigger: row.flag("auto_trigger")?,
        system_disk: row.flag("system_disk")?,
        encrypted: row.flag("encrypted")?,
        app_consistency: app_consistency(row)?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        protected_at: row.time_opt("protected_at")?,
        expired_at: row.time_opt("expired_at")?,
        children: Vec::new(),
    })
}

fn app_consistency(row: &Row) -> Result<Option<AppConsistency>, DbError> {
    match row.int_opt("app_consistent")? {
        None => Ok(None),
        Some(1) => Ok(Some(AppConsistency::Reached)),
        Some(_) => Ok(Some(AppConsistency::FellBack {
            code: row.text("app_consistency_code")?,
            message: row.text("app_consistency_message")?,
        })),
    }
}

fn state(row: &Row) -> Result<BackupState, DbError> {
    let content: Option<Content> = row.json_opt("content")?;
    let needed = |content: Option<Content>| {
        content.ok_or_else(|| row.inconsistent("content", "absent in this status"))
    };
    match row.text("status")?.as_str() {
        "protecting" => Ok(BackupState::Protecting),
        "available" => Ok(BackupState::Available { content: needed(content)? }),
        "restoring" => Ok(BackupState::Restoring { content: needed(content)? }),
        "deleting" => Ok(BackupState::Deleting { content }),
        "error" => Ok(BackupState::Error { reason: row.text("error")?, content }),
        other => Err(row.inconsistent("status", format!("unknown word `{other}`"))),
    }
}

/// The columns a state is stored in.
pub(crate) struct StateColumns {
    pub(crate) status: &'static str,
    pub(crate) content: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) logical_bytes: Bytes,
}

impl From<&BackupState> for StateColumns {
    fn from(state: &BackupState) -> Self {
        let error = match state {
            BackupState::Error { reason, .. } => Some(reason.clone()),
            _ => None,
        };
        let logical_bytes = match state.content() {
            Some(Content::Disk(stored)) => stored.logical_bytes,
            Some(Content::Server) | None => Bytes(0),
        };
        let content = state.content().map(to_json);
        Self { status: state.as_str(), content, error, logical_bytes }
    }
}

/// The columns in which it is stored what came of the wish for a database backup.
#[derive(Default)]
pub(crate) struct ConsistencyColumns {
    pub(crate) is_reached: Option<bool>,
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
}

impl From<Option<&AppConsistency>> for ConsistencyColumns {
    fn from(what: Option<&AppConsistency>) -> Self {
        match what {
            None => Self::default(),
            Some(AppConsistency::Reached) => Self { is_reached: Some(true), ..Self::default() },
            Some(AppConsistency::FellBack { code, message }) => Self {
                is_reached: Some(false),
                code: Some(code.clone()),
                message: Some(message.clone()),
            },
        }
    }
}
