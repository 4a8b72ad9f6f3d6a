//! What happened without a person: what alarms and notices are made of (MON-08).

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::{EventId, ProjectId, VaultId};
use crate::operation::words;

words! {
    /// What happened.
    EventKind {
        /// A backup ended without a restore point.
        BackupFailed = "backupFailed",
        /// What a vault holds has reached its capacity.
        VaultFull = "vaultFull",
        /// What a vault holds has reached its threshold (MON-10).
        VaultThreshold = "vaultThreshold",
        /// A run of a policy did not take place.
        RunMissed = "runMissed",
        /// A backup cannot be restored completely any more.
        DamageFound = "damageFound",
        /// A backup looks unlike those before it.
        SuspiciousBackup = "suspiciousBackup",
    }
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::BackupFailed,
        Self::VaultFull,
        Self::VaultThreshold,
        Self::RunMissed,
        Self::DamageFound,
        Self::SuspiciousBackup,
    ];

    /// What people call it: in English, and in Chinese.
    pub const fn title(self) -> (&'static str, &'static str) {
        match self {
            Self::BackupFailed => ("Backup failed", "备份失败"),
            Self::VaultFull => ("Vault full", "存储库已满"),
            Self::VaultThreshold => ("Vault usage reached its threshold", "存储库使用量达到阈值"),
            Self::RunMissed => ("Scheduled run missed", "错过计划任务"),
            Self::DamageFound => ("Damage found in a backup", "发现备份数据损坏"),
            Self::SuspiciousBackup => ("Backup looks suspicious", "备份数据异常"),
        }
    }
}

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CbrEvent {
    /// Its id.
    pub id: EventId,
    /// The project it concerns.
    pub project: ProjectId,
    /// What it was.
    pub kind: EventKind,
    /// The vault it concerns.
    pub vault: Option<VaultId>,
    /// The disk, server, backup or policy it concerns, if any.
    pub resource: Option<String>,
    /// What people call that, or the vault.
    pub resource_name: String,
    /// For people: what, and why.
    pub detail: String,
    /// When.
    pub at: Timestamp,
}
