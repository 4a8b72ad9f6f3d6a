//! What is known of backups beside themselves: what they cost, and whether they are whole.

use std::collections::BTreeMap;

use cbr_model::integrity::Integrity;
use cbr_model::{BackupId, ProjectId};

use crate::backup_sizes::CountedSizes;
use crate::backups::Backups;
use crate::error::DbError;
use crate::row::Row;
use crate::sql::{Sql, VALUES_MAX};
use crate::verification::integrity;

/// What is known of a disk's backup beside itself.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct BackupExtras {
    /// Nothing, if they are to be counted again.
    pub sizes: CountedSizes,
    /// Unknown, if nobody has looked yet.
    pub integrity: Integrity,
}

impl Backups<'_> {
    /// What is known of these backups of a project; those of others are not in it.
    pub async fn extras(
        &mut self,
        project: ProjectId,
        backups: &[BackupId],
    ) -> Result<BTreeMap<BackupId, BackupExtras>, DbError> {
        let mut found = BTreeMap::new();
        for part in backups.chunks(VALUES_MAX) {
            for row in self.tx.rows("backups.extras", "backups", query(project, part)).await? {
                found.insert(row.id("id")?, extras(&row)?);
            }
        }
        Ok(found)
    }
}

/// The project is compared as an expression, as where a list is asked for by ids.
pub(crate) fn query(project: ProjectId, backups: &[BackupId]) -> Sql {
    let mut sql = Sql::new(
        "SELECT t.id, s.used_bytes, s.changed_bytes, s.unique_bytes, s.shared_bytes,
             i.state, i.verified_at, i.lost
         FROM backups t
         LEFT JOIN backup_sizes s ON s.backup_id = t.id AND s.counted = s.changes
         LEFT JOIN backup_integrity i ON i.backup_id = t.id
         WHERE t.project_id || '' = $1",
    )
    .bind(project);
    sql.and_one_of("t.id", backups.iter().copied());
    sql
}

fn extras(row: &Row) -> Result<BackupExtras, DbError> {
    let is_known = row.text_opt("state")?.is_some();
    Ok(BackupExtras {
        sizes: CountedSizes {
            used: row.bytes_opt("used_bytes")?,
            changed: row.bytes_opt("changed_bytes")?,
            unique: row.bytes_opt("unique_bytes")?,
            shared: row.bytes_opt("shared_bytes")?,
        },
        integrity: if is_known { integrity(row)? } else { Integrity::default() },
    })
}
