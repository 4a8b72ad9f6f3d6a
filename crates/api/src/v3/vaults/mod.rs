//! Vaults (contract C1 to C11, C14 to C16).

pub(crate) mod add_resources;
pub(crate) mod associate_policy;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod dissociate_policy;
pub(crate) mod list;
pub(crate) mod list_external;
pub(crate) mod migrate_resources;
pub(crate) mod new_vault;
pub(crate) mod order;
pub(crate) mod remove_resources;
pub(crate) mod set_resources;
pub(crate) mod show;
pub(crate) mod summary;
pub(crate) mod update;
pub(crate) mod update_all;
pub(crate) mod update_expiration;
pub(crate) mod wire;
