//! CBR v3 (contract C): one folder per noun, one file per operation.

pub(crate) mod agents;
pub(crate) mod app_consistency;
pub(crate) mod backups;
pub(crate) mod checkpoints;
pub(crate) mod directory;
pub(crate) mod features;
pub(crate) mod members;
pub(crate) mod migrates;
pub(crate) mod operation_logs;
pub(crate) mod orders;
pub(crate) mod organization_policies;
pub(crate) mod policies;
pub(crate) mod protectables;
pub(crate) mod provider_id;
pub(crate) mod replication;
pub(crate) mod storage_usage;
pub(crate) mod vault_tags;
pub(crate) mod vaults;
