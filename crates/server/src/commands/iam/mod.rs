//! `cbr iam …`: users, groups, policies, grants, access keys and second factors.

mod accounts;
mod agencies;
mod command;
mod directory;
mod enterprise_projects;
mod grants;
mod groups;
mod keys;
mod mfa;
mod mfa_reset;
mod policies;
mod text;
mod users;

pub(crate) use command::IamArgs;
