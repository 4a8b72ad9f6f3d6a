//! Tables `scrubbed_objects`, `damaged_spots`, `backup_integrity`: what is known about the soundness
//! of what is stored.

use std::collections::BTreeMap;

use cbr_model::integrity::{Integrity, IntegrityState};
use cbr_model::{BackupId, ProjectId, Timestamp};

use crate::error::DbError;
use crate::row::{Row, to_json};
use crate::sql::{Sql, VALUES_MAX};
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

    /// What is known of these disks' backups in a project; those nobody has looked at are not in it.
    pub async fn integrity_of(
        &mut self,
        project: ProjectId,
        backups: &[BackupId],
    ) -> Result<BTreeMap<BackupId, Integrity>, DbError> {
        let mut found = BTreeMap::new();
        for part in backups.chunks(VALUES_MAX) {
            let mut sql = Sql::new(
                "SELECT i.* FROM backup_integrity i JOIN backups b ON b.id = i.backup_id
                 WHERE b.project_id = $1",
            )
            .bind(project);
            sql.and_one_of("i.backup_id", part.iter().copied());
            let rows = self.tx.rows("verification.integrity_of", "backup_integrity", sql).await?;
            for row in rows {
                found.insert(row.id("backup_id")?, integrity(&row)?);
            }
        }
        Ok(found)
    }

    /// What is known of all disks' backups, of every project; those nobody has looked at are not in it.
    pub async fn all_integrity(&mut self) -> Result<BTreeMap<BackupId, Integrity>, DbError> {
        let sql = Sql::new("SELECT * FROM backup_integrity");
        let rows = self.tx.rows("verification.all_integrity", "backup_integrity", sql).await?;
        rows.iter().map(|row| Ok((row.id("backup_id")?, integrity(row)?))).collect()
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

fn integrity(row: &Row) -> Result<Integrity, DbError> {
    Ok(Integrity {
        state: row.word("state", IntegrityState::from_str_exact)?,
        verified_at: row.time_opt("verified_at")?,
        lost: row.json("lost")?,
    })
}
