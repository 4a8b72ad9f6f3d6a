//! Table `object_claims`: which bytes an object was first given, where the object store itself cannot
//! refuse a second writer (docs/adr on the arbiter).

use crate::error::DbError;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of claims on objects.
#[derive(Debug)]
pub struct ObjectClaims<'t> {
    pub(crate) tx: &'t mut Tx,
}

/// What a claim found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ObjectClaim {
    /// Nothing: the claim stands.
    New,
    /// An earlier claim, whose object may not be written yet: its bytes.
    Open(Vec<u8>),
    /// An object that is written.
    Written,
}

impl ObjectClaims<'_> {
    /// Claims `key` at `place` for `body`, unless it is claimed.
    pub async fn claim(
        &mut self,
        place: &str,
        key: &str,
        body: &[u8],
    ) -> Result<ObjectClaim, DbError> {
        let find = Sql::new("SELECT body FROM object_claims WHERE place = $1 AND object_key = $2")
            .bind(place)
            .bind(key);
        if let Some(row) = self.tx.row("object_claims.claim", "object_claims", find).await? {
            return Ok(row.blob_opt("body")?.map_or(ObjectClaim::Written, ObjectClaim::Open));
        }
        let now = self.tx.now();
        let insert = Sql::new(
            "INSERT INTO object_claims (place, object_key, body, claimed_at)
             VALUES ($1, $2, $3, $4)",
        )
        .bind(place)
        .bind(key)
        .bind(crate::sql::Value::Blob(body.to_vec()))
        .bind(now);
        self.tx.execute("object_claims.claim", insert).await?;
        Ok(ObjectClaim::New)
    }

    /// The object is written: its bytes are not needed any more.
    pub async fn mark_written(&mut self, place: &str, key: &str) -> Result<(), DbError> {
        let sql =
            Sql::new("UPDATE object_claims SET body = NULL WHERE place = $1 AND object_key = $2");
        self.tx.execute("object_claims.mark_written", sql.bind(place).bind(key)).await.map(drop)
    }

    /// The object is being removed.
    pub async fn delete(&mut self, place: &str, key: &str) -> Result<(), DbError> {
        let sql = Sql::new("DELETE FROM object_claims WHERE place = $1 AND object_key = $2");
        self.tx.execute("object_claims.delete", sql.bind(place).bind(key)).await.map(drop)
    }

    /// The oldest claims whose objects may not be written, with their bytes.
    pub async fn unfinished(
        &mut self,
        place: &str,
        most: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, DbError> {
        let sql = Sql::new(
            "SELECT object_key, body FROM object_claims
             WHERE place = $1 AND body IS NOT NULL ORDER BY claimed_at, object_key LIMIT $2",
        )
        .bind(place)
        .bind(most);
        let rows = self.tx.rows("object_claims.unfinished", "object_claims", sql).await?;
        rows.iter().map(|row: &Row| Ok((row.text("object_key")?, row.blob("body")?))).collect()
    }
}
