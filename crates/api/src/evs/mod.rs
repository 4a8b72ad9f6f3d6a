//! Disks, as EVS shows them (contract F.3): what a backup's user needs of it.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod quotas;
pub(crate) mod show;
pub(crate) mod wire;
