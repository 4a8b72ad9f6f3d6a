//! Table `used_signatures`: which signatures of changing requests were used, by any node (P27).

use cbr_model::Timestamp;

use crate::error::DbError;
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of used signatures.
#[derive(Debug)]
pub struct UsedSignatures<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl UsedSignatures<'_> {
    /// Notes that a signature was used; says whether it had not been. It may run beside other writers
    /// ([`begin_beside`](crate::Db::begin_beside)): the unique key decides who was first.
    pub async fn note(&mut self, digest: [u8; 32], expires_at: Timestamp) -> Result<bool, DbError> {
        let sql = Sql::new(
            "INSERT INTO used_signatures (digest, expires_at) VALUES ($1, $2)
             ON CONFLICT (digest) DO NOTHING",
        );
        let sql = sql.bind(hex::encode(digest)).bind(expires_at);
        self.tx.execute_one("used_signatures.note", sql).await
    }

    /// Forgets those that their date alone refuses by now; says how many.
    pub async fn delete_expired(&mut self) -> Result<u64, DbError> {
        let sql = Sql::new("DELETE FROM used_signatures WHERE expires_at <= $1");
        let sql = sql.bind(self.tx.now());
        self.tx.execute("used_signatures.delete_expired", sql).await
    }
}
