//! The life of a backup.
//!
//! ```text
//!               seal                  begin_delete
//!   Protecting ─────▶ Available ─────────────────▶ Deleting ──▶ (row gone)
//!       │              ▲     │                        ▲   │
//!       │ fail         │     │ begin_restore          │   │ fail
//!       ▼     end_restore    ▼                        │   ▼
//!     Error            Restoring                      │ Error
//!       └──────────────────────────── begin_delete ───┘
//! ```
//!
//! What exists only in one state lives in that state: a backup that is not
//! sealed has no content, so nothing can restore from it by mistake.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;
use crate::id::{BackupId, ChainId, CheckpointId, ProjectId, ResourceId, VaultId};
use crate::name::Name;
use crate::resource::ResourceKind;
use crate::size::{Bytes, Gib};

/// Where a disk's restore point lies in the store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoredVersion {
    /// Whose keys seal it.
    pub tenant: Uuid,
    /// Whether its blocks are shared with the tenant's other chains of that epoch. Nothing that
    /// was written before there was a choice says so.
    #[serde(default)]
    pub shared: bool,
    /// Which generation of the chain (BAK-39).
    pub epoch: u32,
    /// The chain.
    pub chain: ChainId,
    /// The version's number in the chain.
    pub seq: u64,
    /// Size of the disk.
    pub disk_bytes: Bytes,
    /// What the tenant is shown and pays: first backup used blocks, later changed blocks (BAK-31).
    pub logical_bytes: Bytes,
    /// What this backup added to the store, compressed and sealed.
    pub added_bytes: Bytes,
}

/// What an available backup consists of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Content {
    /// One disk.
    Disk(StoredVersion),
    /// A server: its disks are the children.
    Server,
}

/// The state of a backup (BAK-50, contract B.4).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum BackupState {
    /// Being made.
    Protecting,
    /// Usable for everything.
    Available {
        /// What it consists of.
        content: Content,
    },
    /// A restore reads it.
    Restoring {
        /// What it consists of.
        content: Content,
    },
    /// Being removed.
    Deleting {
        /// What it consisted of, if it ever was available.
        content: Option<Content>,
    },
    /// Unusable; must be deleted by hand (BAK-51).
    Error {
        /// Why.
        reason: String,
        /// What is left of it, if its deletion failed.
        content: Option<Content>,
    },
}

/// A transition the drawing does not have.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a backup that is {from} does not allow: {wanted}")]
pub struct InvalidTransition {
    from: &'static str,
    wanted: &'static str,
}

impl BackupState {
    /// The contract's word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Protecting => "protecting",
            Self::Available { .. } => "available",
            Self::Restoring { .. } => "restoring",
            Self::Deleting { .. } => "deleting",
            Self::Error { .. } => "error",
        }
    }

    /// What it consists of, where it has content.
    pub const fn content(&self) -> Option<&Content> {
        match self {
            Self::Available { content } | Self::Restoring { content } => Some(content),
            Self::Deleting { content } | Self::Error { content, .. } => content.as_ref(),
            Self::Protecting => None,
        }
    }

    /// The work is committed in the store.
    pub fn seal(self, content: Content) -> Result<Self, InvalidTransition> {
        match self {
            Self::Protecting => Ok(Self::Available { content }),
            other => Err(other.refuses("seal")),
        }
    }

    /// The work failed.
    pub fn fail(self, reason: String) -> Result<Self, InvalidTransition> {
        match self {
            Self::Protecting => Ok(Self::Error { reason, content: None }),
            Self::Deleting { content } => Ok(Self::Error { reason, content }),
            other => Err(other.refuses("fail")),
        }
    }

    /// A restore begins.
    pub fn begin_restore(self) -> Result<Self, InvalidTransition> {
        match self {
            Self::Available { content } => Ok(Self::Restoring { content }),
            other => Err(other.refuses("restore")),
        }
    }

    /// A restore ended, well or not (Y.2: the failure is on the task).
    pub fn end_restore(self) -> Result<Self, InvalidTransition> {
        match self {
            Self::Restoring { content } => Ok(Self::Available { content }),
            other => Err(other.refuses("end a restore")),
        }
    }

    /// Its removal begins (BAK-70).
    pub fn begin_delete(self) -> Result<Self, InvalidTransition> {
        match self {
            Self::Available { content } => Ok(Self::Deleting { content: Some(content) }),
            Self::Error { content, .. } => Ok(Self::Deleting { content }),
            other => Err(other.refuses("delete")),
        }
    }

    const fn refuses(&self, wanted: &'static str) -> InvalidTransition {
        InvalidTransition { from: self.as_str(), wanted }
    }
}

/// What came of a database backup: of the wish that a server's backup is application consistent (VLT-09, BAK-57).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum AppConsistency {
    /// It is: the databases were at rest at its instant. Nothing makes such backups yet.
    Reached,
    /// It is not: the database backup failed, and this is the ordinary server backup that was made instead.
    FellBack {
        /// Contract code of the failure, e.g. `BackupService.7410`.
        code: String,
        /// For people: what, why, what next.
        message: String,
    },
}

/// A backup: the result for one resource in a checkpoint. A server's has one child per disk.
#[derive(Clone, PartialEq, Debug)]
pub struct Backup {
    /// Its id.
    pub id: BackupId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// The vault that holds it.
    pub vault: VaultId,
    /// The run that made it.
    pub checkpoint: CheckpointId,
    /// The server backup a disk's backup belongs to.
    pub parent: Option<BackupId>,
    /// Its name.
    pub name: Name,
    /// Free text.
    pub description: String,
    /// What was backed up.
    pub resource: ResourceId,
    /// Its name at that time.
    pub resource_name: String,
    /// What it is.
    pub resource_kind: ResourceKind,
    /// Its size at that time, rounded up.
    pub resource_size: Gib,
    /// Where it was.
    pub resource_az: String,
    /// State.
    pub state: BackupState,
    /// Whether it builds on an earlier one.
    pub incremental: bool,
    /// Whether a policy made it.
    pub auto_trigger: bool,
    /// Whether the disk (or one of them) is a server's system disk.
    pub system_disk: bool,
    /// Whether its owner encrypts the disk (or one of them): so is what is restored from it (BAK-17).
    pub encrypted: bool,
    /// What came of the wish for a database backup; none: nobody had it, or it is not known yet. Of a server's
    /// backup as a whole, never of its disks.
    pub app_consistency: Option<AppConsistency>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was complete.
    pub protected_at: Option<Timestamp>,
    /// When retention ends it; none: never.
    pub expired_at: Option<Timestamp>,
    /// A server backup's disks, in the server's order.
    pub children: Vec<Backup>,
}

#[cfg(test)]
mod tests {
    use super::*;

    type Transition = fn(BackupState) -> Result<BackupState, InvalidTransition>;

    fn every_state() -> [BackupState; 5] {
        let content = || Content::Server;
        [
            BackupState::Protecting,
            BackupState::Available { content: content() },
            BackupState::Restoring { content: content() },
            BackupState::Deleting { content: Some(content()) },
            BackupState::Error { reason: "x".into(), content: None },
        ]
    }

    /// BAK-70, RST-01, Y.2: the drawing, with every refusal.
    #[test]
    fn transitions() {
        let seal: Transition = |state| state.seal(Content::Server);
        let fail: Transition = |state| state.fail("no".into());
        #[rustfmt::skip]
        let table: [(&str, Transition, [Option<&str>; 5]); 5] = [
            // verb           how                         protecting         available          restoring          deleting         error
            ("seal",          seal,                       [Some("available"), None,              None,              None,            None]),
            ("fail",          fail,                       [Some("error"),     None,              None,              Some("error"),   None]),
            ("begin_restore", BackupState::begin_restore, [None,              Some("restoring"), None,              None,            None]),
            ("end_restore",   BackupState::end_restore,   [None,              None,              Some("available"), None,            None]),
            ("begin_delete",  BackupState::begin_delete,  [None,              Some("deleting"),  None,              None,            Some("deleting")]),
        ];
        for (verb, apply, expected) in table {
            for (state, want) in every_state().into_iter().zip(expected) {
                let from = state.as_str();
                let got = apply(state).ok();
                assert_eq!(got.as_ref().map(BackupState::as_str), want, "{from} --{verb}-->");
            }
        }
    }

    #[test]
    fn a_failed_deletion_keeps_what_is_left_so_that_it_can_be_tried_again() {
        let deleting = BackupState::Available { content: Content::Server }.begin_delete().unwrap();
        let failed = deleting.fail("store unreachable".into()).unwrap();
        assert_eq!(failed.content(), Some(&Content::Server));
    }
}
