//! An agent on the wire (contract C.M `Agent`).

use cbr_service::agents::AgentView;
use serde::Serialize;
use utoipa::ToSchema;

use crate::time;

/// An agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(super) struct Agent {
    agent_id: String,
    agent_type: &'static str,
    agent_version: Option<String>,
    host_ip: String,
    host_name: String,
    host_nickname: String,
    host_os: String,
    /// `normal`, `abnormal` (not heard of for half an hour) or `uninstall`.
    status: &'static str,
    paths: Vec<Path>,
    created_at: String,
    last_active_time: String,
    updated_at: String,
}

/// A directory that is to be backed up.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = AgentPath)]
struct Path {
    id: String,
    agent_id: String,
    dir_path: String,
    /// Separated by commas.
    exclude_paths: String,
    /// Always `available`: one that is removed is gone, as long as nothing backs files up.
    status: &'static str,
}

impl From<AgentView> for Agent {
    fn from(AgentView { agent, status }: AgentView) -> Self {
        let id = agent.id.to_string();
        let paths = agent.paths.into_iter().map(|path| Path {
            id: path.id.to_string(),
            agent_id: id.clone(),
            dir_path: path.path,
            exclude_paths: path.exclude.join(","),
            status: "available",
        });
        Self {
            paths: paths.collect(),
            agent_id: id,
            agent_type: agent.kind.as_str(),
            agent_version: agent.version,
            host_ip: agent.host_ip,
            host_name: agent.host_name,
            host_nickname: agent.host_nickname,
            host_os: agent.host_os,
            status: status.as_str(),
            created_at: time::format(agent.created_at),
            last_active_time: time::format(agent.last_active_at),
            updated_at: time::format(agent.updated_at),
        }
    }
}
