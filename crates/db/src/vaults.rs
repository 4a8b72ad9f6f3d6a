//! Tables `vaults` and `vault_tags`.

use std::collections::{BTreeMap, BTreeSet};

use cbr_model::order::PeriodUnit;
use cbr_model::query::{Listing, Page, VaultFilter};
use cbr_model::size::{Bytes, Gib};
use cbr_model::tag::Tag;
use cbr_model::vault::{Vault, VaultStatus};
use cbr_model::{ProjectId, VaultId};

use crate::error::DbError;
use crate::listing::{Listed, SortKey, WHOLE, and_contains};
use crate::row::to_json;
use crate::sql::Sql;
use crate::tag_filter::and_tags;
use crate::tx::Tx;
use crate::{vault_rows, vault_terms};

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
                 smn_notify, threshold, locked, created_at, updated_at, charging_mode, order_id,
                 demand_billing, frozen_scene, availability_zone, backup_name_prefix, lock_source,
                 paid_until, renew_unit)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                 $19, $20, $21, $22, $23, $24, $25, $26, $27)",
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
        .bind(vault.updated_at)
        .bind(vault.charging.mode.as_str())
        .bind(vault.charging.order)
        .bind(vault.charging.demand_billing)
        .bind(vault.charging.frozen_scene.as_ref())
        .bind(vault.availability_zone.as_ref())
        .bind(&vault.backup_name_prefix)
        .bind(&vault.lock_source)
        .bind(vault.charging.paid_until)
        .bind(vault.charging.renew.map(PeriodUnit::as_str));
        self.tx.execute("vaults.insert", sql).await?;
        vault_terms::note(self.tx, vault.id).await?;
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

    /// The enterprise project of each of these vaults; one that is in none, which is `0`, is not there.
    pub async fn enterprise_projects(
        &mut self,
        vaults: BTreeSet<VaultId>,
    ) -> Result<BTreeMap<VaultId, String>, DbError> {
        if vaults.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut sql =
            Sql::new("SELECT id, enterprise_project FROM vaults WHERE enterprise_project <> '0'");
        sql.and_one_of("id", vaults);
        let rows = self.tx.rows("vaults.enterprise_projects", "vaults", sql).await?;
        rows.iter().map(|row| Ok((row.id("id")?, row.text("enterprise_project")?))).collect()
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
        sql.and_one_of("t.kind", filter.kinds.iter().map(|kind| kind.as_str()));
        sql.and_one_of("t.status", filter.statuses.iter().map(|status| status.as_str()));
        sql.and_one_of("t.enterprise_project", &filter.enterprise_projects);
        sql.and_equal("t.availability_zone", filter.availability_zone.as_ref());
        and_tags(&mut sql, engine, &filter.tags);
        if let Some(policy) = filter.policy {
            sql.text(" AND EXISTS (SELECT 1 FROM vault_policies b WHERE b.vault_id = t.id");
            sql.and_equal("b.policy_id", Some(policy)).text(")");
        }
        if !filter.resources.is_empty() {
            sql.text(" AND EXISTS (SELECT 1 FROM vault_resources r WHERE r.vault_id = t.id");
            sql.and_one_of("r.resource_id", filter.resources.iter().copied()).text(")");
        }
        let listed = Listed {
            name: "vaults.list",
            table: "vaults",
            select: WHOLE,
            project,
            matching: sql,
            keys: vec![SortKey::newest("t.created_at"), SortKey::id(false)],
        };
        let (rows, total) = listed.page(self.tx, page).await?;
        Ok(Listing { rows: vault_rows::load(self.tx, &rows).await?, total })
    }

    /// How many vaults a project has.
    pub async fn count(&mut self, project: ProjectId) -> Result<u64, DbError> {
        let sql = Sql::new("SELECT COUNT(*) AS n FROM vaults WHERE project_id = $1").bind(project);
        self.tx.number("vaults.count", sql).await
    }

    /// Capacity of all vaults of a project together.
    pub async fn capacity(&mut self, project: ProjectId) -> Result<Gib, DbError> {
        let sql = Sql::new(
            "SELECT CAST(COALESCE(SUM(size_gib), 0) AS BIGINT) AS n
             FROM vaults WHERE project_id = $1",
        );
        self.tx.number("vaults.capacity", sql.bind(project)).await.map(Gib)
    }

    /// Capacity and used capacity of all vaults of a project together.
    pub async fn totals(&mut self, project: ProjectId) -> Result<(Gib, Bytes), DbError> {
        let mut sums = Vec::new();
        for sql in [
            "SELECT CAST(COALESCE(SUM(size_gib), 0) AS BIGINT) AS n FROM vaults WHERE project_id = $1",
            "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) AS n FROM backup_counts WHERE project_id = $1",
            "SELECT CAST(COALESCE(SUM(u.logical_bytes), 0) AS BIGINT) AS n FROM vaults v
             JOIN backup_members m ON m.vault_id = v.id JOIN backups u ON u.id = m.backup_id
             WHERE v.project_id = $1",
            "SELECT CAST(COALESCE(SUM(u.logical_bytes), 0) AS BIGINT) AS n FROM vaults v
             JOIN backup_members m ON m.vault_id = v.id JOIN backups u ON u.parent_id = m.backup_id
             WHERE v.project_id = $1",
        ] {
            sums.push(self.tx.number("vaults.totals", Sql::new(sql).bind(project)).await?);
        }
        let used = sums[1..].iter().fold(0, |sum: u64, part| sum.saturating_add(*part));
        Ok((Gib(sums[0]), Bytes(used)))
    }

    /// The tags of a project's vaults, each once, in order of key and value.
    pub async fn tags_in_use(&mut self, project: ProjectId) -> Result<Vec<Tag>, DbError> {
        let sql = Sql::new(
            "SELECT DISTINCT g.key, g.value FROM vault_tags g JOIN vaults v ON v.id = g.vault_id
             WHERE v.project_id = $1 ORDER BY g.key, g.value",
        );
        let rows = self.tx.rows("vaults.tags_in_use", "vault_tags", sql.bind(project)).await?;
        rows.iter()
            .map(|row| Ok(Tag { key: row.text("key")?, value: row.text("value")? }))
            .collect()
    }

    /// Sets who is told when on all vaults of a project whose status is one of `from`; their ids
    /// and names, oldest first.
    pub async fn update_notices(
        &mut self,
        project: ProjectId,
        from: &[VaultStatus],
        smn_notify: Option<bool>,
        threshold: Option<u8>,
    ) -> Result<Vec<(VaultId, String)>, DbError> {
        let mut sql = Sql::new(
            "UPDATE vaults SET updated_at = $2, smn_notify = COALESCE($3, smn_notify),
                 threshold = COALESCE($4, threshold)
             WHERE project_id = $1",
        )
        .bind(project)
        .bind(self.tx.now())
        .bind(smn_notify)
        .bind(threshold);
        sql.and_one_of("status", from.iter().map(|status| status.as_str()));
        self.tx.execute("vaults.update_notices", sql).await?;
        let mut sql = Sql::new("SELECT id, name FROM vaults WHERE project_id = $1").bind(project);
        sql.and_one_of("status", from.iter().map(|status| status.as_str()));
        sql.text(" ORDER BY created_at, id");
        let rows = self.tx.rows("vaults.update_notices", "vaults", sql).await?;
        rows.iter().map(|row| Ok((row.id("id")?, row.text("name")?))).collect()
    }

    /// Writes what a person can change of a vault, and its tags; says whether it exists.
    /// Status and resources have their own methods. Also sets `updated_at` to now.
    pub async fn update(&mut self, vault: &Vault) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE vaults SET name = $3, description = $4, consistency = $5, size_gib = $6,
                 enterprise_project = $7, auto_bind = $8, bind_rules = $9, auto_expand = $10,
                 smn_notify = $11, threshold = $12, locked = $13, updated_at = $14,
                 charging_mode = $15, order_id = $16, demand_billing = $17, frozen_scene = $18,
                 paid_until = $19, renew_unit = $20
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
        .bind(self.tx.now())
        .bind(vault.charging.mode.as_str())
        .bind(vault.charging.order)
        .bind(vault.charging.demand_billing)
        .bind(vault.charging.frozen_scene.as_ref())
        .bind(vault.charging.paid_until)
        .bind(vault.charging.renew.map(PeriodUnit::as_str));
        if !self.tx.execute_one("vaults.update", sql).await? {
            return Ok(false);
        }
        let sql = Sql::new("DELETE FROM vault_tags WHERE vault_id = $1").bind(vault.id);
        self.tx.execute("vaults.update", sql).await?;
        self.insert_tags(vault.id, &vault.tags).await?;
        vault_terms::note(self.tx, vault.id).await?;
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
        let is_changed = self.tx.execute_one("vaults.change_status", sql).await?;
        vault_terms::note(self.tx, vault).await?;
        Ok(is_changed)
    }

    /// Removes a vault with its tags, bindings and checkpoints; says whether it was there.
    /// A run of which a backup was taken back into another vault goes on in that one.
    /// [`DbError::StillReferenced`] while it has backups. What others share is given back to them.
    pub async fn delete(&mut self, project: ProjectId, vault: VaultId) -> Result<bool, DbError> {
        let runs = Sql::new(
            "UPDATE checkpoints SET vault_id = (SELECT MIN(b.vault_id) FROM backups b
                 WHERE b.checkpoint_id = checkpoints.id AND b.vault_id <> $2)
             WHERE project_id = $1 AND vault_id = $2 AND EXISTS (SELECT 1 FROM backups b
                 WHERE b.checkpoint_id = checkpoints.id AND b.vault_id <> $2)",
        );
        self.tx.execute("vaults.delete", runs.bind(project).bind(vault)).await?;
        self.tx.members().leave(project, vault).await?;
        let sql = Sql::new("DELETE FROM vaults WHERE project_id = $1 AND id = $2");
        let is_gone = self.tx.execute_one("vaults.delete", sql.bind(project).bind(vault)).await?;
        vault_terms::note(self.tx, vault).await?;
        Ok(is_gone)
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
