//! Migration from the predecessor services (contract C70, C71): that it was asked for is kept. There are
//! no such services here, so nothing is moved.

pub(crate) mod show;
pub(crate) mod start;
