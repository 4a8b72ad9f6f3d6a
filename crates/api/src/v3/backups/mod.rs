//! Backups (contract C27 to C31, C34).

pub(crate) mod delete;
mod extras;
pub(crate) mod list;
pub(crate) mod metadata;
pub(crate) mod restore;
pub(crate) mod show;
mod shown;
pub(crate) mod update;
pub(crate) mod wire;
