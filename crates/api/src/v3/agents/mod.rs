//! Agents of hosts (contract C55, C57 to C63).

pub(crate) mod add_path;
pub(crate) mod check;
pub(crate) mod list;
pub(crate) mod register;
pub(crate) mod remove_path;
pub(crate) mod show;
pub(crate) mod unregister;
pub(crate) mod update;
mod wire;
