//! Table `backup_sizes`: what disks' backups cost, counted from the repository now and then.
//!
//! Every change of a backup's state makes the sizes of all backups of its disk due again; so what is
//! shown is never older than the last change, and what is due is found without looking at the rest.

use std::collections::BTreeSet;

use cbr_model::backup::Content;
use cbr_model::size::Bytes;
use cbr_model::{BackupId, ProjectId, ResourceId};

use crate::backups::StoredDisk;
use crate::error::DbError;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// What was counted for a disk's backup. What is not known where chains share blocks is none.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CountedSizes {
    /// Blocks in use when it was made.
    pub used: Option<Bytes>,
    /// Blocks that differ from the backup before.
    pub changed: Option<Bytes>,
    /// What of the store only it needs.
    pub unique: Option<Bytes>,
    /// What of the store it and others need.
    pub shared: Option<Bytes>,
}

/// A disk whose backups' sizes are to be counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DueDisk {
    /// Whose.
    pub project: ProjectId,
    /// The disk.
    pub resource: ResourceId,
}

/// A page of what is to be counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DuePage {
    /// The disks, each once.
    pub disks: BTreeSet<DueDisk>,
    /// After which backup the next page begins; none: this was the last one.
    pub next: Option<BackupId>,
}

/// A backup of a disk, to be counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ToCount {
    /// The backup.
    pub backup: BackupId,
    /// The number of its last change.
    pub changes: i64,
    /// Where it lies; none for a server's own row, which has no content of its own.
    pub disk: Option<StoredDisk>,
}

/// The table of counted sizes.
#[derive(Debug)]
pub struct BackupSizes<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl BackupSizes<'_> {
    /// The sizes of a backup that is new here are to be counted.
    pub(crate) async fn add(&mut self, backup: BackupId) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO backup_sizes (backup_id, changes, counted) VALUES ($1, 1, 0)
             ON CONFLICT (backup_id) DO UPDATE SET changes = backup_sizes.changes + 1",
        );
        self.tx.execute("backup_sizes.add", sql.bind(backup)).await.map(drop)
    }

    /// The sizes of all backups of a disk are to be counted again.
    pub(crate) async fn touch(&mut self, due: DueDisk) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO backup_sizes (backup_id, changes, counted)
             SELECT b.id, 1, 0 FROM backups b
             WHERE b.project_id = $1 AND b.resource_id = $2 AND b.content IS NOT NULL
             ON CONFLICT (backup_id) DO UPDATE SET changes = backup_sizes.changes + 1",
        );
        let sql = sql.bind(due.project).bind(due.resource);
        self.tx.execute("backup_sizes.touch", sql).await.map(drop)
    }

    /// As [`BackupSizes::touch`], of all disks of a backup that is about to go.
    pub(crate) async fn touch_disks_of(
        &mut self,
        project: ProjectId,
        backup: BackupId,
    ) -> Result<(), DbError> {
        // Two lookups: with one of either column SQLite reads all of the project's backups.
        let sql = Sql::new(
            "SELECT resource_id FROM backups
             WHERE project_id = $1 AND id = $2 AND content IS NOT NULL
             UNION SELECT resource_id FROM backups
             WHERE project_id = $1 AND parent_id = $2 AND content IS NOT NULL",
        );
        let sql = sql.bind(project).bind(backup);
        let rows = self.tx.rows("backup_sizes.disks_of", "backups", sql).await?;
        for row in rows {
            self.touch(DueDisk { project, resource: row.id("resource_id")? }).await?;
        }
        Ok(())
    }

    /// Some disks whose backups' sizes are to be counted: those of at most `limit` backups that follow
    /// `after`. So what cannot be counted is in nobody's way.
    pub async fn due(&mut self, after: Option<BackupId>, limit: u32) -> Result<DuePage, DbError> {
        let mut sql = Sql::new(
            "SELECT s.backup_id, b.project_id, b.resource_id
             FROM (SELECT backup_id FROM backup_sizes WHERE counted <> changes",
        );
        if let Some(after) = after {
            sql.text(" AND backup_id > ").value(after);
        }
        sql.text(" ORDER BY backup_id LIMIT ").value(limit);
        sql.text(") s JOIN backups b ON b.id = s.backup_id ORDER BY s.backup_id");
        let rows = self.tx.rows("backup_sizes.due", "backup_sizes", sql).await?;
        let due = |row: &Row| {
            Ok(DueDisk { project: row.id("project_id")?, resource: row.id("resource_id")? })
        };
        let is_last = rows.len() < limit as usize;
        let last = rows.last().filter(|_| !is_last);
        Ok(DuePage {
            next: last.map(|row| row.id("backup_id")).transpose()?,
            disks: rows.iter().map(due).collect::<Result<_, DbError>>()?,
        })
    }

    /// All backups of a disk, or of a server, that have content.
    pub async fn of_disk(&mut self, due: DueDisk) -> Result<Vec<ToCount>, DbError> {
        let sql = Sql::new(
            "SELECT b.id, b.project_id, b.resource_id, b.created_at, b.protected_at, b.content,
                 s.changes
             FROM backups b JOIN backup_sizes s ON s.backup_id = b.id
             WHERE b.project_id = $1 AND b.resource_id = $2 AND b.content IS NOT NULL",
        );
        let sql = sql.bind(due.project).bind(due.resource);
        let rows = self.tx.rows("backup_sizes.of_disk", "backups", sql).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let disk = match row.json("content")? {
                Content::Disk(version) => Some(StoredDisk {
                    project: row.id("project_id")?,
                    backup: row.id("id")?,
                    resource: row.id("resource_id")?,
                    created_at: row.time("created_at")?,
                    protected_at: row.time_opt("protected_at")?,
                    version,
                }),
                Content::Server => None,
            };
            found.push(ToCount { backup: row.id("id")?, changes: row.int("changes")?, disk });
        }
        Ok(found)
    }

    /// Writes what was counted as of change number `changes`. If more has changed since then it
    /// still is due.
    pub async fn set(
        &mut self,
        backup: BackupId,
        changes: i64,
        sizes: CountedSizes,
    ) -> Result<(), DbError> {
        let sql = Sql::new(
            "UPDATE backup_sizes SET counted = $2, used_bytes = $3, changed_bytes = $4,
                 unique_bytes = $5, shared_bytes = $6
             WHERE backup_id = $1",
        )
        .bind(backup)
        .bind(changes)
        .bind(sizes.used)
        .bind(sizes.changed)
        .bind(sizes.unique)
        .bind(sizes.shared);
        self.tx.execute("backup_sizes.set", sql).await.map(drop)
    }
}
