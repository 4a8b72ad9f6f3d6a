//! Copies in other regions (contract C25, C32, C56), and backups that lie in buckets (C26, C33).

pub(crate) mod capabilities;
pub(crate) mod copy_backup;
pub(crate) mod copy_checkpoint;
pub(crate) mod import_backup;
pub(crate) mod import_checkpoint;
mod wire;
