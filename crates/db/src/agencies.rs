//! Table `agencies`: what accounts let others do in their name.

use cbr_model::identity::{Agency, Domain};
use cbr_model::{AgencyId, DomainId};

use crate::error::DbError;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of agencies.
#[derive(Debug)]
pub struct Agencies<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Agencies<'_> {
    /// Adds an agency. [`DbError::Taken`] when the account has one with its name.
    pub async fn insert(&mut self, agency: &Agency) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO agencies (id, domain_id, name, trusted_id, description, created_at,
                 expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(agency.id)
        .bind(agency.domain)
        .bind(&agency.name)
        .bind(agency.trusted.id)
        .bind(&agency.description)
        .bind(agency.created_at)
        .bind(agency.expires_at);
        self.tx.execute("agencies.insert", sql).await.map(drop)
    }

    /// Replaces whom it trusts, its description and its end; says whether it was there.
    pub async fn update(&mut self, agency: &Agency) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE agencies SET trusted_id = $1, description = $2, expires_at = $3
             WHERE domain_id = $4 AND id = $5",
        )
        .bind(agency.trusted.id)
        .bind(&agency.description)
        .bind(agency.expires_at)
        .bind(agency.domain)
        .bind(agency.id);
        self.tx.execute_one("agencies.update", sql).await
    }

    /// An agency of whatever account.
    pub async fn find(&mut self, id: AgencyId) -> Result<Option<Agency>, DbError> {
        let sql = Sql::new(
            "SELECT a.*, d.name AS trusted_name FROM agencies a JOIN domains d ON d.id = a.trusted_id
             WHERE a.id = $1",
        );
        let row = self.tx.row("agencies.find", "agencies", sql.bind(id)).await?;
        row.map(|row| agency(&row)).transpose()
    }

    /// An account's agencies, by name.
    pub async fn list(&mut self, domain: DomainId) -> Result<Vec<Agency>, DbError> {
        let sql = Sql::new(
            "SELECT a.*, d.name AS trusted_name FROM agencies a JOIN domains d ON d.id = a.trusted_id
             WHERE a.domain_id = $1 ORDER BY a.name, a.id",
        );
        let rows = self.tx.rows("agencies.list", "agencies", sql.bind(domain)).await?;
        rows.iter().map(agency).collect()
    }

    /// Removes an agency with its grants and what was issued through it; says whether it was there.
    pub async fn delete(&mut self, domain: DomainId, id: AgencyId) -> Result<bool, DbError> {
        let sql = Sql::new("DELETE FROM agencies WHERE domain_id = $1 AND id = $2");
        self.tx.execute_one("agencies.delete", sql.bind(domain).bind(id)).await
    }
}

fn agency(row: &Row) -> Result<Agency, DbError> {
    Ok(Agency {
        id: row.id("id")?,
        domain: row.id("domain_id")?,
        name: row.text("name")?,
        trusted: Domain { id: row.id("trusted_id")?, name: row.text("trusted_name")? },
        description: row.text("description")?,
        created_at: row.time("created_at")?,
        expires_at: row.time_opt("expires_at")?,
    })
}
