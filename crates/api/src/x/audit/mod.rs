//! The account's chain of records (extension).

pub(crate) mod records;
pub(crate) mod verify;
