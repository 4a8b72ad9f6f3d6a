//! Policies of whole accounts (contract C45 to C50).

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod detail;
pub(crate) mod list;
pub(crate) mod show;
pub(crate) mod update;
pub(crate) mod wire;
