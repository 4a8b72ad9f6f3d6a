//! Questions about many backups at once: until when a vault keeps them, and what each resource has.

use cbr_model::query::Page;
use cbr_model::resource::ResourceKind;
use cbr_model::size::Bytes;
use cbr_model::{BackupId, ProjectId, ResourceId, Timestamp, VaultId};

use crate::error::DbError;
use crate::sql::Sql;
use crate::tx::Tx;

/// A backup that is kept until a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeptUntil {
    /// The backup; never a disk of a server's backup.
    pub backup: BackupId,
    /// Whether a policy made it.
    pub auto_trigger: bool,
    /// Until when.
    pub end: Timestamp,
}

/// What a backup, or one disk of it, takes of its vault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TakenSpace {
    /// When it was made.
    pub made: Timestamp,
    /// Until when it is kept; none: for ever, or by its number.
    pub end: Option<Timestamp>,
    /// Its logical size.
    pub bytes: Bytes,
}

/// What the backups of a resource take, in all vaults of a project together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResourceUsage {
    /// The resource.
    pub resource: ResourceId,
    /// Its name when it was last backed up.
    pub name: String,
    /// What it is.
    pub kind: ResourceKind,
    /// How many backups it has.
    pub backups: u64,
    /// Their logical size.
    pub bytes: Bytes,
}

/// Questions over the table of backups.
#[derive(Debug)]
pub struct VaultBackups<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl VaultBackups<'_> {
    /// The backups of a vault that are kept until a time, in order of their ids.
    pub async fn kept_until(&mut self, vault: VaultId) -> Result<Vec<KeptUntil>, DbError> {
        let sql = Sql::new(
            "SELECT id, auto_trigger, expired_at FROM backups
             WHERE vault_id = $1 AND parent_id IS NULL AND expired_at IS NOT NULL
             AND status <> 'deleting' ORDER BY id",
        );
        let rows = self.tx.rows("vault_backups.kept_until", "backups", sql.bind(vault)).await?;
        rows.iter()
            .map(|row| {
                Ok(KeptUntil {
                    backup: row.id("id")?,
                    auto_trigger: row.flag("auto_trigger")?,
                    end: row.time("expired_at")?,
                })
            })
            .collect()
    }

    /// What each backup and each disk of a vault takes of it, oldest first.
    pub async fn taken(&mut self, vault: VaultId) -> Result<Vec<TakenSpace>, DbError> {
        let sql = Sql::new(
            "SELECT created_at, expired_at, logical_bytes FROM backups
             WHERE vault_id = $1 AND logical_bytes > 0 ORDER BY created_at, id",
        );
        let rows = self.tx.rows("vault_backups.taken", "backups", sql.bind(vault)).await?;
        rows.iter()
            .map(|row| {
                Ok(TakenSpace {
                    made: row.time("created_at")?,
                    end: row.time_opt("expired_at")?,
                    bytes: row.bytes("logical_bytes")?,
                })
            })
            .collect()
    }

    /// Keeps all of them, with their disks, until `end`.
    pub async fn keep_until(&mut self, vault: VaultId, end: Timestamp) -> Result<(), DbError> {
        let sql = Sql::new(
            "UPDATE backups SET expired_at = $2, updated_at = $3
             WHERE vault_id = $1 AND expired_at IS NOT NULL AND status <> 'deleting'",
        );
        let sql = sql.bind(vault).bind(end).bind(self.tx.now());
        self.tx.execute("vault_backups.keep_until", sql).await.map(drop)
    }

    /// A backup of the vault that a policy made and that has not expired at the transaction's time.
    /// Failed ones hold nothing and do not count.
    pub async fn unexpired_automatic(
        &mut self,
        vault: VaultId,
    ) -> Result<Option<BackupId>, DbError> {
        let sql = Sql::new(
            "SELECT id FROM backups
             WHERE vault_id = $1 AND parent_id IS NULL AND auto_trigger = 1 AND content IS NOT NULL
             AND (expired_at IS NULL OR expired_at > $2) ORDER BY created_at, id LIMIT 1",
        );
        let sql = sql.bind(vault).bind(self.tx.now());
        let row = self.tx.row("vault_backups.unexpired_automatic", "backups", sql).await?;
        row.map(|row| row.id("id")).transpose()
    }

    /// What each resource of a project has in backups, in order of the resources' ids, and how many
    /// resources there are without paging (contract C64).
    pub async fn usage(
        &mut self,
        project: ProjectId,
        resource: Option<ResourceId>,
        kind: Option<ResourceKind>,
        page: &Page,
    ) -> Result<(Vec<ResourceUsage>, u64), DbError> {
        let mut sql = Sql::new("FROM backup_counts c WHERE c.project_id = $1").bind(project);
        sql.and_equal("c.resource_id", resource);
        sql.and_equal("c.kind", kind.map(ResourceKind::as_str)).text(" GROUP BY c.resource_id");
        let count = sql.wrapped("SELECT COUNT(*) AS n FROM (SELECT c.resource_id ", ") r");
        let total = self.tx.number("vault_backups.usage", count).await?;
        let mut sql = sql.wrapped(
            "SELECT c.resource_id AS resource, MAX(c.kind) AS kind,
                 CAST(SUM(c.backups) AS BIGINT) AS backups, CAST(SUM(c.bytes) AS BIGINT) AS bytes,
                 (SELECT n.resource_name FROM backups n
                  WHERE n.project_id = $1 AND n.resource_id = c.resource_id
                  AND n.parent_id IS NULL ORDER BY n.created_at DESC, n.id LIMIT 1) AS name ",
            " ORDER BY c.resource_id",
        );
        sql.text(" LIMIT ").value(page.limit).text(" OFFSET ").value(page.offset);
        let rows = self.tx.rows("vault_backups.usage", "backups", sql).await?;
        let usage = rows.iter().map(|row| {
            Ok(ResourceUsage {
                resource: row.id("resource")?,
                name: row.text("name")?,
                kind: row.word("kind", ResourceKind::from_str_exact)?,
                backups: row.count("backups")?,
                bytes: row.bytes("bytes")?,
            })
        });
        Ok((usage.collect::<Result<_, DbError>>()?, total))
    }
}
