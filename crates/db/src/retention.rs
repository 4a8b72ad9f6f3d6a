//! Tables `expired_backups`, `backup_holds`, and what of `backups` retention looks at.

use std::collections::HashMap;

use cbr_model::retention::{Hold, HoldKind, RemoveReason};
use cbr_model::{BackupId, ProjectId, ResourceId, Timestamp, VaultId};

use crate::error::DbError;
use crate::row::Row;
use crate::sql::{Sql, VALUES_MAX};
use crate::tx::Tx;

/// A backup as retention sees it; never a disk of a server's backup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetainedBackup {
    /// The backup.
    pub id: BackupId,
    /// Its name.
    pub name: String,
    /// What it is of.
    pub resource: ResourceId,
    /// The resource's name.
    pub resource_name: String,
    /// The word of its state.
    pub status: String,
    /// Whether a policy made it.
    pub auto_trigger: bool,
    /// When it was ordered.
    pub created_at: Timestamp,
    /// Until when it is kept, as stamped.
    pub expired_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// What has been decided about it when another one was complete.
    pub decided: Option<RemoveReason>,
    /// What keeps it.
    pub holds: Vec<HoldKind>,
    /// A backup of its resource looks suspicious, and nobody has confirmed it.
    pub is_suspected: bool,
}

/// A resource in a vault some backup of which may be at its end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DueResource {
    /// The project of the vault.
    pub project: ProjectId,
    /// The vault.
    pub vault: VaultId,
    /// The resource.
    pub resource: ResourceId,
}

/// The tables of retention.
#[derive(Debug)]
pub struct Retention<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Retention<'_> {
    /// All backups of a resource in a vault, oldest first.
    pub async fn of_resource(
        &mut self,
        vault: VaultId,
        resource: ResourceId,
    ) -> Result<Vec<RetainedBackup>, DbError> {
        let sql = Sql::new(
            "SELECT b.id, b.name, b.resource_id, b.resource_name, b.status, b.auto_trigger,
                 b.created_at, b.expired_at, b.updated_at, e.rule,
                 (SELECT COUNT(*) FROM images i WHERE i.backup_id = b.id) AS images
             FROM backups b LEFT JOIN expired_backups e ON e.backup_id = b.id
             WHERE b.vault_id = $1 AND b.root_resource_id = $2 AND b.parent_id IS NULL
             ORDER BY b.created_at, b.id",
        );
        let sql = sql.bind(vault).bind(resource);
        let rows = self.tx.rows("retention.of_resource", "backups", sql).await?;
        let mut backups = rows.iter().map(retained).collect::<Result<Vec<_>, _>>()?;
        let sql = Sql::new(
            "SELECT h.backup_id, h.kind FROM backup_holds h JOIN backups b ON b.id = h.backup_id
             WHERE b.vault_id = $1 AND b.root_resource_id = $2 ORDER BY h.kind",
        );
        let sql = sql.bind(vault).bind(resource);
        let mut holds: HashMap<BackupId, Vec<HoldKind>> = HashMap::new();
        for row in self.tx.rows("retention.holds_of", "backup_holds", sql).await? {
            holds.entry(row.id("backup_id")?).or_default().push(kind(&row)?);
        }
        let is_suspected = self.tx.anomalies().is_open(vault, resource).await?;
        for backup in &mut backups {
            backup.is_suspected = is_suspected;
            backup.holds.extend(holds.remove(&backup.id).unwrap_or_default());
        }
        Ok(backups)
    }

    /// The resources that have backups in a vault, in order of their ids, also those that are bound no
    /// more; at most `limit` after `after`.
    pub async fn resources(
        &mut self,
        vault: VaultId,
        after: Option<ResourceId>,
        limit: u32,
    ) -> Result<Vec<ResourceId>, DbError> {
        let mut sql = Sql::new(
            "SELECT DISTINCT root_resource_id FROM backups WHERE vault_id = $1 AND parent_id IS NULL",
        )
        .bind(vault);
        if let Some(after) = after {
            sql.text(" AND root_resource_id > ").value(after);
        }
        sql.text(" ORDER BY root_resource_id LIMIT ").value(limit);
        let rows = self.tx.rows("retention.resources", "backups", sql).await?;
        rows.iter().map(|row| row.id("root_resource_id")).collect()
    }

    /// Resources with backups whose end has come, about which it has been decided, or that failed
    /// before `failed_before`; at most `limit` after `after`.
    pub async fn due(
        &mut self,
        now: Timestamp,
        failed_before: Timestamp,
        after: Option<&DueResource>,
        limit: u32,
    ) -> Result<Vec<DueResource>, DbError> {
        let mut sql = Sql::new(
            "SELECT d.project_id, d.vault_id, d.resource_id FROM (
                 SELECT project_id, vault_id, resource_id FROM backups
                 WHERE parent_id IS NULL AND expired_at <= $1 AND status IN ('available', 'error')
                 UNION
                 SELECT project_id, vault_id, resource_id FROM backups
                 WHERE id IN (SELECT backup_id FROM expired_backups) AND status IN ('available', 'error')
                 UNION
                 SELECT project_id, vault_id, resource_id FROM backups
                 WHERE parent_id IS NULL AND status = 'error' AND auto_trigger = 1
                 AND created_at <= $2) d WHERE 1 = 1",
        )
        .bind(now)
        .bind(failed_before);
        if let Some(after) = after {
            sql.text(" AND (d.vault_id, d.resource_id) > (").value(after.vault).text(", ");
            sql.value(after.resource).text(")");
        }
        sql.text(" ORDER BY d.vault_id, d.resource_id LIMIT ").value(limit);
        let rows = self.tx.rows("retention.due", "backups", sql).await?;
        rows.iter()
            .map(|row| {
                Ok(DueResource {
                    project: row.id("project_id")?,
                    vault: row.id("vault_id")?,
                    resource: row.id("resource_id")?,
                })
            })
            .collect()
    }

    /// Notes that a backup is at its end: it counts no more, and is deleted in the next window.
    pub async fn expire(&mut self, backup: BackupId, rule: RemoveReason) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO expired_backups (backup_id, rule, since) VALUES ($1, $2, $3)
             ON CONFLICT (backup_id) DO NOTHING",
        );
        let sql = sql.bind(backup).bind(rule.as_str()).bind(self.tx.now());
        self.tx.execute("retention.expire", sql).await.map(drop)
    }

    /// Takes back what was noted about these backups.
    pub async fn spare(&mut self, backups: &[BackupId]) -> Result<(), DbError> {
        for part in backups.chunks(VALUES_MAX) {
            let mut sql = Sql::new("DELETE FROM expired_backups WHERE 1 = 1");
            sql.and_one_of("backup_id", part.iter().copied());
            self.tx.execute("retention.spare", sql).await?;
        }
        Ok(())
    }

    /// Keeps a backup whatever its policy says. What kept it for the same reason is replaced.
    pub async fn hold(&mut self, backup: BackupId, hold: &Hold) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO backup_holds (backup_id, kind, note, since) VALUES ($1, $2, $3, $4)
             ON CONFLICT (backup_id, kind) DO UPDATE SET note = excluded.note",
        )
        .bind(backup)
        .bind(hold.kind.as_str())
        .bind(&hold.note)
        .bind(hold.since);
        self.tx.execute("retention.hold", sql).await.map(drop)
    }

    /// Keeps it no longer for this reason; says whether it was.
    pub async fn release(&mut self, backup: BackupId, kind: HoldKind) -> Result<bool, DbError> {
        let sql = Sql::new("DELETE FROM backup_holds WHERE backup_id = $1 AND kind = $2");
        self.tx.execute_one("retention.release", sql.bind(backup).bind(kind.as_str())).await
    }

    /// Keeps every backup that has not failed, because a rebuild found some that the database had lost; says
    /// how many it did not keep already.
    pub async fn hold_rebuilt(&mut self) -> Result<u64, DbError> {
        let sql = Sql::new(
            "INSERT INTO backup_holds (backup_id, kind, note, since)
             SELECT id, 'rebuilt', '', $1 FROM backups WHERE parent_id IS NULL AND status <> 'error'
             ON CONFLICT (backup_id, kind) DO NOTHING",
        );
        self.tx.execute("retention.hold_rebuilt", sql.bind(self.tx.now())).await
    }

    /// Leaves what rebuilds found to its policies again; says how many backups that are.
    pub async fn release_rebuilt(&mut self) -> Result<u64, DbError> {
        let sql = Sql::new("DELETE FROM backup_holds WHERE kind = 'rebuilt'");
        self.tx.execute("retention.release_rebuilt", sql).await
    }

    /// How many backups are kept because a rebuild found them.
    pub async fn count_rebuilt(&mut self) -> Result<u64, DbError> {
        let sql = Sql::new("SELECT COUNT(*) AS n FROM backup_holds WHERE kind = 'rebuilt'");
        self.tx.number("retention.count_rebuilt", sql).await
    }

    /// Whether one of them is in a vault.
    pub async fn is_rebuilt_in(&mut self, vault: VaultId) -> Result<bool, DbError> {
        let sql = Sql::new(
            "SELECT COUNT(*) AS n FROM backups b WHERE b.vault_id = $1 AND EXISTS
                 (SELECT 1 FROM backup_holds h WHERE h.backup_id = b.id AND h.kind = 'rebuilt')",
        );
        Ok(self.tx.number("retention.is_rebuilt_in", sql.bind(vault)).await? > 0)
    }

    /// What keeps a backup.
    pub async fn holds(&mut self, backup: BackupId) -> Result<Vec<Hold>, DbError> {
        let sql = Sql::new("SELECT * FROM backup_holds WHERE backup_id = $1 ORDER BY kind");
        let rows = self.tx.rows("retention.holds", "backup_holds", sql.bind(backup)).await?;
        rows.iter()
            .map(|row| {
                let (kind, note) = (kind(row)?, row.text("note")?);
                Ok(Hold { kind, note, since: row.time("since")? })
            })
            .collect()
    }
}

fn retained(row: &Row) -> Result<RetainedBackup, DbError> {
    let rule = row.text_opt("rule")?;
    let decided = rule.map(|word| {
        let known = RemoveReason::from_str_exact(&word);
        known.ok_or_else(|| row.inconsistent("rule", format!("unknown word `{word}`")))
    });
    Ok(RetainedBackup {
        id: row.id("id")?,
        name: row.text("name")?,
        resource: row.id("resource_id")?,
        resource_name: row.text("resource_name")?,
        updated_at: row.time("updated_at")?,
        status: row.text("status")?,
        auto_trigger: row.flag("auto_trigger")?,
        created_at: row.time("created_at")?,
        expired_at: row.time_opt("expired_at")?,
        decided: decided.transpose()?,
        // An image needs it (RET-12).
        holds: if row.count("images")? > 0 { vec![HoldKind::Image] } else { Vec::new() },
        is_suspected: false,
    })
}

fn kind(row: &Row) -> Result<HoldKind, DbError> {
    row.word("kind", HoldKind::from_str_exact)
}
