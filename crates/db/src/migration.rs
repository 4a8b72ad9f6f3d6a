//! Moves a resource with all that is kept of it from one vault to another, in the caller's transaction.
//!
//! A run may have taken several resources of the vault. What moves of it gets a run of its own in the
//! other vault: a run and its backups are always in the same vault, so that either vault can be
//! deleted without the other.

use cbr_model::resource::BoundResource;
use cbr_model::{CheckpointId, ResourceId, VaultId};

use crate::backups::{StoredDisk, each_stored_disk};
use crate::error::DbError;
use crate::sql::Sql;
use crate::tx::Tx;

/// What moves, and from where to where. Both vaults are of the same project.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Move {
    /// The resource.
    pub resource: ResourceId,
    /// The vault it is in.
    pub from: VaultId,
    /// The vault it shall be in.
    pub to: VaultId,
}

/// The runs of the resource in the vault that also took something that stays, in the catalogue or in
/// the trash.
const DIVIDED_RUNS: &str = "
    SELECT m.id FROM
        (SELECT checkpoint_id AS id FROM backups
         WHERE vault_id = $1 AND root_resource_id = $2
         UNION SELECT checkpoint_id AS id FROM trashed_backups
         WHERE vault_id = $1 AND root_resource_id = $2) m
    WHERE EXISTS (SELECT 1 FROM backups o WHERE o.checkpoint_id = m.id
                  AND (o.vault_id <> $1 OR o.root_resource_id <> $2))
       OR EXISTS (SELECT 1 FROM trashed_backups o WHERE o.checkpoint_id = m.id
                  AND (o.vault_id <> $1 OR o.root_resource_id <> $2))
    ORDER BY m.id";

/// A table of backups, and the one of their runs.
struct Tables {
    /// `$1`: the new run, `$2`: its vault, `$3`: the run, `$4`: its vault, `$5`: the resource.
    copy_run: &'static str,
    /// `$1`: the new run, `$2`: the run, `$3`: its vault, `$4`: the resource.
    use_copy: &'static str,
    /// `$1`: the run. What took only what moves is nothing any more.
    drop_empty: &'static str,
    /// `$1`: the other vault, `$2`: the vault, `$3`: the resource.
    move_runs: &'static str,
    /// The same.
    move_backups: &'static str,
}

macro_rules! tables {
    ($backups:literal, $runs:literal) => {
        Tables {
            copy_run: concat!(
                "INSERT INTO ",
                $runs,
                " (id, project_id, vault_id, name, description, retention_days, created_at, skipped)
                 SELECT $1, c.project_id, $2, c.name, c.description, c.retention_days, c.created_at, '[]'
                 FROM ",
                $runs,
                " c WHERE c.id = $3 AND EXISTS (SELECT 1 FROM ",
                $backups,
                " b WHERE b.checkpoint_id = $3 AND b.vault_id = $4 AND b.root_resource_id = $5)"
            ),
            use_copy: concat!(
                "UPDATE ",
                $backups,
                " SET checkpoint_id = $1
                 WHERE checkpoint_id = $2 AND vault_id = $3 AND root_resource_id = $4"
            ),
            drop_empty: concat!(
                "DELETE FROM ",
                $runs,
                " WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM ",
                $backups,
                " b WHERE b.checkpoint_id = $1)"
            ),
            move_runs: concat!(
                "UPDATE ",
                $runs,
                " SET vault_id = $1 WHERE vault_id = $2 AND id IN (SELECT b.checkpoint_id FROM ",
                $backups,
                " b WHERE b.vault_id = $2 AND b.root_resource_id = $3)"
            ),
            move_backups: concat!(
                "UPDATE ",
                $backups,
                " SET vault_id = $1 WHERE vault_id = $2 AND root_resource_id = $3"
            ),
        }
    };
}

const TABLES: [Tables; 2] =
    [tables!("backups", "checkpoints"), tables!("trashed_backups", "trashed_checkpoints")];

macro_rules! kept {
    ($table:literal) => {
        concat!(
            "SELECT id, project_id, resource_id, created_at, protected_at, content FROM ",
            $table,
            " WHERE vault_id = $1 AND root_resource_id = $2 AND content IS NOT NULL ORDER BY id"
        )
    };
}

/// Tables, and what is kept in them of a resource (`$2`) in a vault (`$1`).
const KEPT: [(&str, &str); 2] =
    [("backups", kept!("backups")), ("trashed_backups", kept!("trashed_backups"))];

/// Moves between vaults.
#[derive(Debug)]
pub struct Migration<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Migration<'_> {
    /// Moves the backups, the trash and the runs of the resource, and binds it to the other vault as
    /// `bound`; gives the number of backups that moved. `new_run` gives ids for runs that are divided.
    ///
    /// The resource is in the first vault, and both vaults exist.
    pub async fn apply(
        &mut self,
        wanted: Move,
        bound: &BoundResource,
        mut new_run: impl FnMut() -> CheckpointId + Send,
    ) -> Result<u64, DbError> {
        self.divide_runs(wanted, &mut new_run).await?;
        let Move { resource, from, to } = wanted;
        for tables in &TABLES {
            for text in [tables.move_runs, tables.move_backups] {
                let sql = Sql::new(text).bind(to).bind(from).bind(resource);
                self.tx.execute("migration.move", sql).await?;
            }
        }
        // What looks suspicious goes on holding the backups it is about.
        let sql =
            Sql::new("UPDATE anomalies SET vault_id = $1 WHERE vault_id = $2 AND resource_id = $3");
        self.tx.execute("migration.move", sql.bind(to).bind(from).bind(resource)).await?;
        let sql = Sql::new(
            "SELECT COUNT(*) AS n FROM backups
             WHERE vault_id = $1 AND root_resource_id = $2 AND parent_id IS NULL",
        );
        let sql = sql.bind(to).bind(resource);
        let moved = self.tx.number("migration.apply", sql).await?;
        self.tx.bindings().delete(from, resource).await?;
        self.tx.bindings().insert(to, bound).await?;
        Ok(moved)
    }

    /// The disks that are kept of the resource in the vault, in the catalogue and in the trash.
    pub async fn kept(
        &mut self,
        vault: VaultId,
        resource: ResourceId,
    ) -> Result<Vec<StoredDisk>, DbError> {
        let mut kept = Vec::new();
        for (table, text) in KEPT {
            let sql = Sql::new(text).bind(vault).bind(resource);
            let name = ("migration.kept", table);
            each_stored_disk(self.tx, name, sql, |disk| kept.push(disk)).await?;
        }
        Ok(kept)
    }

    /// Whether an application-consistent backup of the resource is in the vault, or in its trash (RES-28).
    pub async fn has_app_consistent(
        &mut self,
        vault: VaultId,
        resource: ResourceId,
    ) -> Result<bool, DbError> {
        let sql = Sql::new(
            "SELECT (SELECT COUNT(*) FROM backups
                     WHERE vault_id = $1 AND root_resource_id = $2 AND app_consistent = 1)
                 + (SELECT COUNT(*) FROM trashed_backups
                     WHERE vault_id = $1 AND root_resource_id = $2 AND app_consistent = 1) AS n",
        );
        let sql = sql.bind(vault).bind(resource);
        Ok(self.tx.number("migration.has_app_consistent", sql).await? > 0)
    }

    async fn divide_runs(
        &mut self,
        wanted: Move,
        new_run: &mut (impl FnMut() -> CheckpointId + Send),
    ) -> Result<(), DbError> {
        let Move { resource, from, to } = wanted;
        let divided = Sql::new(DIVIDED_RUNS).bind(from).bind(resource);
        for row in self.tx.rows("migration.divided_runs", "checkpoints", divided).await? {
            let run: CheckpointId = row.id("id")?;
            let copy = new_run();
            for tables in &TABLES {
                let sql = Sql::new(tables.copy_run);
                let sql = sql.bind(copy).bind(to).bind(run).bind(from).bind(resource);
                self.tx.execute("migration.copy_run", sql).await?;
                let sql = Sql::new(tables.use_copy).bind(copy).bind(run).bind(from).bind(resource);
                self.tx.execute("migration.use_copy", sql).await?;
                let sql = Sql::new(tables.drop_empty).bind(run);
                self.tx.execute("migration.drop_empty", sql).await?;
            }
        }
        Ok(())
    }
}
