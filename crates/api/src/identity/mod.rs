//! Keystone v3: logins, projects and the catalogue (contract F.1).

pub(crate) mod catalog;
pub(crate) mod domains;
pub(crate) mod login;
pub(crate) mod projects;
pub(crate) mod regions;
pub(crate) mod tokens;
pub(crate) mod versions;
pub(crate) mod wire;
