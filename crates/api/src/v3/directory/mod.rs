//! Who is who, for those who share (contract C72 to C74).

pub(crate) mod domain_projects;
pub(crate) mod region_projects;
pub(crate) mod show_domain;
