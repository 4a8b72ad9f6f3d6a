//! One file per command. A command reads its arguments, does its work and writes its result.

pub(crate) mod agent;
pub(crate) mod audit;
pub(crate) mod backup;
mod backup_share;
mod backup_size;
mod backup_trash;
mod conclude;
pub(crate) mod config;
pub(crate) mod doctor;
mod export;
pub(crate) mod iam;
mod keys;
pub(crate) mod login;
pub(crate) mod manual;
pub(crate) mod policy;
mod policy_text;
mod rebuild;
pub(crate) mod repo;
mod repo_export;
mod repo_gc;
mod repo_probe;
mod repo_scrub;
mod repo_sizes;
pub(crate) mod restore;
pub(crate) mod serve;
mod session;
pub(crate) mod task;
pub(crate) mod vault;
mod vault_more;
mod vault_policy;
mod vault_tags;
pub(crate) mod volume;
mod writable;

use conclude::{conclude, started};
use session::stop_signal;
pub(crate) use session::{block_on, run_async};
