//! Tables `balances` and `balance_entries`: what accounts have, and why.

use cbr_model::DomainId;
use cbr_model::billing::{Balance, BalanceEntry, EntryKind, Money};
use cbr_model::query::Page;

use crate::error::DbError;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// The tables of balances.
#[derive(Debug)]
pub struct Balances<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Balances<'_> {
    /// What an account has; nothing, as long as nothing was said.
    pub async fn find(&mut self, domain: DomainId) -> Result<Balance, DbError> {
        let sql = Sql::new("SELECT whole, carry FROM balances WHERE domain_id = $1").bind(domain);
        let row = self.tx.row("balances.find", "balances", sql).await?;
        row.map_or(Ok(Balance::default()), |row| {
            Ok(Balance { whole: Money(row.int("whole")?), carry: row.count("carry")? })
        })
    }

    /// The accounts that have less than `least`, and what.
    pub async fn below(&mut self, least: Money) -> Result<Vec<(DomainId, Money)>, DbError> {
        let sql = Sql::new("SELECT domain_id, whole FROM balances WHERE whole < $1");
        let rows = self.tx.rows("balances.below", "balances", sql.bind(least.0)).await?;
        rows.iter().map(|row| Ok((row.id("domain_id")?, Money(row.int("whole")?)))).collect()
    }

    /// Writes what an account has.
    pub async fn set(&mut self, domain: DomainId, balance: Balance) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO balances (domain_id, whole, carry) VALUES ($1, $2, $3)
             ON CONFLICT (domain_id) DO UPDATE SET whole = excluded.whole, carry = excluded.carry",
        );
        let sql = sql.bind(domain).bind(balance.whole.0).bind(balance.carry);
        self.tx.execute("balances.set", sql).await.map(drop)
    }

    /// Adds why it changed. [`DbError::Taken`] if the account has an entry of this kind and reference.
    pub async fn add_entry(
        &mut self,
        domain: DomainId,
        entry: &BalanceEntry,
    ) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO balance_entries (domain_id, number, kind, reference, amount, balance, note,
                 created_at)
             VALUES ($1, 1 + COALESCE((SELECT MAX(number) FROM balance_entries WHERE domain_id = $1), 0),
                 $2, $3, $4, $5, $6, $7)",
        )
        .bind(domain)
        .bind(entry.kind.as_str())
        .bind(&entry.reference)
        .bind(entry.amount.0)
        .bind(entry.balance.0)
        .bind(&entry.note)
        .bind(self.tx.now());
        self.tx.execute("balances.add_entry", sql).await.map(drop)
    }

    /// The entry of this kind and reference, if there is one.
    pub async fn find_entry(
        &mut self,
        domain: DomainId,
        kind: EntryKind,
        reference: &str,
    ) -> Result<Option<BalanceEntry>, DbError> {
        let sql = Sql::new(
            "SELECT * FROM balance_entries WHERE domain_id = $1 AND kind = $2 AND reference = $3",
        );
        let sql = sql.bind(domain).bind(kind.as_str()).bind(reference);
        let row = self.tx.row("balances.find_entry", "balance_entries", sql).await?;
        row.map(|row| entry(&row)).transpose()
    }

    /// An account's entries, newest first, and how many there are.
    pub async fn entries(
        &mut self,
        domain: DomainId,
        page: &Page,
    ) -> Result<(Vec<BalanceEntry>, u64), DbError> {
        let sql = Sql::new("FROM balance_entries WHERE domain_id = $1").bind(domain);
        let total = self.tx.number("balances.entries", sql.wrapped("SELECT COUNT(*) AS n ", ""));
        let total = total.await?;
        let mut sql = sql.wrapped("SELECT * ", " ORDER BY number DESC");
        sql.text(" LIMIT ").value(page.limit).text(" OFFSET ").value(page.offset);
        let rows = self.tx.rows("balances.entries", "balance_entries", sql).await?;
        Ok((rows.iter().map(entry).collect::<Result<_, _>>()?, total))
    }
}

fn entry(row: &Row) -> Result<BalanceEntry, DbError> {
    Ok(BalanceEntry {
        kind: row.word("kind", EntryKind::from_str_exact)?,
        reference: row.text("reference")?,
        amount: Money(row.int("amount")?),
        balance: Money(row.int("balance")?),
        note: row.text("note")?,
        at: row.time("created_at")?,
    })
}
