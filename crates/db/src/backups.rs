//! Table `backups`: a server's backup is a row, each of its disks another under it.

use cbr_model::backup::{AppConsistency, Backup, Content, StoredVersion};
use cbr_model::metadata::BackupMetadata;
use cbr_model::query::{BackupFilter, Listing, Page};
use cbr_model::{BackupId, ProjectId, ResourceId, Timestamp};

use crate::backup_days;
use crate::backup_filter;
use crate::backup_rows::{self, ConsistencyColumns, StateColumns};
use crate::backup_sizes::DueDisk;
use crate::engine::Engine;
use crate::error::DbError;
use crate::listing::{Listed, Matches};
use crate::row::to_json;
use crate::sql::Sql;
use crate::tx::Tx;

/// A disk's restore point, as the catalogue knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredDisk {
    /// The project of its backup.
    pub project: ProjectId,
    /// The backup.
    pub backup: BackupId,
    /// The disk it is of.
    pub resource: ResourceId,
    /// When it was ordered.
    pub created_at: Timestamp,
    /// When it was complete.
    pub protected_at: Option<Timestamp>,
    /// Where it lies in the store.
    pub version: StoredVersion,
}

/// The table of backups.
#[derive(Debug)]
pub struct Backups<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Backups<'_> {
    /// Adds a backup and its children. A child alone goes behind its siblings.
    pub async fn insert(&mut self, backup: &Backup) -> Result<(), DbError> {
        self.insert_one(backup).await?;
        for child in &backup.children {
            self.insert_one(child).await?;
        }
        Ok(())
    }

    async fn insert_one(&mut self, backup: &Backup) -> Result<(), DbError> {
        let state = StateColumns::from(&backup.state);
        let consistency = ConsistencyColumns::from(backup.app_consistency.as_ref());
        let sql = Sql::new(
            "INSERT INTO backups (id, project_id, vault_id, checkpoint_id, parent_id, name, description,
                 resource_id, resource_name, resource_kind, resource_size_gib, resource_az, status,
                 content, error, logical_bytes, incremental, auto_trigger, system_disk, created_at,
                 updated_at, protected_at, expired_at, encrypted, app_consistent,
                 app_consistency_code, app_consistency_message, position, root_resource_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                 $18, $19, $20, $21, $22, $23, $24, $25, $26, $27,
                 (SELECT COUNT(*) FROM backups s WHERE s.parent_id = $5),
                 COALESCE((SELECT p.root_resource_id FROM backups p WHERE p.id = $5), $8))",
        )
        .bind(backup.id)
        .bind(backup.project)
        .bind(backup.vault)
        .bind(backup.checkpoint)
        .bind(backup.parent)
        .bind(backup.name.as_str())
        .bind(&backup.description)
        .bind(backup.resource)
        .bind(&backup.resource_name)
        .bind(backup.resource_kind.as_str())
        .bind(backup.resource_size)
        .bind(&backup.resource_az)
        .bind(state.status)
        .bind(state.content)
        .bind(state.error)
        .bind(state.logical_bytes)
        .bind(backup.incremental)
        .bind(backup.auto_trigger)
        .bind(backup.system_disk)
        .bind(backup.created_at)
        .bind(backup.updated_at)
        .bind(backup.protected_at)
        .bind(backup.expired_at)
        .bind(backup.encrypted)
        .bind(consistency.is_reached)
        .bind(consistency.code)
        .bind(consistency.message);
        self.tx.execute("backups.insert", sql).await?;
        if backup.state.content().is_some() {
            self.tx.backup_sizes().add(backup.id).await?;
        }
        Ok(())
    }

    /// A project's backup with this id, with its children. Finds a child too.
    pub async fn find(
        &mut self,
        project: ProjectId,
        id: BackupId,
    ) -> Result<Option<Backup>, DbError> {
        let mut sql = Sql::new(backup_rows::SELECT);
        sql.text("FROM backups t WHERE t.project_id = ").value(project);
        sql.and_equal("t.id", Some(id));
        let rows = self.tx.rows("backups.find", "backups", sql).await?;
        Ok(backup_rows::load(self.tx, &rows).await?.pop())
    }

    /// Whether any project has a backup with this id, also in the trash.
    pub async fn is_taken(&mut self, id: BackupId) -> Result<bool, DbError> {
        let sql = Sql::new(
            "SELECT (SELECT COUNT(*) FROM backups WHERE id = $1)
                 + (SELECT COUNT(*) FROM trashed_backups WHERE id = $1) AS n",
        );
        Ok(self.tx.number("backups.is_taken", sql.bind(id)).await? > 0)
    }

    /// These backups with their children, whoever's they are: for what a project made of them.
    pub async fn find_all(&mut self, ids: &[BackupId]) -> Result<Vec<Backup>, DbError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = Sql::new(backup_rows::SELECT);
        sql.text("FROM backups t WHERE 1 = 1").and_one_of("t.id", ids.iter().copied());
        let rows = self.tx.rows("backups.find_all", "backups", sql).await?;
        backup_rows::load(self.tx, &rows).await
    }

    /// A page of a project's backups, or of those it was offered, with their children (contract C27).
    pub async fn list(
        &mut self,
        project: ProjectId,
        filter: &BackupFilter,
        page: &Page,
    ) -> Result<Listing<Backup>, DbError> {
        let matches = match backup_filter::counted(project, filter) {
            Some(sql) => Matches::Counted(self.tx.number("backups.count", sql).await?),
            None if backup_filter::is_search(filter) => Matches::SearchedFor,
            None => Matches::Uncounted,
        };
        let nearer = match matches {
            Matches::Counted(total) if page.marker.is_none() && page.offset >= total => {
                return Ok(Listing { rows: Vec::new(), total });
            }
            Matches::Counted(_) => backup_days::nearer(self.tx, project, filter, page).await?,
            Matches::Uncounted | Matches::SearchedFor => None,
        };
        let (filter, page) = nearer.as_ref().map_or((filter, page), |(near, page)| (near, page));
        let listed = Listed {
            name: "backups.list",
            table: "backups",
            select: backup_rows::SELECT,
            project,
            matching: backup_filter::matching(self.tx.engine(), project, filter),
            keys: backup_filter::sort_keys(&filter.sort),
        };
        let whose = backup_filter::own_or_offered;
        let (rows, total) = listed.page_in(self.tx, page, whose, matches).await?;
        Ok(Listing { rows: backup_rows::load(self.tx, &rows).await?, total })
    }

    /// Whether a part of a name is found by an index. On SQLite, where every name is looked at, there is
    /// nothing to set up, so nothing is missing.
    pub async fn has_name_index(&mut self) -> Result<bool, DbError> {
        if self.tx.engine() == Engine::Sqlite {
            return Ok(true);
        }
        let sql = Sql::new(
            "SELECT COUNT(*) AS n FROM pg_indexes
             WHERE schemaname = CURRENT_SCHEMA() AND indexname = 'backups_names'",
        );
        Ok(self.tx.number("backups.has_name_index", sql).await? > 0)
    }

    /// Writes what can change of a backup (not of its children) if its status is
    /// `expected`; says whether it was. Also sets `updated_at` to now, and withdraws what is shared
    /// of a backup whose deletion begins (SHR-11). The deletion of a good backup that has an image
    /// never begins, whoever wants it (IMG-06).
    ///
    /// Identity, place and creation time of a backup never change.
    pub async fn update(&mut self, backup: &Backup, expected: &str) -> Result<bool, DbError> {
        let state = StateColumns::from(&backup.state);
        let sql = Sql::new(
            "UPDATE backups SET name = $4, description = $5, resource_name = $6,
                 resource_size_gib = $7, status = $8, content = $9, error = $10,
                 logical_bytes = $11, incremental = $12, system_disk = $13, protected_at = $14,
                 expired_at = $15, updated_at = $16
             WHERE project_id = $1 AND id = $2 AND status = $3
             AND ($8 <> 'deleting' OR $3 = 'error' OR NOT EXISTS (
                 SELECT 1 FROM images i WHERE i.backup_id = $2 OR i.backup_id = $17))",
        )
        .bind(backup.project)
        .bind(backup.id)
        .bind(expected)
        .bind(backup.name.as_str())
        .bind(&backup.description)
        .bind(&backup.resource_name)
        .bind(backup.resource_size)
        .bind(state.status)
        .bind(state.content)
        .bind(state.error)
        .bind(state.logical_bytes)
        .bind(backup.incremental)
        .bind(backup.system_disk)
        .bind(backup.protected_at)
        .bind(backup.expired_at)
        .bind(self.tx.now())
        .bind(backup.parent);
        let is_changed = self.tx.execute_one("backups.update", sql).await?;
        // A restore changes nothing of what is stored.
        let is_restore = [state.status, expected].contains(&"restoring");
        if is_changed && state.status != expected && !is_restore {
            let due = DueDisk { project: backup.project, resource: backup.resource };
            self.tx.backup_sizes().touch(due).await?;
        }
        if is_changed && state.status == "deleting" {
            self.tx.members().withdraw(backup.id).await?;
            self.tx.images().forget(backup.id).await?;
        }
        Ok(is_changed)
    }

    /// Notes what came of the wish for a database backup.
    pub async fn set_app_consistency(
        &mut self,
        id: BackupId,
        what: &AppConsistency,
    ) -> Result<bool, DbError> {
        let columns = ConsistencyColumns::from(Some(what));
        let sql = Sql::new(
            "UPDATE backups SET app_consistent = $2, app_consistency_code = $3,
                 app_consistency_message = $4
             WHERE id = $1",
        );
        let sql = sql.bind(id).bind(columns.is_reached).bind(columns.code).bind(columns.message);
        self.tx.execute_one("backups.set_app_consistency", sql).await
    }

    /// Notes how the resource was set up when the backup was made.
    pub async fn set_metadata(
        &mut self,
        id: BackupId,
        metadata: &BackupMetadata,
    ) -> Result<bool, DbError> {
        let sql = Sql::new("UPDATE backups SET metadata = $2 WHERE id = $1");
        let sql = sql.bind(id).bind(to_json(metadata));
        self.tx.execute_one("backups.set_metadata", sql).await
    }

    /// How the resource of a project's backup was set up, if that was noted.
    pub async fn metadata(
        &mut self,
        project: ProjectId,
        id: BackupId,
    ) -> Result<Option<BackupMetadata>, DbError> {
        let sql = Sql::new("SELECT id, metadata FROM backups WHERE project_id = $1 AND id = $2");
        let sql = sql.bind(project).bind(id);
        let row = self.tx.row("backups.metadata", "backups", sql).await?;
        row.map_or(Ok(None), |row| row.json_opt("metadata"))
    }

    /// Removes a backup with its children if its status is `expected`; says whether it was.
    pub async fn delete(
        &mut self,
        project: ProjectId,
        id: BackupId,
        expected: &str,
    ) -> Result<bool, DbError> {
        self.tx.backup_sizes().touch_disks_of(project, id).await?;
        let sql = Sql::new("DELETE FROM backups WHERE project_id = $1 AND id = $2 AND status = $3");
        let sql = sql.bind(project).bind(id).bind(expected);
        self.tx.execute_one("backups.delete", sql).await
    }

    /// Every disk of every project that has content in the store, to compare the two.
    pub async fn stored_disks(&mut self) -> Result<Vec<StoredDisk>, DbError> {
        let mut disks = Vec::new();
        self.each_stored_disk(|disk| disks.push(disk)).await?;
        Ok(disks)
    }

    /// The same one after the other: there may be a million.
    pub async fn each_stored_disk(
        &mut self,
        each: impl FnMut(StoredDisk) + Send,
    ) -> Result<(), DbError> {
        let sql = Sql::new(
            "SELECT id, project_id, resource_id, created_at, protected_at, content FROM backups
             WHERE content IS NOT NULL ORDER BY id",
        );
        each_stored_disk(self.tx, ("backups.stored_disks", "backups"), sql, each).await
    }
}

/// The disks among the rows of a query over backups.
pub(crate) async fn each_stored_disk(
    tx: &mut Tx,
    (name, table): (&'static str, &'static str),
    sql: Sql,
    mut each: impl FnMut(StoredDisk) + Send,
) -> Result<(), DbError> {
    tx.each(name, table, sql, |row| {
        if let Content::Disk(version) = row.json("content")? {
            each(StoredDisk {
                project: row.id("project_id")?,
                backup: row.id("id")?,
                resource: row.id("resource_id")?,
                created_at: row.time("created_at")?,
                protected_at: row.time_opt("protected_at")?,
                version,
            });
        }
        Ok(())
    })
    .await
}
