//! Operation logs (contract C51, C52).

pub(crate) mod list;
pub(crate) mod show;
pub(crate) mod wire;
