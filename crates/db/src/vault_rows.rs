//! Rows of `vaults`, `vault_tags` and `vault_resources` on their way to the model.

use std::collections::HashMap;

use cbr_model::order::PeriodUnit;
use cbr_model::resource::{BoundResource, ProtectStatus, ResourceKind};
use cbr_model::size::Bytes;
use cbr_model::tag::Tag;
use cbr_model::vault::{Charging, ChargingMode, Consistency, Vault, VaultKind, VaultStatus};
use cbr_model::{ResourceId, VaultId};

use crate::error::DbError;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// The vaults of these rows, complete.
pub(crate) async fn load(tx: &mut Tx, rows: &[Row]) -> Result<Vec<Vault>, DbError> {
    let mut vaults = rows.iter().map(vault).collect::<Result<Vec<_>, _>>()?;
    if vaults.is_empty() {
        return Ok(vaults);
    }
    let ids: Vec<VaultId> = vaults.iter().map(|vault| vault.id).collect();
    let mut tags = tags(tx, &ids).await?;
    let usage = usage(tx, &ids).await?;
    let received = received(tx, &ids).await?;
    let mut resources = resources(tx, &ids, &usage).await?;
    let mut used = received;
    for ((vault, _), usage) in &usage {
        let sum = used.entry(*vault).or_default();
        sum.0 = sum.0.saturating_add(usage.bytes.0);
    }
    for vault in &mut vaults {
        vault.tags = tags.remove(&vault.id).unwrap_or_default();
        vault.resources = resources.remove(&vault.id).unwrap_or_default();
        vault.used = used.remove(&vault.id).unwrap_or_default();
    }
    Ok(vaults)
}

fn vault(row: &Row) -> Result<Vault, DbError> {
    Ok(Vault {
        id: row.id("id")?,
        project: row.id("project_id")?,
        user: row.id("user_id")?,
        name: row.text("name")?.try_into().map_err(|error| row.inconsistent("name", error))?,
        description: row.text_opt("description")?,
        kind: row.word("kind", VaultKind::from_str_exact)?,
        consistency: row.word("consistency", Consistency::from_str_exact)?,
        size: row.gib("size_gib")?,
        used: Bytes(0),
        status: row.word("status", VaultStatus::from_str_exact)?,
        enterprise_project: row.text("enterprise_project")?,
        tags: Vec::new(),
        auto_bind: row.flag("auto_bind")?,
        bind_rules: row.json("bind_rules")?,
        auto_expand: row.flag("auto_expand")?,
        smn_notify: row.flag("smn_notify")?,
        threshold: row.small("threshold")?,
        locked: row.flag("locked")?,
        charging: Charging {
            mode: row.word("charging_mode", ChargingMode::from_str_exact)?,
            order: row.id_opt("order_id")?,
            demand_billing: row.flag("demand_billing")?,
            frozen_scene: row.text_opt("frozen_scene")?,
            paid_until: row.time_opt("paid_until")?,
            renew: match row.text_opt("renew_unit")? {
                Some(_) => Some(row.word("renew_unit", PeriodUnit::from_str_exact)?),
                None => None,
            },
        },
        availability_zone: row.text_opt("availability_zone")?,
        backup_name_prefix: row.text("backup_name_prefix")?,
        lock_source: row.text("lock_source")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        resources: Vec::new(),
    })
}

async fn tags(tx: &mut Tx, ids: &[VaultId]) -> Result<HashMap<VaultId, Vec<Tag>>, DbError> {
    let mut sql = Sql::new("SELECT * FROM vault_tags WHERE 1 = 1");
    sql.and_one_of("vault_id", ids.iter().copied()).text(" ORDER BY vault_id, position");
    let mut tags: HashMap<VaultId, Vec<Tag>> = HashMap::new();
    for row in tx.rows("vaults.tags", "vault_tags", sql).await? {
        let tag = Tag { key: row.text("key")?, value: row.text("value")? };
        tags.entry(row.id("vault_id")?).or_default().push(tag);
    }
    Ok(tags)
}

async fn resources(
    tx: &mut Tx,
    ids: &[VaultId],
    usage: &HashMap<(VaultId, ResourceId), Usage>,
) -> Result<HashMap<VaultId, Vec<BoundResource>>, DbError> {
    let mut sql = Sql::new("SELECT * FROM vault_resources WHERE 1 = 1");
    sql.and_one_of("vault_id", ids.iter().copied()).text(" ORDER BY vault_id, position");
    let mut resources: HashMap<VaultId, Vec<BoundResource>> = HashMap::new();
    for row in tx.rows("vaults.resources", "vault_resources", sql).await? {
        let vault = row.id("vault_id")?;
        let used = usage.get(&(vault, row.id("resource_id")?)).copied().unwrap_or_default();
        resources.entry(vault).or_default().push(bound_resource(&row, used)?);
    }
    Ok(resources)
}

/// A row of `vault_resources`.
pub(crate) fn bound_resource(row: &Row, usage: Usage) -> Result<BoundResource, DbError> {
    Ok(BoundResource {
        id: row.id("resource_id")?,
        kind: row.word("kind", ResourceKind::from_str_exact)?,
        name: row.text("name")?,
        size: row.gib("size_gib")?,
        protect_status: row.word("protect_status", ProtectStatus::from_str_exact)?,
        exclude_volumes: row.json("exclude_volumes")?,
        include_volumes: row.json("include_volumes")?,
        auto_protect: row.flag("auto_protect")?,
        chain: row.id("chain_id")?,
        epoch: row.small("epoch")?,
        backup_bytes: usage.bytes,
        backup_count: usage.count,
    })
}

/// What the backups of one resource in one vault take.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Usage {
    bytes: Bytes,
    count: u64,
}

/// The database counts with every change of a backup, so it cannot differ from them (P17).
/// Resources that are no longer bound count as well.
pub(crate) async fn usage(
    tx: &mut Tx,
    ids: &[VaultId],
) -> Result<HashMap<(VaultId, ResourceId), Usage>, DbError> {
    let mut sql = Sql::new(
        "SELECT vault_id, resource_id, CAST(SUM(bytes) AS BIGINT) AS bytes,
                CAST(SUM(backups) AS BIGINT) AS backups
         FROM backup_counts WHERE 1 = 1",
    );
    sql.and_one_of("vault_id", ids.iter().copied()).text(" GROUP BY vault_id, resource_id");
    let mut usage = HashMap::new();
    for row in tx.rows("vaults.usage", "backup_counts", sql).await? {
        let key = (row.id("vault_id")?, row.id("resource_id")?);
        usage.insert(key, Usage { bytes: row.bytes("bytes")?, count: row.count("backups")? });
    }
    Ok(usage)
}

/// What backups take that others share and that were accepted into these vaults (SHR-07): counted anew
/// each time.
async fn received(tx: &mut Tx, ids: &[VaultId]) -> Result<HashMap<VaultId, Bytes>, DbError> {
    let mut received: HashMap<VaultId, Bytes> = HashMap::new();
    // A join on either of two columns would be answered by reading every backup there is.
    for text in [
        "SELECT m.vault_id AS vault_id, CAST(SUM(u.logical_bytes) AS BIGINT) AS bytes
         FROM backup_members m JOIN backups u ON u.id = m.backup_id WHERE 1 = 1",
        "SELECT m.vault_id AS vault_id, CAST(SUM(u.logical_bytes) AS BIGINT) AS bytes
         FROM backup_members m JOIN backups u ON u.parent_id = m.backup_id WHERE 1 = 1",
    ] {
        let mut sql = Sql::new(text);
        sql.and_one_of("m.vault_id", ids.iter().copied()).text(" GROUP BY m.vault_id");
        for row in tx.rows("vaults.received", "backup_members", sql).await? {
            let sum = received.entry(row.id("vault_id")?).or_default();
            sum.0 = sum.0.saturating_add(row.bytes("bytes")?.0);
        }
    }
    Ok(received)
}
