//! Restore points (contract C23, C24).

pub(crate) mod create;
pub(crate) mod show;
pub(crate) mod wire;
