//! Agents of hosts whose files are to be backed up: records (contract C57 to C63).
//!
//! Nothing backs files up yet: an agent registers, and says which directories it means. A directory
//! that is taken out has no backups, so nothing of it is left (FIL-17).

mod error;
mod requests;
mod service;

pub use error::AgentError;
pub use requests::{AddedPaths, AgentView, NewAgent, NewPath, RemovedPaths};
pub use service::{Agents, REQUEST_PATHS_MAX};
