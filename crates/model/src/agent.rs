//! Agents: hosts whose files are to be backed up, and which directories (FIL-04 … FIL-18, FIL-26).

use crate::Timestamp;
use crate::id::{AgentId, AgentPathId, ProjectId};

/// Most directories of an agent (FIL-13).
pub const PATHS_MAX: usize = 8;
/// An agent that has not been heard of for so long is abnormal (FIL-26, Y.5).
pub const SILENCE_SECONDS: i64 = 30 * 60;

/// Where an agent runs (contract B.10).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AgentKind {
    /// On a host outside the cloud.
    Native,
    /// On a server of the cloud.
    Cloud,
}

/// How an agent is (contract B.10).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AgentStatus {
    /// Heard of lately.
    Normal,
    /// Not heard of lately.
    Abnormal,
    /// It said that it was taken off its host.
    Uninstall,
}

/// An agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agent {
    /// The id it chose.
    pub id: AgentId,
    /// The project it registered in.
    pub project: ProjectId,
    /// Where it runs.
    pub kind: AgentKind,
    /// Its version, if it said so.
    pub version: Option<String>,
    /// Address of the host.
    pub host_ip: String,
    /// Name of the host.
    pub host_name: String,
    /// What people call the host; may be empty.
    pub host_nickname: String,
    /// Operating system of the host.
    pub host_os: String,
    /// Whether it said that it was taken off its host.
    pub uninstalled: bool,
    /// The directories to be backed up, in the order in which they were added.
    pub paths: Vec<AgentPath>,
    /// When it first registered.
    pub created_at: Timestamp,
    /// When it last registered.
    pub last_active_at: Timestamp,
    /// When anything of it last changed.
    pub updated_at: Timestamp,
}

/// A directory that is to be backed up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AgentPath {
    /// Its id.
    pub id: AgentPathId,
    /// Absolute (FIL-15).
    pub path: String,
    /// What below it is left out.
    pub exclude: Vec<String>,
}

/// Why a text is no directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a directory is an absolute path like /data or D:\\data, of at most 4096 characters")]
pub struct InvalidPath;

/// The longest path.
const PATH_CHARS_MAX: usize = 4096;

impl Agent {
    /// How it is at `now`.
    pub fn status(&self, now: Timestamp) -> AgentStatus {
        if self.uninstalled {
            AgentStatus::Uninstall
        } else if self.last_active_at.plus_seconds(SILENCE_SECONDS) < now {
            AgentStatus::Abnormal
        } else {
            AgentStatus::Normal
        }
    }
}

impl AgentKind {
    /// The contract's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Cloud => "cloud",
        }
    }

    /// The kind the contract's word means.
    pub fn from_str_exact(text: &str) -> Option<Self> {
        [Self::Native, Self::Cloud].into_iter().find(|it| it.as_str() == text)
    }
}

impl AgentStatus {
    /// The contract's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Abnormal => "abnormal",
            Self::Uninstall => "uninstall",
        }
    }

    /// The status the contract's word means.
    pub fn from_str_exact(text: &str) -> Option<Self> {
        [Self::Normal, Self::Abnormal, Self::Uninstall].into_iter().find(|it| it.as_str() == text)
    }
}

/// A directory as it is kept: absolute, without a separator at the end (FIL-15).
pub fn clean_path(text: &str) -> Result<String, InvalidPath> {
    let bytes = text.as_bytes();
    let is_windows = bytes.len() >= 3
        && bytes[0].is_ascii_alphabetic()
        && bytes[1] == b':'
        && matches!(bytes[2], b'\\' | b'/');
    let is_short = text.chars().count() <= PATH_CHARS_MAX;
    if !(text.starts_with('/') || is_windows) || !is_short || text.contains(['\0', '\n']) {
        return Err(InvalidPath);
    }
    let root = if is_windows { 3 } else { 1 };
    let (root, rest) = text.split_at(root);
    let separators: &[char] = if is_windows { &['\\', '/'] } else { &['/'] };
    if rest.split(separators).any(|part| part == "..") {
        return Err(InvalidPath);
    }
    Ok(format!("{root}{}", rest.trim_end_matches(separators)))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// FIL-15.
    #[test]
    fn directories_are_absolute() {
        for (text, kept) in [
            ("/", "/"),
            ("/data", "/data"),
            ("/data/", "/data"),
            ("/a b/备份", "/a b/备份"),
            ("C:\\", "C:\\"),
            ("D:\\data\\", "D:\\data"),
            ("d:/data", "d:/data"),
        ] {
            assert_eq!(clean_path(text).as_deref(), Ok(kept), "{text}");
        }
        let long = format!("/{}", "x".repeat(4096));
        for bad in ["", "data", "./data", "C:", "C:data", "//x/../y", "/a\n", "D:\\a\\..\\b", &long]
        {
            assert_eq!(clean_path(bad), Err(InvalidPath), "{bad}");
        }
    }

    /// FIL-26.
    #[test]
    fn an_agent_that_is_silent_is_abnormal_and_one_that_left_has_left() {
        let agent = |uninstalled| Agent {
            id: AgentId::from_uuid(Uuid::nil()),
            project: ProjectId::from_uuid(Uuid::nil()),
            kind: AgentKind::Native,
            version: None,
            host_ip: String::new(),
            host_name: String::new(),
            host_nickname: String::new(),
            host_os: String::new(),
            uninstalled,
            paths: vec![],
            created_at: Timestamp(0),
            last_active_at: Timestamp(0),
            updated_at: Timestamp(0),
        };
        let at = |seconds| Timestamp(0).plus_seconds(seconds);
        assert_eq!(agent(false).status(at(SILENCE_SECONDS)), AgentStatus::Normal);
        assert_eq!(agent(false).status(at(SILENCE_SECONDS + 1)), AgentStatus::Abnormal);
        assert_eq!(agent(true).status(at(0)), AgentStatus::Uninstall);
    }
}
