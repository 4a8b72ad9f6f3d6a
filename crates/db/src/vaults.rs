//! Tables `vaults` and `vault_tags`.

use cbr_model::query::{Listing, Page, VaultFilter};
use cbr_model::tag::Tag;
use cbr_model::vault::{Vault, VaultKind, VaultStatus};
use cbr_model::{ProjectId, VaultId};

use crate::error::DbError;
use crate::listing::{Listed, SortKey, and_contains};
use crate::row::to_json;
use crate::sql::Sql;
use crate::tx::Tx;
use crate::vault_rows;

/// The table of vaults.
#[derive(Debug)]
pub struct Vaults<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Vaults<'_> {
    /// Adds a vault with its tags and resources.
    /// [`DbError::Taken`] when a resource is bound already (RES-02).
    pub async fn insert(&mut self, vault: &Vault) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO vaults (id, project_id, user_id, name, description, kind, consistency,
                 size_gib, status, enterprise_project, auto_bind, bind_rules, auto_expand,
                 smn_notify, threshold, locked, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        )
        .bind(vault.id)
        .bind(vault.project)
        .bind(vault.user)
        .bind(vault.name.as_str())
        .bind(vault.description.as_ref())
        .bind(vault.kind.as_str())
        .bind(vault.consistency.as_str())
        .bind(vault.size)
        .bind(vault.status.as_str())
        .bind(&vault.enterprise_project)
        .bind(vault.auto_bind)
        .bind(to_json(&vault.bind_rules))
        .bind(vault.auto_expand)
        .bind(vault.smn_notify)
        .bind(vault.threshold)
        .bind(vault.locked)
        .bind(vault.created_at)
        .bind(vault.updated_at);
        self.tx.execute("vaults.insert", sql).await?;
        self.insert_tags(vault.id, &vault.tags).await?;
        for resource in &vault.resources {
            self.tx.bindings().insert(vault.id, resource).await?;
        }
        Ok(())
    }

    /// A project's vault with this id, with its tags, resources and usage.
    pub async fn find(
        &mut self,
        project: ProjectId,
        vault: VaultId,
    ) -> Result<Option<Vault>, DbError> {
        let sql = Sql::new("SELECT * FROM vaults WHERE project_id = $1 AND id = $2");
        let rows = self.tx.rows("vaults.find", "vaults", sql.bind(project).bind(vault)).await?;
        Ok(vault_rows::load(self.tx, &rows).await?.pop())
    }

    /// A page of a project's vaults, newest first (contract C3).
    pub async fn list(
        &mut self,
        project: ProjectId,
        filter: &VaultFilter,
        page: &Page,
    ) -> Result<Listing<Vault>, DbError> {
        let engine = self.tx.engine();
        let mut sql = Sql::new("FROM vaults t WHERE t.project_id = $1").bind(project);
        sql.and_one_of("t.id", filter.ids.iter().copied());
        and_contains(&mut sql, engine, "t.name", filter.name.as_ref());
        sql.and_equal("t.kind", filter.kind.map(VaultKind::as_str));
        sql.and_one_of("t.status", filter.statuses.iter().map(|status| status.as_str()));
        sql.and_equal("t.enterprise_project", filter.enterprise_project.as_ref());
        if !filter.resources.is_empty() {
            sql.text(" AND EXISTS (SELECT 1 FROM vault_resources r WHERE r.vault_id = t.id");
            sql.and_one_of("r.resource_id", filter.resources.iter().copied()).text(")");
        }
        let listed = Listed {
            name: "vaults.list",
            table: "vaults",
            project,
            matching: sql,
            keys: vec![SortKey::newest("t.created_at"), SortKey::id(false)],
        };
        let (rows, total) = listed.page(self.tx, page).await?;
        Ok(Listing { rows: vault_rows::load(self.tx, &rows).await?, total })
    }

    /// Writes what a person can change of a vault, and its tags; says whether it exists.
    /// Status and resources have their own methods. Also sets `updated_at` to now.
    pub async fn update(&mut self, vault: &Vault) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE vaults SET name = $3, description = $4, consistency = $5, size_gib = $6,
                 enterprise_project = $7, auto_bind = $8, bind_rules = $9, auto_expand = $10,
                 smn_notify = $11, threshold = $12, locked = $13, updated_at = $14
             WHERE project_id = $1 AND id = $2",
        )
        .bind(vault.project)
        .bind(vault.id)
        .bind(vault.name.as_str())
        .bind(vault.description.as_ref())
        .bind(vault.consistency.as_str())
        .bind(vault.size)
        .bind(&vault.enterprise_project)
        .bind(vault.auto_bind)
        .bind(to_json(&vault.bind_rules))
        .bind(vault.auto_expand)
        .bind(vault.smn_notify)
        .bind(vault.threshold)
        .bind(vault.locked)
        .bind(self.tx.now());
        if !self.tx.execute_one("vaults.update", sql).await? {
            return Ok(false);
        }
        let sql = Sql::new("DELETE FROM vault_tags WHERE vault_id = $1").bind(vault.id);
        self.tx.execute("vaults.update", sql).await?;
        self.insert_tags(vault.id, &vault.tags).await?;
        Ok(true)
    }

    /// Changes the status if it is one of `from`; says whether it was.
    pub async fn change_status(
        &mut self,
        project: ProjectId,
        vault: VaultId,
        from: &[VaultStatus],
        to: VaultStatus,
    ) -> Result<bool, DbError> {
        let mut sql = Sql::new(
            "UPDATE vaults SET status = $3, updated_at = $4 WHERE project_id = $1 AND id = $2",
        )
        .bind(project)
        .bind(vault)
        .bind(to.as_str())
        .bind(self.tx.now());
        sql.text(" AND status IN (").values_list(from.iter().map(|status| status.as_str()));
        sql.text(")");
        self.tx.execute_one("vaults.change_status", sql).await
    }

    /// Removes a vault with its tags, bindings and checkpoints; says whether it was there.
    /// [`DbError::StillReferenced`] while it has backups.
    pub async fn delete(&mut self, project: ProjectId, vault: VaultId) -> Result<bool, DbError> {
        let sql = Sql::new("DELETE FROM vaults WHERE project_id = $1 AND id = $2");
        self.tx.execute_one("vaults.delete", sql.bind(project).bind(vault)).await
    }

    async fn insert_tags(&mut self, vault: VaultId, tags: &[Tag]) -> Result<(), DbError> {
        for (position, tag) in tags.iter().enumerate() {
            let sql = Sql::new(
                "INSERT INTO vault_tags (vault_id, key, value, position) VALUES ($1, $2, $3, $4)",
            )
            .bind(vault)
            .bind(&tag.key)
            .bind(&tag.value)
            .bind(position);
            self.tx.execute("vaults.insert_tags", sql).await?;
        }
        Ok(())
    }
}
