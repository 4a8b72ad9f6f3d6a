//! The rules as pure functions: what they need they are given, and they decide.
//!
//! Nothing here waits, reads a clock or touches a database; so each rule is
//! tested as a table.

pub(crate) mod anomaly;
pub(crate) mod billing;
pub(crate) mod binding;
pub(crate) mod capacity;
pub(crate) mod forecast;
pub(crate) mod fulls;
pub(crate) mod identity;
pub(crate) mod image;
pub(crate) mod lockout;
pub(crate) mod migration;
pub(crate) mod names;
pub(crate) mod occurrences;
pub(crate) mod organization_policy;
pub(crate) mod password;
pub(crate) mod policy;
pub(crate) mod policy_binding;
pub(crate) mod restore;
pub(crate) mod retention;
pub(crate) mod selection;
pub(crate) mod sharing;
pub(crate) mod tags;
pub(crate) mod trash;
pub(crate) mod vault;
