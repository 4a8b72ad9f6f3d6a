//! Quotas (extensions; QUO-01 to QUO-06).

pub(crate) mod list;
pub(crate) mod set;
