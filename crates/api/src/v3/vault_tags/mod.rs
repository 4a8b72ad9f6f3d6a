//! Tags of vaults (contract C17 to C22). The contract's paths have `vault` in the singular.

pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod find;
pub(crate) mod list;
pub(crate) mod show;
