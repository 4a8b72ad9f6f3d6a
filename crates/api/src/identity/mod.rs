//! Identity and access: Keystone v3 and what Huawei Cloud's IAM adds to it (contract F.1, IAM).

pub(crate) mod accounts;
pub(crate) mod agencies;
pub(crate) mod catalog;
pub(crate) mod credentials;
pub(crate) mod domains;
pub(crate) mod enterprise_projects;
pub(crate) mod grants;
pub(crate) mod groups;
pub(crate) mod login;
pub(crate) mod mfa;
pub(crate) mod os_users;
pub(crate) mod predefined_tags;
pub(crate) mod projects;
pub(crate) mod regions;
pub(crate) mod roles;
mod row;
pub(crate) mod services;
pub(crate) mod temporary;
pub(crate) mod tokens;
pub(crate) mod users;
pub(crate) mod versions;
pub(crate) mod wire;
