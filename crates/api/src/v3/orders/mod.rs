//! Orders of prepaid vaults (contract C65 to C67).

pub(crate) mod change;
pub(crate) mod make_prepaid;
pub(crate) mod update;
pub(crate) mod wire;
