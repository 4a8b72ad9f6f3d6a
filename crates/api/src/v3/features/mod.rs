//! What this installation can do (contract C68, C69).

mod catalogue;
pub(crate) mod list;
pub(crate) mod show;
