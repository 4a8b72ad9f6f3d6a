//! Table `vault_terms`: from when on until when an image is charged for, in the form in which vaults are
//! (BIL-07).

use cbr_model::{BackupId, ImageId};

use crate::error::DbError;
use crate::sql::Sql;
use crate::tx::Tx;

/// Begins to charge for an image when its backup is complete, by what that holds in started GB, and ends it
/// when the image is gone. To be called after every statement that makes one or removes it.
pub(crate) async fn note(tx: &mut Tx, image: ImageId) -> Result<(), DbError> {
    let now = tx.now();
    let end = Sql::new(
        "UPDATE vault_terms SET until_at = $2 WHERE vault_id = $1 AND until_at IS NULL
         AND NOT EXISTS (SELECT 1 FROM images i WHERE i.id = vault_terms.vault_id)",
    );
    tx.execute("image_terms.note", end.bind(image).bind(now)).await?;
    let begin = Sql::new(
        "INSERT INTO vault_terms (vault_id, number, project_id, kind, consistency, size_gib, by_use,
             from_at, until_at)
         SELECT i.id, 1, i.project_id, 'image', 'object_storage',
             1 + (SELECT CAST(COALESCE(SUM(x.logical_bytes), 0) AS BIGINT) - 1 FROM backups x
                  WHERE x.id = b.id OR x.parent_id = b.id) / 1073741824, 1, $2, NULL
         FROM images i JOIN backups b ON b.id = i.backup_id
         WHERE i.id = $1 AND b.status IN ('available', 'restoring')
         AND NOT EXISTS (SELECT 1 FROM vault_terms o WHERE o.vault_id = i.id)",
    );
    tx.execute("image_terms.note", begin.bind(image).bind(now)).await.map(drop)
}

/// Ends it for all images of a backup that are about to be forgotten.
pub(crate) async fn end_of(tx: &mut Tx, backup: BackupId) -> Result<(), DbError> {
    let sql = Sql::new(
        "UPDATE vault_terms SET until_at = $2 WHERE until_at IS NULL
         AND vault_id IN (SELECT id FROM images WHERE backup_id = $1)",
    );
    let sql = sql.bind(backup).bind(tx.now());
    tx.execute("image_terms.end_of", sql).await.map(drop)
}
