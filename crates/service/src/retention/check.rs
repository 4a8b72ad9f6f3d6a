//! The check after a complete backup (RET-17, RET-36).

use cbr_db::{DbError, Tx};
use cbr_model::{BackupId, ProjectId, ResourceId, VaultId};

use super::clock::{Trust, trust};
use super::rule::{Rule, candidate};
use crate::rules::retention::plan::newly_expired;

/// Decides which backups of the resource count no more, in the transaction that makes one complete, or
/// failed. That one has its new state already.
pub(crate) async fn check(
    tx: &mut Tx,
    project: ProjectId,
    (vault, resource): (VaultId, ResourceId),
    is_success: bool,
) -> Result<(), DbError> {
    let Some(vault) = tx.vaults().find(project, vault).await? else { return Ok(()) };
    let rule = Rule::of(tx, &vault).await?;
    if !matches!(rule, Rule::Policy(..)) {
        return Ok(());
    }
    let now = match trust(tx).await? {
        Trust::Now => tx.now(),
        // As it was then: what had not ended counts, and is kept.
        Trust::Until(proven) => proven,
        // The next complete backup decides, when the clock has proven right.
        Trust::Nothing => return Ok(()),
    };
    let backups = tx.retention().of_resource(vault.id, resource).await?;
    let candidates: Vec<_> = backups.iter().map(|one| candidate(&vault, one, now)).collect();
    let decided: Vec<(BackupId, _)> = newly_expired(&candidates, rule.governing(), now, is_success);
    for (backup, why) in decided {
        tracing::info!(backup.id = %backup, rule = why.as_str(), "a backup is at its end");
        tx.retention().expire(backup, why).await?;
    }
    Ok(())
}
