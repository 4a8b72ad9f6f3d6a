//! Why something about agents was refused.

use cbr_model::AgentId;

/// Why something about agents was refused.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Absent, or another project's.
    #[error("agent {0} does not exist")]
    NotFound(AgentId),
    /// Its id is in use elsewhere, or it was taken off its host.
    #[error("agent {id} cannot be used: {reason}")]
    Illegal {
        /// The agent.
        id: AgentId,
        /// Why not.
        reason: &'static str,
    },
    /// FIL-13.
    #[error("an agent has at most {limit} directories; remove one first")]
    TooManyPaths {
        /// The limit.
        limit: usize,
    },
}
