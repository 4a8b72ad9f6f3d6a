//! What became of the occurrences of policies: one row for each policy, vault and time.
//!
//! ```text
//!   (due) ──▶ Waiting ──▶ Started | Skipped | Refused | Missed
//!     └─────────────────▶
//! ```
//! Only `Waiting` and `Missed` may become something else: a missed one when a clock that had run
//! ahead is set right, and its time comes after all.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;
use crate::id::{CheckpointId, PolicyId, PolicyRunId, ProjectId, VaultId};
use crate::operation::words;

words! {
    /// What became of an occurrence.
    RunState {
        /// It could not be started yet and is tried again (POL-11).
        Waiting = "waiting",
        /// Backups were started; resources that were left out are in `skipped`.
        Started = "started",
        /// Every resource was left out (POL-12).
        Skipped = "skipped",
        /// The policy or the vault forbids it.
        Refused = "refused",
        /// Its time went by without anybody to start it.
        Missed = "missed",
    }
}

words! {
    /// Why an occurrence was not started, in a word for programs.
    RunReason {
        /// Nothing is the matter.
        None = "none",
        /// All its resources were busy or could not be backed up.
        NothingToBackUp = "nothing_to_back_up",
        /// The vault holds nothing that automatic backups take.
        VaultEmpty = "vault_empty",
        /// The policy is switched off (POL-05).
        PolicyDisabled = "policy_disabled",
        /// It was taken off the vault, or deleted, before its turn came (POL-51).
        Unbound = "unbound",
        /// The vault's state forbids backups (Y.1).
        VaultStatus = "vault_status",
        /// The vault is full (VLT-81).
        VaultFull = "vault_full",
        /// The policy cannot be read.
        PolicyInvalid = "policy_invalid",
        /// No node was up, or the clock went past it.
        NoNode = "no_node",
        /// It was tried, and something stood in the way until its time was over.
        NotPossible = "not_possible",
    }
}

/// One occurrence of a policy for a vault.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PolicyRun {
    /// The policy.
    pub policy: PolicyId,
    /// The vault.
    pub vault: VaultId,
    /// When it was due.
    pub occurrence: Timestamp,
    /// The project of both.
    pub project: ProjectId,
    /// The policy's name then.
    pub policy_name: String,
    /// The vault's name then.
    pub vault_name: String,
    /// What became of it.
    pub state: RunState,
    /// Why it was not started.
    pub reason: RunReason,
    /// The same for people, and what else is to be said (a full backup that was put off).
    pub message: String,
    /// The run over the vault, if backups were started.
    pub checkpoint: Option<CheckpointId>,
    /// How many backups were started.
    pub started: u32,
    /// How many resources were left out.
    pub skipped: u32,
    /// How many of the backups are full ones by the policy's interval (POL-18).
    pub full: u32,
    /// When that was decided.
    pub decided_at: Timestamp,
}

impl PolicyRun {
    /// Its id, which follows from what it is: whoever writes it down writes the same.
    pub fn id(&self) -> PolicyRunId {
        let at = self.occurrence.0.to_be_bytes();
        let name = [self.vault.as_uuid().as_bytes().as_slice(), at.as_slice()].concat();
        PolicyRunId::from_uuid(Uuid::new_v5(&self.policy.as_uuid(), &name))
    }
}
