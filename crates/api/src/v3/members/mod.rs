//! Backups shared with other projects (contract C35 to C39).

pub(crate) mod add;
pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod show;
pub(crate) mod update;
mod wire;
