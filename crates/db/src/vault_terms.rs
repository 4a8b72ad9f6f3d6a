//! Table `vault_terms`: what a vault was from when on until when.

use cbr_model::VaultId;

use crate::error::DbError;
use crate::sql::Sql;
use crate::tx::Tx;

/// Ends what is noted of a vault if it is not so any more, and notes what is so now. To be called after
/// every statement that changes a vault: an hour that is metered late is metered as it was.
pub(crate) async fn note(tx: &mut Tx, vault: VaultId) -> Result<(), DbError> {
    let now = tx.now();
    let end = Sql::new(
        "UPDATE vault_terms SET until_at = $2 WHERE vault_id = $1 AND until_at IS NULL
         AND NOT EXISTS (
             SELECT 1 FROM vaults v WHERE v.id = vault_terms.vault_id
             AND v.project_id = vault_terms.project_id AND v.kind = vault_terms.kind
             AND v.consistency = vault_terms.consistency AND v.size_gib = vault_terms.size_gib
             AND vault_terms.by_use = CASE WHEN v.charging_mode = 'post_paid'
                 AND v.status NOT IN ('frozen', 'deleting') THEN 1 ELSE 0 END)",
    );
    tx.execute("vault_terms.note", end.bind(vault).bind(now)).await?;
    let begin = Sql::new(
        "INSERT INTO vault_terms (vault_id, number, project_id, kind, consistency, size_gib, by_use,
             from_at, until_at)
         SELECT v.id, 1 + COALESCE((SELECT MAX(n.number) FROM vault_terms n WHERE n.vault_id = v.id), 0),
             v.project_id, v.kind, v.consistency, v.size_gib,
             CASE WHEN v.charging_mode = 'post_paid' AND v.status NOT IN ('frozen', 'deleting')
                  THEN 1 ELSE 0 END, $2, NULL
         FROM vaults v WHERE v.id = $1 AND NOT EXISTS (
             SELECT 1 FROM vault_terms o WHERE o.vault_id = v.id AND o.until_at IS NULL)",
    );
    tx.execute("vault_terms.note", begin.bind(vault).bind(now)).await.map(drop)
}
