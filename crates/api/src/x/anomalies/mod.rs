//! Backups that look suspicious (extension).

pub(crate) mod confirm;
pub(crate) mod list;
mod wire;
