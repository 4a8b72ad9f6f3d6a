//! Table `metering`: for which hours vaults and images are charged by use, and how much.

use cbr_model::billing::{Charged, Price};
use cbr_model::query::Page;
use cbr_model::size::Gib;
use cbr_model::{DomainId, ImageId, ProjectId, Timestamp, VaultId};

use crate::error::DbError;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

const HOUR_SECONDS: i64 = 60 * 60;

/// Of what an hour is; it may be gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MeteredThing {
    /// Of a vault.
    Vault(VaultId),
    /// Of an image.
    Image(ImageId),
}

/// An hour of a vault or of an image that is charged by use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MeteredHour {
    /// Of what.
    pub of: MeteredThing,
    /// Hours since 1970.
    pub hour: i64,
    /// What it is charged as.
    pub charged: Charged,
    /// The largest capacity it had in the hour; of an image, what its backup holds.
    pub size: Gib,
    /// Of one GB, in millionths of a minor unit.
    pub price: Price,
    /// Of all, in millionths of a minor unit.
    pub amount: u64,
    /// Of what.
    pub currency: String,
}

/// Which rows of the metering are asked for: hours from `from` to before `until`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MeteringFilter {
    /// First hour.
    pub from: i64,
    /// The hour after the last.
    pub until: i64,
    /// Only this vault.
    pub vault: Option<VaultId>,
}

/// The table of metered hours.
#[derive(Debug)]
pub struct Metering<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Metering<'_> {
    /// Writes down an hour of everything of one sort that was charged by use at some moment of it,
    /// with the largest capacity they had then; says of how many. Those that have a row of this hour
    /// already keep it.
    pub async fn meter(
        &mut self,
        hour: i64,
        charged: Charged,
        price: Price,
        currency: &str,
    ) -> Result<u64, DbError> {
        let begin = Timestamp(0).plus_seconds(hour.saturating_mul(HOUR_SECONDS));
        let (kind, consistency) = charged.words();
        let sql = Sql::new(
            "INSERT INTO metering (vault_id, hour, project_id, kind, consistency, size_gib, price,
                 amount, currency)
             SELECT t.vault_id, $1, MAX(t.project_id), $4, $5, MAX(t.size_gib), $6,
                 MAX(t.size_gib) * $6, $7
             FROM vault_terms t
             WHERE t.by_use = 1 AND t.kind = $4 AND t.consistency = $5 AND t.from_at < $3
             AND (t.until_at IS NULL OR t.until_at > $2)
             GROUP BY t.vault_id
             ON CONFLICT (vault_id, hour) DO NOTHING",
        )
        .bind(hour)
        .bind(begin)
        .bind(begin.plus_seconds(HOUR_SECONDS))
        .bind(kind)
        .bind(consistency)
        .bind(price.millionths())
        .bind(currency);
        self.tx.execute("metering.meter", sql).await
    }

    /// The latest hour that has a row.
    pub async fn last_hour(&mut self) -> Result<Option<i64>, DbError> {
        let sql = Sql::new("SELECT hour FROM metering ORDER BY hour DESC LIMIT 1");
        let row = self.tx.row("metering.last_hour", "metering", sql).await?;
        row.map(|row| row.int("hour")).transpose()
    }

    /// The first hour that has a row.
    pub async fn first_hour(&mut self) -> Result<Option<i64>, DbError> {
        let sql = Sql::new("SELECT hour FROM metering ORDER BY hour LIMIT 1");
        let row = self.tx.row("metering.first_hour", "metering", sql).await?;
        row.map(|row| row.int("hour")).transpose()
    }

    /// Forgets at most `limit` rows of hours before `hour` that nobody has said to have exported, of whatever
    /// project; says how many.
    pub async fn forget(&mut self, hour: i64, limit: u32) -> Result<u64, DbError> {
        let sql = Sql::new(
            "DELETE FROM metering WHERE (vault_id, hour) IN (
                 SELECT m.vault_id, m.hour FROM metering m WHERE m.hour < $1 AND NOT EXISTS
                     (SELECT 1 FROM metering_exports e
                      WHERE e.project_id = m.project_id AND m.hour < e.exported_until)
                 LIMIT $2)",
        );
        self.tx.execute("metering.forget", sql.bind(hour).bind(limit)).await
    }

    /// The same of one project, oldest first.
    pub async fn forget_of(
        &mut self,
        project: ProjectId,
        hour: i64,
        limit: u32,
    ) -> Result<u64, DbError> {
        let sql = Sql::new(
            "DELETE FROM metering WHERE (vault_id, hour) IN (
                 SELECT vault_id, hour FROM metering WHERE project_id = $1 AND hour < $2
                 ORDER BY hour, vault_id LIMIT $3)",
        );
        let sql = sql.bind(project).bind(hour).bind(limit);
        self.tx.execute("metering.forget_of", sql).await
    }

    /// Forgets at most `limit` rows of what vaults were before an hour; says how many.
    pub async fn forget_terms(&mut self, hour: i64, limit: u32) -> Result<u64, DbError> {
        let begin = Timestamp(0).plus_seconds(hour.saturating_mul(HOUR_SECONDS));
        let sql = Sql::new(
            "DELETE FROM vault_terms WHERE (vault_id, number) IN (
                 SELECT vault_id, number FROM vault_terms WHERE until_at < $1 LIMIT $2)",
        );
        self.tx.execute("metering.forget_terms", sql.bind(begin).bind(limit)).await
    }

    /// Notes that a project's hours before `hour` are in somebody's books; one that is earlier than what was
    /// noted changes nothing. Returns before which hour they are.
    pub async fn note_exported(&mut self, project: ProjectId, hour: i64) -> Result<i64, DbError> {
        let sql = Sql::new(
            "INSERT INTO metering_exports (project_id, exported_until, noted_at) VALUES ($1, $2, $3)
             ON CONFLICT (project_id) DO UPDATE
                 SET exported_until = excluded.exported_until, noted_at = excluded.noted_at
                 WHERE metering_exports.exported_until < excluded.exported_until",
        );
        let sql = sql.bind(project).bind(hour).bind(self.tx.now());
        self.tx.execute("metering.note_exported", sql).await?;
        Ok(self.exported_until(project).await?.unwrap_or(hour))
    }

    /// Before which hour a project's are exported; none: nobody has said so.
    pub async fn exported_until(&mut self, project: ProjectId) -> Result<Option<i64>, DbError> {
        let sql = Sql::new("SELECT exported_until FROM metering_exports WHERE project_id = $1");
        let sql = sql.bind(project);
        let row = self.tx.row("metering.exported_until", "metering_exports", sql).await?;
        row.map(|row| row.int("exported_until")).transpose()
    }

    /// Projects that have exported hours before `hour`, and before which hour they have; at most `limit`.
    pub async fn forgettable(
        &mut self,
        hour: i64,
        limit: u32,
    ) -> Result<Vec<(ProjectId, i64)>, DbError> {
        let sql = Sql::new(
            "SELECT e.project_id, e.exported_until FROM metering_exports e WHERE EXISTS
                 (SELECT 1 FROM metering m WHERE m.project_id = e.project_id
                  AND m.hour < $1 AND m.hour < e.exported_until)
             ORDER BY e.project_id LIMIT $2",
        );
        let sql = sql.bind(hour).bind(limit);
        let rows = self.tx.rows("metering.forgettable", "metering_exports", sql).await?;
        rows.iter().map(|row| Ok((row.id("project_id")?, row.int("exported_until")?))).collect()
    }

    /// What each account used in an hour, in millionths of a minor unit.
    pub async fn used(&mut self, hour: i64) -> Result<Vec<(DomainId, u64)>, DbError> {
        let sql = Sql::new(
            "SELECT p.domain_id AS domain_id, CAST(SUM(m.amount) AS BIGINT) AS amount
             FROM metering m JOIN projects p ON p.id = m.project_id
             WHERE m.hour = $1 GROUP BY p.domain_id ORDER BY p.domain_id",
        );
        let rows = self.tx.rows("metering.used", "metering", sql.bind(hour)).await?;
        rows.iter().map(|row| Ok((row.id("domain_id")?, row.count("amount")?))).collect()
    }

    /// A project's hours, oldest first, and how many there are and what they cost together.
    pub async fn list(
        &mut self,
        project: ProjectId,
        filter: MeteringFilter,
        page: &Page,
    ) -> Result<(Vec<MeteredHour>, u64, u64), DbError> {
        let mut sql = Sql::new("FROM metering WHERE project_id = $1 AND hour >= $2 AND hour < $3")
            .bind(project)
            .bind(filter.from)
            .bind(filter.until);
        sql.and_equal("vault_id", filter.vault);
        let sums = sql.wrapped(
            "SELECT COUNT(*) AS n, CAST(COALESCE(SUM(amount), 0) AS BIGINT) AS amount ",
            "",
        );
        let sums = self.tx.row("metering.list", "metering", sums).await?;
        let (total, amount) = match sums {
            Some(row) => (row.count("n")?, row.count("amount")?),
            None => (0, 0),
        };
        let mut sql = sql.wrapped("SELECT * ", " ORDER BY hour, vault_id");
        sql.text(" LIMIT ").value(page.limit).text(" OFFSET ").value(page.offset);
        let rows = self.tx.rows("metering.list", "metering", sql).await?;
        let hours = rows.iter().map(metered);
        Ok((hours.collect::<Result<_, DbError>>()?, total, amount))
    }
}

fn metered(row: &Row) -> Result<MeteredHour, DbError> {
    let charged = Charged::from_words(&row.text("kind")?, &row.text("consistency")?)
        .ok_or_else(|| row.inconsistent("kind", "unknown words"))?;
    let price = Price::from_millionths(row.count("price")?)
        .ok_or_else(|| row.inconsistent("price", "beyond the highest"))?;
    let of = match charged {
        Charged::Vault(..) => MeteredThing::Vault(row.id("vault_id")?),
        Charged::Image => MeteredThing::Image(row.id("vault_id")?),
    };
    Ok(MeteredHour {
        of,
        hour: row.int("hour")?,
        charged,
        size: row.gib("size_gib")?,
        price,
        amount: row.count("amount")?,
        currency: row.text("currency")?,
    })
}
