//! Servers, as ECS shows them (contract F.4): what a backup's user needs of it.

pub(crate) mod list;
pub(crate) mod show;
pub(crate) mod wire;
