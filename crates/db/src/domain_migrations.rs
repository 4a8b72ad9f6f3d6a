//! Table `domain_migrations`: accounts that asked to be moved here (contract C70).

use cbr_model::DomainId;
use cbr_model::domain_migration::DomainMigration;

use crate::error::DbError;
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of accounts that asked to be moved here.
#[derive(Debug)]
pub struct DomainMigrations<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl DomainMigrations<'_> {
    /// Keeps what an account asked, in the place of what it asked before.
    pub async fn keep(&mut self, asked: &DomainMigration) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO domain_migrations
             (domain_id, user_id, all_regions, reservation_millionths, asked_at)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (domain_id) DO UPDATE SET user_id = excluded.user_id,
             all_regions = excluded.all_regions,
             reservation_millionths = excluded.reservation_millionths,
             asked_at = excluded.asked_at",
        );
        let sql = sql
            .bind(asked.domain)
            .bind(asked.user)
            .bind(asked.all_regions)
            .bind(u64::from(asked.reservation_millionths))
            .bind(asked.asked_at);
        self.tx.execute("domain_migrations.keep", sql).await.map(drop)
    }

    /// What an account asked last; none: it never did.
    pub async fn find(&mut self, domain: DomainId) -> Result<Option<DomainMigration>, DbError> {
        let sql = Sql::new("SELECT * FROM domain_migrations WHERE domain_id = $1").bind(domain);
        let row = self.tx.row("domain_migrations.find", "domain_migrations", sql).await?;
        row.map(|row| {
            Ok(DomainMigration {
                domain: row.id("domain_id")?,
                user: row.id("user_id")?,
                all_regions: row.flag("all_regions")?,
                reservation_millionths: row.small("reservation_millionths")?,
                asked_at: row.time("asked_at")?,
            })
        })
        .transpose()
    }
}
