//! Billing (extensions; BIL-01 to BIL-09): what an account has, and for which hours vaults are charged.

pub(crate) mod account;
pub(crate) mod credit;
pub(crate) mod entries;
pub(crate) mod exported;
pub(crate) mod metering;
pub(crate) mod resume;
