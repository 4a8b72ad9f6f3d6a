//! Table `projects`.

use std::collections::HashMap;

use cbr_model::identity::Project;
use cbr_model::{DomainId, ProjectId};

use crate::error::DbError;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of projects.
#[derive(Debug)]
pub struct Projects<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Projects<'_> {
    /// Adds a project. [`DbError::Taken`] when the account has one with its name.
    pub async fn insert(&mut self, project: &Project) -> Result<(), DbError> {
        let sql =
            Sql::new("INSERT INTO projects (id, domain_id, name, enabled) VALUES ($1, $2, $3, $4)")
                .bind(project.id)
                .bind(project.domain)
                .bind(&project.name)
                .bind(project.enabled);
        self.tx.execute("projects.insert", sql).await.map(drop)
    }

    /// The project with this id, of whatever account.
    pub async fn find(&mut self, id: ProjectId) -> Result<Option<Project>, DbError> {
        let sql = Sql::new("SELECT * FROM projects WHERE id = $1").bind(id);
        self.one("projects.find", sql).await
    }

    /// An account's project with this name.
    pub async fn find_by_name(
        &mut self,
        domain: DomainId,
        name: &str,
    ) -> Result<Option<Project>, DbError> {
        let sql = Sql::new("SELECT * FROM projects WHERE domain_id = $1 AND name = $2");
        self.one("projects.find_by_name", sql.bind(domain).bind(name)).await
    }

    /// An account's projects, by name.
    pub async fn list(&mut self, domain: DomainId) -> Result<Vec<Project>, DbError> {
        let sql = Sql::new("SELECT * FROM projects WHERE domain_id = $1 ORDER BY name, id");
        let rows = self.tx.rows("projects.list", "projects", sql.bind(domain)).await?;
        rows.iter().map(project).collect()
    }

    /// What an account's people say of its projects.
    pub async fn descriptions(
        &mut self,
        domain: DomainId,
    ) -> Result<HashMap<ProjectId, String>, DbError> {
        let sql = Sql::new("SELECT id, description FROM projects WHERE domain_id = $1");
        let rows = self.tx.rows("projects.descriptions", "projects", sql.bind(domain)).await?;
        rows.iter().map(|row| Ok((row.id("id")?, row.text("description")?))).collect()
    }

    /// Replaces name, state and description; says whether the project was there.
    /// [`DbError::Taken`] when the account has another one with the name.
    pub async fn update(&mut self, project: &Project, description: &str) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE projects SET name = $1, enabled = $2, description = $3
             WHERE domain_id = $4 AND id = $5",
        )
        .bind(&project.name)
        .bind(project.enabled)
        .bind(description)
        .bind(project.domain)
        .bind(project.id);
        self.tx.execute_one("projects.update", sql).await
    }

    async fn one(&mut self, name: &'static str, sql: Sql) -> Result<Option<Project>, DbError> {
        let row = self.tx.row(name, "projects", sql).await?;
        row.map(|row| project(&row)).transpose()
    }
}

fn project(row: &Row) -> Result<Project, DbError> {
    Ok(Project {
        id: row.id("id")?,
        domain: row.id("domain_id")?,
        name: row.text("name")?,
        enabled: row.flag("enabled")?,
    })
}
