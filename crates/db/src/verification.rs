//! Tables `scrubbed_objects`, `damaged_spots`, `backup_integrity`: what is known about the soundness
//! of what is stored.

use std::collections::BTreeMap;

use cbr_model::integrity::{Integrity, IntegrityState};
use cbr_model::resource::ResourceKind;
use cbr_model::{BackupId, ProjectId, ResourceId, Timestamp};

use crate::error::DbError;
use crate::row::{Row, to_json};
use crate::sql::Sql;
use crate::tx::Tx;

/// Damage that is known and not healed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DamagedSpot {
    /// What shares blocks with what, as the store names it.
    pub domain: String,
    /// The damaged thing, as the store names it.
    pub spot: String,
    /// The object it lies in.
    pub object: String,
    /// What is wrong with it.
    pub what: String,
    /// Since when it is known.
    pub found_at: Timestamp,
}

/// The tables of verification.
#[derive(Debug)]
pub struct Verification<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Verification<'_> {
    /// Notes that an object was read and found sound.
    pub async fn set_scrubbed(&mut self, object: &str, level: &str) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO scrubbed_objects (object, level, verified_at) VALUES ($1, $2, $3)
             ON CONFLICT (object) DO UPDATE SET level = excluded.level,
                 verified_at = excluded.verified_at",
        );
        let now = self.tx.now();
        let sql = sql.bind(object).bind(level).bind(now);
        self.tx.execute("verification.set_scrubbed", sql).await.map(drop)
    }

    /// How many objects were found sound at or after `since`.
    pub async fn count_scrubbed_since(&mut self, since: Timestamp) -> Result<i64, DbError> {
        let sql = Sql::new("SELECT COUNT(*) AS n FROM scrubbed_objects WHERE verified_at >= $1");
        let row = self.tx.row("verification.count", "scrubbed_objects", sql.bind(since)).await?;
        row.map_or(Ok(0), |row| row.int("n"))
    }

    /// Forgets objects that a whole pass since then has not come by: they are gone, or damaged.
    pub async fn forget_scrubbed_before(&mut self, before: Timestamp) -> Result<u64, DbError> {
        let sql = Sql::new("DELETE FROM scrubbed_objects WHERE verified_at < $1").bind(before);
        self.tx.execute("verification.forget_scrubbed", sql).await
    }

    /// All known damage of a domain.
    pub async fn damage_in(&mut self, domain: &str) -> Result<Vec<DamagedSpot>, DbError> {
        let sql = Sql::new("SELECT * FROM damaged_spots WHERE domain = $1 ORDER BY spot");
        let rows = self.tx.rows("verification.damage", "damaged_spots", sql.bind(domain)).await?;
        rows.iter().map(damaged).collect()
    }

    /// All known damage.
    pub async fn damage(&mut self) -> Result<Vec<DamagedSpot>, DbError> {
        let sql = Sql::new("SELECT * FROM damaged_spots ORDER BY domain, spot");
        let rows = self.tx.rows("verification.damage", "damaged_spots", sql).await?;
        rows.iter().map(damaged).collect()
    }

    /// Replaces what is known of a domain; damage that was known before keeps its date.
    pub async fn set_damage(&mut self, domain: &str, spots: &[DamagedSpot]) -> Result<(), DbError> {
        let before = self.damage_in(domain).await?;
        let sql = Sql::new("DELETE FROM damaged_spots WHERE domain = $1").bind(domain);
        self.tx.execute("verification.clear_damage", sql).await?;
        for spot in spots {
            let known = before.iter().find(|known| known.spot == spot.spot);
            let sql = Sql::new(
                "INSERT INTO damaged_spots (domain, spot, object, what, found_at)
                 VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(domain)
            .bind(&spot.spot)
            .bind(&spot.object)
            .bind(&spot.what)
            .bind(known.map_or(spot.found_at, |known| known.found_at));
            self.tx.execute("verification.set_damage", sql).await?;
        }
        Ok(())
    }

    /// What is known of a disk's backup in a project; `None`: nobody has looked yet.
    pub async fn integrity(
        &mut self,
        project: ProjectId,
        backup: BackupId,
    ) -> Result<Option<Integrity>, DbError> {
        let sql = Sql::new(
            "SELECT i.* FROM backup_integrity i JOIN backups b ON b.id = i.backup_id
             WHERE b.project_id = $1 AND b.id = $2",
        );
        let sql = sql.bind(project).bind(backup);
        let row = self.tx.row("verification.integrity", "backup_integrity", sql).await?;
        row.map(|row| integrity(&row)).transpose()
    }

    /// When the newest backup of each disk was ordered that is known to be whole, of every project.
    pub async fn newest_whole(&mut self) -> Result<BTreeMap<ResourceId, Timestamp>, DbError> {
        let sql = Sql::new(
            "SELECT b.resource_id, MAX(b.created_at) AS newest
             FROM backups b JOIN backup_integrity i ON i.backup_id = b.id
             WHERE i.state = 'ok' AND b.content IS NOT NULL GROUP BY b.resource_id",
        );
        let rows = self.tx.rows("verification.newest_whole", "backups", sql).await?;
        rows.iter().map(|row| Ok((row.id("resource_id")?, row.time("newest")?))).collect()
    }

    /// How many disks' backups are known to be damaged, of every project.
    pub async fn damaged_backups(&mut self) -> Result<u64, DbError> {
        let sql = Sql::new("SELECT COUNT(*) AS n FROM backup_integrity WHERE state = 'damaged'");
        self.tx.number("verification.damaged_backups", sql).await
    }

    /// The disks' backups among the next `limit` after `after` that were complete before `started` are whole as
    /// of then, unless they are known to be damaged; gives the last one that was looked at, if there may be more.
    /// In parts, because there may be a million, and others want to write meanwhile.
    pub async fn mark_whole(
        &mut self,
        started: Timestamp,
        after: Option<BackupId>,
        limit: u32,
    ) -> Result<Option<BackupId>, DbError> {
        let mut sql = Sql::new("SELECT id FROM backups WHERE 1 = 1");
        if let Some(after) = after {
            sql.text(" AND id > ").value(after);
        }
        sql.text(" ORDER BY id LIMIT 1 OFFSET ").value(limit.saturating_sub(1));
        let last: Option<BackupId> = self
            .tx
            .row("verification.mark_whole", "backups", sql)
            .await?
            .map(|row| row.id("id"))
            .transpose()?;
        let mut sql = Sql::new(
            "INSERT INTO backup_integrity (backup_id, state, verified_at, lost)
             SELECT b.id, 'ok', CAST($1 AS BIGINT), '[]' FROM backups b
             WHERE b.content IS NOT NULL AND b.resource_kind = $2 AND b.protected_at < $1
             AND NOT EXISTS (SELECT 1 FROM backup_integrity i
                 WHERE i.backup_id = b.id AND i.state = 'damaged')",
        )
        .bind(started)
        .bind(ResourceKind::Volume.as_str());
        if let Some(after) = after {
            sql.text(" AND b.id > ").value(after);
        }
        if let Some(last) = last {
            sql.text(" AND b.id <= ").value(last);
        }
        sql.text(
            " ON CONFLICT (backup_id) DO UPDATE SET state = excluded.state, lost = excluded.lost,
                 verified_at = CASE WHEN backup_integrity.verified_at > excluded.verified_at
                     THEN backup_integrity.verified_at ELSE excluded.verified_at END",
        );
        self.tx.execute("verification.mark_whole", sql).await?;
        Ok(last)
    }

    /// Sets what is known of a disk's backup, if it still is there.
    pub async fn set_integrity(
        &mut self,
        backup: BackupId,
        known: &Integrity,
    ) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO backup_integrity (backup_id, state, verified_at, lost)
             SELECT b.id, CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($4 AS TEXT) FROM backups b WHERE b.id = $1
             ON CONFLICT (backup_id) DO UPDATE SET state = excluded.state,
                 verified_at = excluded.verified_at, lost = excluded.lost",
        )
        .bind(backup)
        .bind(known.state.as_str())
        .bind(known.verified_at)
        .bind(to_json(&known.lost));
        self.tx.execute("verification.set_integrity", sql).await.map(drop)
    }
}

fn damaged(row: &Row) -> Result<DamagedSpot, DbError> {
    Ok(DamagedSpot {
        domain: row.text("domain")?,
        spot: row.text("spot")?,
        object: row.text("object")?,
        what: row.text("what")?,
        found_at: row.time("found_at")?,
    })
}

/// What a row says of a backup's soundness.
pub(crate) fn integrity(row: &Row) -> Result<Integrity, DbError> {
    Ok(Integrity {
        state: row.word("state", IntegrityState::from_str_exact)?,
        verified_at: row.time_opt("verified_at")?,
        lost: row.json("lost")?,
    })
}
