//! What is asked of agents, and what they look like.

use cbr_model::AgentId;
use cbr_model::agent::{Agent, AgentKind, AgentStatus};

/// An agent that registers (contract C57).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewAgent {
    /// The id it chose.
    pub id: AgentId,
    /// Where it runs.
    pub kind: AgentKind,
    /// `d.d.d`, one to three digits each.
    pub version: Option<String>,
    /// Address of the host.
    pub host_ip: String,
    /// Name of the host.
    pub host_name: String,
    /// What people call the host.
    pub host_nickname: Option<String>,
    /// Operating system of the host.
    pub host_os: String,
}

/// A directory that is wanted (contract C62).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewPath {
    /// Absolute.
    pub path: String,
    /// What below it is left out.
    pub exclude: Vec<String>,
}

/// An agent as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AgentView {
    /// The agent.
    pub agent: Agent,
    /// How it is now.
    pub status: AgentStatus,
}

/// What became of directories that were wanted.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct AddedPaths {
    /// These are new.
    pub added: Vec<String>,
    /// These were there.
    pub existed: Vec<String>,
}

/// What became of directories that were not wanted any more.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RemovedPaths {
    /// These are gone.
    pub removed: Vec<String>,
    /// These were not there.
    pub not_existed: Vec<String>,
}
