//! `cbr iam …`: users, groups, policies, grants, access keys and second factors.

mod accounts;
mod command;
mod directory;
mod grants;
mod groups;
mod keys;
mod mfa;
mod policies;
mod text;
mod users;

pub(crate) use command::IamArgs;
