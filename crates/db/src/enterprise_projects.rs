//! Table `enterprise_projects`. The one called `default` every account has without a row.

use cbr_model::DomainId;
use cbr_model::identity::EnterpriseProject;

use crate::error::DbError;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of enterprise projects.
#[derive(Debug)]
pub struct EnterpriseProjects<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl EnterpriseProjects<'_> {
    /// Adds an enterprise project. [`DbError::Taken`] when the account has one with its name.
    pub async fn insert(
        &mut self,
        domain: DomainId,
        project: &EnterpriseProject,
    ) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO enterprise_projects (name, description, enabled, updated_at, domain_id,
                 id, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        );
        let sql = changeable(sql, project).bind(domain).bind(&project.id).bind(project.created_at);
        self.tx.execute("enterprise_projects.insert", sql).await.map(drop)
    }

    /// Replaces name, description and state; says whether it was there.
    pub async fn update(
        &mut self,
        domain: DomainId,
        project: &EnterpriseProject,
    ) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE enterprise_projects SET name = $1, description = $2, enabled = $3,
                 updated_at = $4
             WHERE domain_id = $5 AND id = $6",
        );
        let sql = changeable(sql, project).bind(domain).bind(&project.id);
        self.tx.execute_one("enterprise_projects.update", sql).await
    }

    /// An account's enterprise project.
    pub async fn find(
        &mut self,
        domain: DomainId,
        id: &str,
    ) -> Result<Option<EnterpriseProject>, DbError> {
        let sql = Sql::new("SELECT * FROM enterprise_projects WHERE domain_id = $1 AND id = $2");
        let sql = sql.bind(domain).bind(id);
        let row = self.tx.row("enterprise_projects.find", "enterprise_projects", sql).await?;
        row.map(|row| enterprise_project(&row)).transpose()
    }

    /// An account's enterprise projects, by name.
    pub async fn list(&mut self, domain: DomainId) -> Result<Vec<EnterpriseProject>, DbError> {
        let sql =
            Sql::new("SELECT * FROM enterprise_projects WHERE domain_id = $1 ORDER BY name, id");
        let sql = sql.bind(domain);
        let rows = self.tx.rows("enterprise_projects.list", "enterprise_projects", sql).await?;
        rows.iter().map(enterprise_project).collect()
    }
}

fn changeable(sql: Sql, project: &EnterpriseProject) -> Sql {
    sql.bind(&project.name)
        .bind(&project.description)
        .bind(project.enabled)
        .bind(project.updated_at)
}

fn enterprise_project(row: &Row) -> Result<EnterpriseProject, DbError> {
    Ok(EnterpriseProject {
        id: row.text("id")?,
        name: row.text("name")?,
        description: row.text("description")?,
        enabled: row.flag("enabled")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}
