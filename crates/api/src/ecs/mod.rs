//! Servers, as ECS shows them (contract F.4): what a backup's user needs of it.

pub(crate) mod act;
pub(crate) mod attach;
pub(crate) mod block_devices;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod detach;
pub(crate) mod list;
pub(crate) mod nova;
pub(crate) mod show;
pub(crate) mod wire;
