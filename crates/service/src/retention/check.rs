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
    let now = tx.now();
    // As it was at each of these times: what had not ended counts, and is kept.
    let times = match trust(tx).await? {
        Trust::Now => [now, now],
        // What holds at one of them only may be wrong, and what is decided stays so.
        Trust::Until(proven) => [proven, now],
        // The next complete backup decides, when the clock has proven right.
        Trust::Nothing => return Ok(()),
    };
    let backups = tx.retention().of_resource(vault.id, resource).await?;
    let [then, decided] = times.map(|at| -> Vec<(BackupId, _)> {
        let candidates: Vec<_> = backups.iter().map(|one| candidate(&vault, one, at)).collect();
        newly_expired(&candidates, rule.governing(), at, is_success)
    });
    let is_sure = |backup: BackupId| then.iter().any(|(other, _)| *other == backup);
    let decided = decided.into_iter().filter(|(backup, _)| is_sure(*backup));
    for (backup, why) in decided {
        tracing::info!(backup.id = %backup, rule = why.as_str(), "a backup is at its end");
        tx.retention().expire(backup, why).await?;
    }
    Ok(())
}
