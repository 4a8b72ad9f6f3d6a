//! Backups (contract C27 to C31).

pub(crate) mod delete;
mod extras;
pub(crate) mod list;
pub(crate) mod restore;
pub(crate) mod show;
pub(crate) mod update;
pub(crate) mod wire;
