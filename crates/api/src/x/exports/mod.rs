//! Exports: backups given out as disks over NBD (extension).

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod list_all;
mod wire;
