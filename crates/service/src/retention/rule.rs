//! The rule the backups of a vault are under, and they themselves as the plan wants them.

use cbr_db::{DbError, RetainedBackup, Tx};
use cbr_model::policy::retention::Retention;
use cbr_model::policy::zone::PolicyZone;
use cbr_model::policy::{Policy, PolicyOperation};
use cbr_model::query::{Page, PolicyFilter};
use cbr_model::retention::HoldKind;
use cbr_model::vault::Vault;
use cbr_model::{ProjectId, Timestamp, VaultId};

use crate::rules::retention::plan::{Candidate, Condition, Governing};

/// The rule the backups of a vault are under.
pub(crate) enum Rule {
    /// Of the policy that works for it.
    Policy(Box<Policy>, Retention),
    /// The policy is switched off, or cannot be read: nothing it made goes.
    Disabled(Box<Policy>),
    /// There is no policy.
    Nothing,
}

impl Rule {
    /// The rule of a vault now.
    pub(crate) async fn of(tx: &mut Tx, vault: &Vault) -> Result<Self, DbError> {
        Ok(Self::by(bound_policy(tx, vault.project, vault.id).await?))
    }

    /// The rule of this policy.
    pub(crate) fn by(policy: Option<Policy>) -> Self {
        let Some(policy) = policy else { return Self::Nothing };
        match Retention::read(&policy.definition) {
            Ok(retention) if policy.enabled => Self::Policy(Box::new(policy), retention),
            Ok(_) => Self::Disabled(Box::new(policy)),
            Err(error) => {
                tracing::error!(policy.id = %policy.id, %error, "a policy keeps everything");
                Self::Disabled(Box::new(policy))
            }
        }
    }

    pub(crate) const fn governing(&self) -> Governing<'_> {
        match self {
            Self::Policy(_, retention) => Governing::Policy(retention),
            Self::Disabled(_) => Governing::Disabled,
            Self::Nothing => Governing::Nothing,
        }
    }

    /// Where the window of deletions is told.
    pub(crate) fn zone(&self) -> PolicyZone {
        match self {
            Self::Policy(policy, _) | Self::Disabled(policy) => policy.trigger.zone,
            Self::Nothing => PolicyZone::default(),
        }
    }
}

/// The policy that backs a vault up, if one does.
pub(crate) async fn bound_policy(
    tx: &mut Tx,
    project: ProjectId,
    vault: VaultId,
) -> Result<Option<Policy>, DbError> {
    let filter = PolicyFilter { operation: Some(PolicyOperation::Backup), vault: Some(vault) };
    Ok(tx.policies().list(project, &filter, &Page::default()).await?.rows.pop())
}

/// A backup as the plan wants it.
pub(crate) fn candidate(vault: &Vault, backup: &RetainedBackup, now: Timestamp) -> Candidate {
    let is_unexpired = backup.expired_at.is_none_or(|end| end > now);
    let has = |kinds: &[HoldKind]| backup.holds.iter().any(|hold| kinds.contains(hold));
    let state = match backup.status.as_str() {
        "available" => Condition::Idle,
        "error" => Condition::Failed,
        _ => Condition::Busy,
    };
    Candidate {
        id: backup.id,
        resource: backup.resource,
        created_at: backup.created_at,
        expired_at: backup.expired_at,
        is_automatic: backup.auto_trigger,
        state,
        has_image: has(&[HoldKind::Image]),
        is_held: has(&[HoldKind::Person, HoldKind::TakenBack, HoldKind::Rebuilt]),
        is_locked: vault.locked && backup.auto_trigger && is_unexpired,
        is_suspected: backup.is_suspected,
        decided: backup.decided,
    }
}
