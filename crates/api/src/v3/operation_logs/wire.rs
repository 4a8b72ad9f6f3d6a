//! An operation log on the wire (contract C.0, C.M `OperationLog`).

use cbr_model::backup;
use cbr_model::operation::{OperationDetails, OperationLog as Log};
use serde::Serialize;
use utoipa::ToSchema;

use crate::time;
use crate::v3::app_consistency::AppConsistency;
use crate::v3::provider_id::provider_id;

/// An operation log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct OperationLog {
    id: String,
    operation_type: &'static str,
    status: &'static str,
    project_id: String,
    provider_id: Option<&'static str>,
    vault_id: Option<String>,
    vault_name: Option<String>,
    checkpoint_id: Option<String>,
    policy_id: Option<String>,
    created_at: String,
    /// Of a task that has not started: when it was made.
    started_at: String,
    updated_at: String,
    ended_at: Option<String>,
    /// Both texts are empty when nothing failed.
    error_info: ErrorInfo,
    extra_info: ExtraInfo,
}

/// Why it failed or was skipped.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, ToSchema)]
#[schema(as = OperationErrorInfo)]
struct ErrorInfo {
    code: String,
    message: String,
}

/// Particulars; what does not belong to the type of operation is absent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = OperationExtraInfo)]
struct ExtraInfo {
    common: Common,
    resource: ResourcePart,
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<MadePart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delete: Option<BackupPart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restore: Option<RestorePart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vault_delete: Option<VaultDeletePart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remove_resources: Option<RemovePart>,
    /// Ours: the contract has no word for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    migrate: Option<MigratePart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    update_expiration_time: Option<ExpirationPart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_expand: Option<ExpandPart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sync: Option<SyncPart>,
}

/// What every operation has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = OperationCommon)]
struct Common {
    /// 0 to 100.
    progress: u8,
    /// `req-` and a UUID.
    request_id: String,
    task_id: String,
}

/// What the operation works on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = OperationResource)]
struct ResourcePart {
    id: String,
    name: String,
    /// Type of resource; `vault` where the whole vault is meant.
    #[serde(rename = "type")]
    kind: &'static str,
}

/// A backup that is made. In a vault for databases it is said from its snapshot on what came of that.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = OperationBackupMade)]
struct MadePart {
    backup_id: String,
    backup_name: String,
    /// `1`: it is application consistent; `0`: it is the ordinary server backup that was made instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    app_consistency_status: Option<&'static str>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    app_consistency_error_code: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    app_consistency_error_message: Option<String>,
}

impl MadePart {
    fn of(id: &str, name: &str, what: Option<&backup::AppConsistency>) -> Self {
        let said = what.cloned().map(AppConsistency::from);
        Self {
            backup_id: id.to_owned(),
            backup_name: name.to_owned(),
            app_consistency_status: said.as_ref().map(|said| said.app_consistency_status),
            app_consistency_error_code: said
                .as_ref()
                .and_then(|said| said.app_consistency_error_code.clone()),
            app_consistency_error_message: said.and_then(|said| said.app_consistency_error_message),
        }
    }
}

/// A backup that is deleted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = OperationBackup)]
struct BackupPart {
    backup_id: String,
    backup_name: String,
}

/// A backup that is restored, and where to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = OperationRestore)]
struct RestorePart {
    backup_id: String,
    backup_name: String,
    target_resource_id: String,
    target_resource_name: String,
}

/// Counters of a vault's deletion, under both names that clients read (E.5 number 11).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = OperationVaultDelete)]
struct VaultDeletePart {
    fail_count: u64,
    total_count: u64,
    fail_delete_count: u64,
    total_delete_count: u64,
}

/// Counters of taking resources out of a vault.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = OperationRemoveResources)]
struct RemovePart {
    fail_count: u64,
    total_count: u64,
    resources: Vec<ResourcePart>,
}

/// Where a resource goes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = OperationMigrate)]
struct MigratePart {
    destination_vault_id: String,
    destination_vault_name: String,
    backups_count: u64,
}

impl MigratePart {
    fn of(id: &str, name: &str, backups_count: u64) -> Self {
        let (destination_vault_id, destination_vault_name) = (id.to_owned(), name.to_owned());
        Self { destination_vault_id, destination_vault_name, backups_count }
    }
}

/// Until when backups are kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = OperationUpdateExpirationTime)]
struct ExpirationPart {
    affected_backups_count: u64,
    /// `YYYY-MM-DD`
    expiration_day: String,
}

/// A vault that grew by itself, or could not.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = OperationAutoExpand)]
struct ExpandPart {
    /// GB
    size_before: u64,
    /// GB; as before if it could not grow.
    size: u64,
}

/// What was taken in from buckets. Nothing is deleted because it is no longer there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = OperationSync)]
struct SyncPart {
    sync_backup_num: u64,
    err_sync_backup_num: u64,
    delete_backup_num: u64,
}

impl From<Log> for OperationLog {
    fn from(log: Log) -> Self {
        let extra_info = ExtraInfo::of(&log);
        Self {
            id: log.id.to_string(),
            operation_type: log.operation.as_str(),
            status: log.status.as_str(),
            project_id: log.project.to_string(),
            provider_id: log.resource.as_ref().map(|resource| provider_id(resource.kind)),
            vault_id: log.vault.map(|id| id.to_string()),
            vault_name: log.vault_name,
            checkpoint_id: log.checkpoint.map(|id| id.to_string()),
            policy_id: log.policy.map(|id| id.to_string()),
            created_at: time::format(log.created_at),
            started_at: time::format(log.started_at.unwrap_or(log.created_at)),
            updated_at: time::format(log.updated_at),
            ended_at: log.ended_at.map(time::format),
            error_info: log
                .error
                .map(|error| ErrorInfo { code: error.code, message: error.message })
                .unwrap_or_default(),
            extra_info,
        }
    }
}

impl ExtraInfo {
    fn of(log: &Log) -> Self {
        let mut extra = Self {
            common: Common {
                progress: log.progress,
                request_id: log.request_id.clone(),
                task_id: log.id.to_string(),
            },
            resource: ResourcePart::of(log),
            backup: None,
            delete: None,
            restore: None,
            vault_delete: None,
            remove_resources: None,
            migrate: None,
            update_expiration_time: None,
            auto_expand: None,
            sync: None,
        };
        extra.tell(log);
        extra
    }

    /// What only operations of its kind have.
    fn tell(&mut self, log: &Log) {
        let extra = self;
        match &log.details {
            OperationDetails::None => {}
            // `incremental` is left out: clients disagree whether it is text or a flag (contract E.3).
            OperationDetails::Backup { backup_id, backup_name, app_consistency, .. } => {
                let made = MadePart::of(backup_id, backup_name, app_consistency.as_ref());
                extra.backup = Some(made);
            }
            OperationDetails::Delete { backup_id, backup_name } => {
                let (backup_id, backup_name) = (backup_id.clone(), backup_name.clone());
                extra.delete = Some(BackupPart { backup_id, backup_name });
            }
            OperationDetails::Restore {
                backup_id,
                backup_name,
                target_resource_id,
                target_resource_name,
            } => {
                extra.restore = Some(RestorePart {
                    backup_id: backup_id.clone(),
                    backup_name: backup_name.clone(),
                    target_resource_id: target_resource_id.clone(),
                    target_resource_name: target_resource_name.clone(),
                });
            }
            OperationDetails::VaultDelete { total, failed } => {
                extra.vault_delete = Some(VaultDeletePart {
                    fail_count: *failed,
                    total_count: *total,
                    fail_delete_count: *failed,
                    total_delete_count: *total,
                });
            }
            OperationDetails::Migrate { destination_vault_id, destination_vault_name, backups } => {
                let (id, name) = (destination_vault_id, destination_vault_name);
                extra.migrate = Some(MigratePart::of(id, name, *backups));
            }
            OperationDetails::UpdateExpiration { backups, day } => {
                extra.update_expiration_time = Some(ExpirationPart {
                    affected_backups_count: *backups,
                    expiration_day: day.clone(),
                });
            }
            OperationDetails::AutoExpand { from_gb, to_gb } => {
                extra.auto_expand = Some(ExpandPart { size_before: *from_gb, size: *to_gb });
            }
            OperationDetails::Sync { backup_id, backup_name, taken_in, failed } => {
                if let (Some(id), Some(name)) = (backup_id, backup_name) {
                    extra.backup = Some(MadePart::of(id, name, None));
                }
                extra.sync = Some(SyncPart {
                    sync_backup_num: *taken_in,
                    err_sync_backup_num: *failed,
                    delete_backup_num: 0,
                });
            }
            OperationDetails::RemoveResource { .. } => {
                extra.remove_resources = Some(RemovePart {
                    fail_count: u64::from(log.error.is_some()),
                    total_count: 1,
                    resources: vec![extra.resource.clone()],
                });
            }
        }
    }
}

impl ResourcePart {
    /// Never absent in the contract: an operation on a whole vault names the vault.
    fn of(log: &Log) -> Self {
        match &log.resource {
            Some(resource) => Self {
                id: resource.id.to_string(),
                name: resource.name.clone(),
                kind: resource.kind.as_str(),
            },
            None => Self {
                id: log.vault.map(|id| id.to_string()).unwrap_or_default(),
                name: log.vault_name.clone().unwrap_or_default(),
                kind: "vault",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use cbr_model::operation::{OperationError, OperationResource, OperationStatus, OperationType};
    use cbr_model::resource::ResourceKind;
    use serde_json::json;

    use super::*;

    const ID: &str = "5b0c7f6e-0d0f-4c3a-9d5e-0c7e3f1b2a01";

    fn log() -> Log {
        let at = time::parse("2026-01-15T08:10:00.000001").unwrap();
        Log {
            id: ID.parse().unwrap(),
            project: "0605767b5780d5762fc5c0118072a564".parse().unwrap(),
            operation: OperationType::Restore,
            status: OperationStatus::Running,
            progress: 30,
            vault: Some(ID.parse().unwrap()),
            vault_name: Some("vault-a".into()),
            resource: Some(OperationResource {
                id: ID.parse().unwrap(),
                name: "ecs-1".into(),
                kind: ResourceKind::Server,
            }),
            checkpoint: Some(ID.parse().unwrap()),
            policy: None,
            request_id: format!("req-{ID}"),
            error: None,
            details: OperationDetails::Restore {
                backup_id: ID.into(),
                backup_name: "b".into(),
                target_resource_id: ID.into(),
                target_resource_name: "ecs-1".into(),
            },
            created_at: at,
            started_at: Some(at),
            updated_at: at,
            ended_at: None,
        }
    }

    /// Contract C.0; E.5 number 9: `error_info` is never null.
    #[test]
    fn an_operation_log_has_the_golden_shape() {
        let at = "2026-01-15T08:10:00.000001";
        let golden = json!({
            "id": ID, "operation_type": "restore", "status": "running",
            "project_id": "0605767b5780d5762fc5c0118072a564",
            "provider_id": "0daac4c5-6707-4851-97ba-169e36266b66",
            "vault_id": ID, "vault_name": "vault-a", "checkpoint_id": ID, "policy_id": null,
            "created_at": at, "started_at": at, "updated_at": at, "ended_at": null,
            "error_info": {"code": "", "message": ""},
            "extra_info": {
                "common": {"progress": 30, "request_id": format!("req-{ID}"), "task_id": ID},
                "resource": {"id": ID, "name": "ecs-1", "type": "OS::Nova::Server"},
                "restore": {"backup_id": ID, "backup_name": "b", "target_resource_id": ID,
                            "target_resource_name": "ecs-1"}
            }
        });
        assert_eq!(serde_json::to_value(OperationLog::from(log())).unwrap(), golden);
    }

    /// E.5 number 11: Terraform reads other names than the contract writes.
    #[test]
    fn the_deletion_of_a_vault_counts_under_both_names() {
        let mut log = log();
        log.resource = None;
        log.details = OperationDetails::VaultDelete { total: 7, failed: 1 };
        let wire = serde_json::to_value(OperationLog::from(log)).unwrap();
        let counters = json!({"fail_count": 1, "total_count": 7,
                              "fail_delete_count": 1, "total_delete_count": 7});
        assert_eq!(wire["extra_info"]["vault_delete"], counters);
        assert_eq!(wire["extra_info"]["resource"]["name"], "vault-a");
    }

    #[test]
    fn a_task_that_has_not_started_has_all_times_clients_need() {
        let mut log = log();
        log.started_at = None;
        log.error = Some(OperationError { code: "BackupService.6125".into(), message: "m".into() });
        let wire = serde_json::to_value(OperationLog::from(log)).unwrap();
        assert_eq!(wire["started_at"], wire["created_at"]);
        assert_eq!(wire["error_info"]["code"], "BackupService.6125");
    }
}
