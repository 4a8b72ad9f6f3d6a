//! Policies (contract C40 to C44).

pub(crate) mod create;
pub(crate) mod definition;
pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod show;
pub(crate) mod update;
pub(crate) mod wire;
