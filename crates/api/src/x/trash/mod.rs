//! The trash: backups that were deleted and can be taken back (extension).

pub(crate) mod list;
pub(crate) mod purge;
pub(crate) mod undelete;
mod wire;

pub(crate) use wire::Started;
