//! Vaults (contract C1, C3 to C5, C7 to C9).

pub(crate) mod add_resources;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod remove_resources;
pub(crate) mod show;
pub(crate) mod update;
pub(crate) mod wire;
