//! Table `custom_roles`: policies that accounts made for themselves.

use cbr_model::identity::CustomRole;
use cbr_model::permission::Document;
use cbr_model::{DomainId, RoleId};

use crate::error::DbError;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of custom policies.
#[derive(Debug)]
pub struct CustomRoles<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl CustomRoles<'_> {
    /// Adds a policy. [`DbError::Taken`] when the account has one with its name.
    pub async fn insert(&mut self, role: &CustomRole) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO custom_roles (name, description, description_cn, is_for_projects,
                 document, updated_at, created_at, domain_id, id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        );
        let sql = changeable(sql, role).bind(role.created_at).bind(role.domain).bind(role.id);
        self.tx.execute("custom_roles.insert", sql).await.map(drop)
    }

    /// Replaces everything but id, account and time of creation; says whether it was there.
    pub async fn update(&mut self, role: &CustomRole) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE custom_roles SET name = $1, description = $2, description_cn = $3,
                 is_for_projects = $4, document = $5, updated_at = $6
             WHERE domain_id = $7 AND id = $8",
        );
        let sql = changeable(sql, role).bind(role.domain).bind(role.id);
        self.tx.execute_one("custom_roles.update", sql).await
    }

    /// An account's policy.
    pub async fn find(
        &mut self,
        domain: DomainId,
        id: RoleId,
    ) -> Result<Option<CustomRole>, DbError> {
        let sql = Sql::new("SELECT * FROM custom_roles WHERE domain_id = $1 AND id = $2");
        let sql = sql.bind(domain).bind(id);
        let row = self.tx.row("custom_roles.find", "custom_roles", sql).await?;
        row.map(|row| custom_role(&row)).transpose()
    }

    /// What an account's policies with these ids say; ids of nothing are left out.
    pub async fn documents(
        &mut self,
        domain: DomainId,
        ids: &[RoleId],
    ) -> Result<Vec<Document>, DbError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = Sql::new("SELECT id, document FROM custom_roles WHERE domain_id = $1");
        sql = sql.bind(domain);
        sql.and_one_of("id", ids.iter().copied());
        let rows = self.tx.rows("custom_roles.documents", "custom_roles", sql).await?;
        rows.iter().map(|row| document(row, &row.text("document")?)).collect()
    }

    /// An account's policies, by name.
    pub async fn list(&mut self, domain: DomainId) -> Result<Vec<CustomRole>, DbError> {
        let sql = Sql::new("SELECT * FROM custom_roles WHERE domain_id = $1 ORDER BY name, id");
        let rows = self.tx.rows("custom_roles.list", "custom_roles", sql.bind(domain)).await?;
        rows.iter().map(custom_role).collect()
    }

    /// Removes a policy; says whether it was there. Its grants must be gone.
    pub async fn delete(&mut self, domain: DomainId, id: RoleId) -> Result<bool, DbError> {
        let sql = Sql::new("DELETE FROM custom_roles WHERE domain_id = $1 AND id = $2");
        self.tx.execute_one("custom_roles.delete", sql.bind(domain).bind(id)).await
    }
}

fn changeable(sql: Sql, role: &CustomRole) -> Sql {
    sql.bind(&role.name)
        .bind(&role.description)
        .bind(&role.description_cn)
        .bind(role.is_for_projects)
        .bind(role.document.to_json())
        .bind(role.updated_at)
}

fn custom_role(row: &Row) -> Result<CustomRole, DbError> {
    Ok(CustomRole {
        id: row.id("id")?,
        domain: row.id("domain_id")?,
        name: row.text("name")?,
        description: row.text("description")?,
        description_cn: row.text("description_cn")?,
        is_for_projects: row.flag("is_for_projects")?,
        document: document(row, &row.text("document")?)?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

/// A stored policy. One that cannot be read is an error, never a policy that says less.
pub(crate) fn document(row: &Row, text: &str) -> Result<Document, DbError> {
    Document::parse(text).map_err(|error| row.inconsistent("document", error))
}
