//! CBR v3 (contract C): one folder per noun, one file per operation.

pub(crate) mod backups;
pub(crate) mod checkpoints;
pub(crate) mod operation_logs;
pub(crate) mod protectables;
pub(crate) mod provider_id;
pub(crate) mod vault_tags;
pub(crate) mod vaults;
