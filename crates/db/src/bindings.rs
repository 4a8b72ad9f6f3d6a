//! Table `vault_resources`: which resource is in which vault.

use cbr_model::resource::{BoundResource, ProtectStatus};
use cbr_model::{ChainId, ProjectId, ResourceId, VaultId};

use crate::error::DbError;
use crate::row::to_json;
use crate::sql::Sql;
use crate::tx::Tx;
use crate::vault_rows::{bound_resource, usage};

/// A resource and the vault it is in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binding {
    /// Whose vault it is. Not always the caller's.
    pub project: ProjectId,
    /// The vault.
    pub vault: VaultId,
    /// The resource.
    pub resource: BoundResource,
}

/// The table of bindings.
#[derive(Debug)]
pub struct Bindings<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Bindings<'_> {
    /// Puts a resource into a vault, behind the others.
    /// [`DbError::Taken`] when it is in a vault already (RES-02).
    pub async fn insert(
        &mut self,
        vault: VaultId,
        resource: &BoundResource,
    ) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO vault_resources (resource_id, vault_id, position, kind, name, size_gib,
                 protect_status, exclude_volumes, auto_protect, chain_id, epoch, include_volumes)
             VALUES ($1, $2, (SELECT COALESCE(MAX(position), 0) + 1 FROM vault_resources
                              WHERE vault_id = $2), $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(resource.id)
        .bind(vault)
        .bind(resource.kind.as_str())
        .bind(&resource.name)
        .bind(resource.size)
        .bind(resource.protect_status.as_str())
        .bind(to_json(&resource.exclude_volumes))
        .bind(resource.auto_protect)
        .bind(resource.chain)
        .bind(resource.epoch)
        .bind(to_json(&resource.include_volumes));
        self.tx.execute("bindings.insert", sql).await.map(drop)
    }

    /// Where a resource is bound, in whatever project.
    pub async fn find(&mut self, resource: ResourceId) -> Result<Option<Binding>, DbError> {
        Ok(self.list(&[resource]).await?.pop())
    }

    /// Where these resources are bound, in whatever project; those that are not are left out.
    pub async fn list(&mut self, resources: &[ResourceId]) -> Result<Vec<Binding>, DbError> {
        if resources.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = Sql::new(
            "SELECT r.*, v.project_id FROM vault_resources r
             JOIN vaults v ON v.id = r.vault_id WHERE 1 = 1",
        );
        sql.and_one_of("r.resource_id", resources.iter().copied());
        sql.text(" ORDER BY r.vault_id, r.position");
        let rows = self.tx.rows("bindings.list", "vault_resources", sql).await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let vaults = rows.iter().map(|row| row.id("vault_id")).collect::<Result<Vec<_>, _>>()?;
        let usage = usage(self.tx, &vaults).await?;
        rows.iter()
            .zip(vaults)
            .map(|(row, vault)| {
                let used = usage.get(&(vault, row.id("resource_id")?)).copied().unwrap_or_default();
                let resource = bound_resource(row, used)?;
                Ok(Binding { project: row.id("project_id")?, vault, resource })
            })
            .collect()
    }

    /// Writes name, size, chosen disks, automatic protection, chain and epoch;
    /// says whether the resource is in the vault.
    pub async fn update(
        &mut self,
        vault: VaultId,
        resource: &BoundResource,
    ) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE vault_resources SET name = $3, size_gib = $4, exclude_volumes = $5,
                 auto_protect = $6, chain_id = $7, epoch = $8, include_volumes = $9
             WHERE vault_id = $1 AND resource_id = $2",
        )
        .bind(vault)
        .bind(resource.id)
        .bind(&resource.name)
        .bind(resource.size)
        .bind(to_json(&resource.exclude_volumes))
        .bind(resource.auto_protect)
        .bind(resource.chain)
        .bind(resource.epoch)
        .bind(to_json(&resource.include_volumes));
        self.tx.execute_one("bindings.update", sql).await
    }

    /// Everything that is bound, in whatever project.
    pub async fn resources(&mut self) -> Result<Vec<ResourceId>, DbError> {
        let sql = Sql::new("SELECT resource_id FROM vault_resources ORDER BY resource_id");
        let rows = self.tx.rows("bindings.resources", "vault_resources", sql).await?;
        rows.iter().map(|row| row.id("resource_id")).collect()
    }

    /// From now on a resource is backed up into a chain of which nothing is known.
    pub async fn begin_chain(
        &mut self,
        resource: ResourceId,
        chain: ChainId,
    ) -> Result<(), DbError> {
        let sql =
            Sql::new("UPDATE vault_resources SET chain_id = $2, epoch = 0 WHERE resource_id = $1");
        let sql = sql.bind(resource).bind(chain);
        self.tx.execute("bindings.begin_chain", sql).await.map(drop)
    }

    /// Changes the status if it is one of `from`; says whether it was.
    pub async fn change_status(
        &mut self,
        vault: VaultId,
        resource: ResourceId,
        from: &[ProtectStatus],
        to: ProtectStatus,
    ) -> Result<bool, DbError> {
        let mut sql = Sql::new(
            "UPDATE vault_resources SET protect_status = $3
             WHERE vault_id = $1 AND resource_id = $2",
        )
        .bind(vault)
        .bind(resource)
        .bind(to.as_str());
        sql.text(" AND protect_status IN (");
        sql.values_list(from.iter().map(|status| status.as_str())).text(")");
        self.tx.execute_one("bindings.change_status", sql).await
    }

    /// Takes a resource out of a vault; says whether it was in it.
    pub async fn delete(&mut self, vault: VaultId, resource: ResourceId) -> Result<bool, DbError> {
        let sql = Sql::new("DELETE FROM vault_resources WHERE vault_id = $1 AND resource_id = $2");
        self.tx.execute_one("bindings.delete", sql.bind(vault).bind(resource)).await
    }
}
