//! Extensions: what the contract has no operation for. All lie under `/v3/{project_id}/x/`.

pub(crate) mod anomalies;
pub(crate) mod audit;
pub(crate) mod backup_integrity;
pub(crate) mod backup_retention;
pub(crate) mod backup_sizes;
pub(crate) mod billing;
pub(crate) mod cancel_operation;
pub(crate) mod default_policy;
pub(crate) mod exports;
pub(crate) mod orders;
pub(crate) mod policy_runs;
pub(crate) mod quotas;
pub(crate) mod retention_preview;
pub(crate) mod task_events;
pub(crate) mod trash;
pub(crate) mod vaults;
pub(crate) mod verify_backup;
pub(crate) mod what_if;
