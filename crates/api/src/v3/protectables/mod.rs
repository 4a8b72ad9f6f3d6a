//! Protectables (contract C53, C54).

pub(crate) mod list;
pub(crate) mod show;
pub(crate) mod wire;
