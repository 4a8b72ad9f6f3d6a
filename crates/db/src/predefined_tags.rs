//! Table `predefined_tags`: tags that an account has defined, to be chosen from (TAG-02).

use cbr_model::DomainId;
use cbr_model::tag::{PredefinedTag, Tag};

use crate::error::DbError;
use crate::listing::and_contains;
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of predefined tags.
#[derive(Debug)]
pub struct PredefinedTags<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl PredefinedTags<'_> {
    /// Defines a tag; one that is defined already is as it was.
    pub async fn insert(&mut self, domain: DomainId, tag: &Tag) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO predefined_tags (domain_id, key, value, updated_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (domain_id, key, value) DO NOTHING",
        );
        let sql = sql.bind(domain).bind(&tag.key).bind(&tag.value).bind(self.tx.now());
        self.tx.execute("predefined_tags.insert", sql).await.map(drop)
    }

    /// Removes a tag; says whether it was defined.
    pub async fn delete(&mut self, domain: DomainId, tag: &Tag) -> Result<bool, DbError> {
        let sql = Sql::new(
            "DELETE FROM predefined_tags WHERE domain_id = $1 AND key = $2 AND value = $3",
        );
        let sql = sql.bind(domain).bind(&tag.key).bind(&tag.value);
        self.tx.execute_one("predefined_tags.delete", sql).await
    }

    /// All tags of an account whose key and value contain these texts, in order of key and value.
    pub async fn list(
        &mut self,
        domain: DomainId,
        key: Option<&String>,
        value: Option<&String>,
    ) -> Result<Vec<PredefinedTag>, DbError> {
        let engine = self.tx.engine();
        let mut sql = Sql::new("SELECT * FROM predefined_tags t WHERE t.domain_id = $1");
        sql = sql.bind(domain);
        and_contains(&mut sql, engine, "t.key", key);
        and_contains(&mut sql, engine, "t.value", value);
        sql.text(" ORDER BY t.key, t.value");
        let rows = self.tx.rows("predefined_tags.list", "predefined_tags", sql).await?;
        let tags = rows.iter().map(|row| {
            let tag = Tag { key: row.text("key")?, value: row.text("value")? };
            Ok(PredefinedTag { tag, updated_at: row.time("updated_at")? })
        });
        tags.collect()
    }
}
