//! How long backups are kept: those made by hand, and those that policies made.

#[cfg(test)]
mod examples;
pub(crate) mod forecast;
mod manual;
pub(crate) mod plan;

pub(crate) use manual::{FOR_EVER, check_days, expires_at};
