//! Migration from the predecessor services (contract C70, C71): there are none here, so nothing was
//! ever migrated and nothing can be.

pub(crate) mod show;
pub(crate) mod start;
