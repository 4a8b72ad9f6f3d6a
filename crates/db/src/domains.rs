//! Table `domains`: accounts.

use cbr_model::DomainId;
use cbr_model::identity::Domain;

use crate::error::DbError;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of accounts.
#[derive(Debug)]
pub struct Domains<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Domains<'_> {
    /// Adds an account. [`DbError::Taken`] when its name is in use.
    pub async fn insert(&mut self, domain: &Domain) -> Result<(), DbError> {
        let sql = Sql::new("INSERT INTO domains (id, name) VALUES ($1, $2)");
        self.tx.execute("domains.insert", sql.bind(domain.id).bind(&domain.name)).await.map(drop)
    }

    /// The account with this id.
    pub async fn find(&mut self, id: DomainId) -> Result<Option<Domain>, DbError> {
        let sql = Sql::new("SELECT id, name FROM domains WHERE id = $1").bind(id);
        self.one("domains.find", sql).await
    }

    /// The account with this name.
    pub async fn find_by_name(&mut self, name: &str) -> Result<Option<Domain>, DbError> {
        let sql = Sql::new("SELECT id, name FROM domains WHERE name = $1").bind(name);
        self.one("domains.find_by_name", sql).await
    }

    /// How many accounts there are: none before the first start.
    pub async fn count(&mut self) -> Result<u64, DbError> {
        self.tx.number("domains.count", Sql::new("SELECT COUNT(*) AS n FROM domains")).await
    }

    async fn one(&mut self, name: &'static str, sql: Sql) -> Result<Option<Domain>, DbError> {
        let row = self.tx.row(name, "domains", sql).await?;
        row.map(|row| domain(&row)).transpose()
    }
}

fn domain(row: &Row) -> Result<Domain, DbError> {
    Ok(Domain { id: row.id("id")?, name: row.text("name")? })
}
