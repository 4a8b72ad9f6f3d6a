//! Which backups a list has, and in which order (contract C27).

use cbr_model::ProjectId;
use cbr_model::query::{BackupFilter, BackupSort, BackupSortKey, Ownership};
use cbr_model::resource::ResourceKind;

use crate::engine::Engine;
use crate::listing::{SortKey, and_contains};
use crate::sql::Sql;

/// Where rows come from. The project is `$1`; a backup is `t`, the offer of it to the project `m`.
struct Source {
    from: &'static str,
    /// The vault that counts the backup for the project.
    vault: &'static str,
    of_enterprise_project: &'static str,
    used_percent: &'static str,
}

macro_rules! source {
    ($from:expr, $vault:literal) => {
        Source {
            from: $from,
            vault: $vault,
            of_enterprise_project: concat!(
                " AND (SELECT v.enterprise_project FROM vaults v WHERE v.id = ",
                $vault,
                ") = "
            ),
            used_percent: concat!(
                " AND ((SELECT COALESCE(CAST(SUM(u.bytes) AS BIGINT), 0)
                        FROM backup_counts u WHERE u.vault_id = ",
                $vault,
                ") + (SELECT COALESCE(CAST(SUM(u.logical_bytes) AS BIGINT), 0) FROM backup_members s
                      JOIN backups u ON u.id = s.backup_id WHERE s.vault_id = ",
                $vault,
                ") + (SELECT COALESCE(CAST(SUM(u.logical_bytes) AS BIGINT), 0) FROM backup_members s
                      JOIN backups u ON u.parent_id = s.backup_id WHERE s.vault_id = ",
                $vault,
                ")) * 100 >= (SELECT v.size_gib * 1073741824 FROM vaults v WHERE v.id = ",
                $vault,
                ") * "
            ),
        }
    };
}

const PRIVATE: Source = source!("FROM backups t WHERE t.project_id = $1", "t.vault_id");
/// Where ids are given. The project is compared as an expression, which no index knows: without statistics SQLite
/// would rather walk through all backups of the project than look up fifty ids.
const PRIVATE_BY_ID: Source = source!("FROM backups t WHERE t.project_id || '' = $1", "t.vault_id");
const SHARED: Source = source!(
    "FROM backup_members m JOIN backups t ON t.id = m.backup_id WHERE m.dest_project_id = $1",
    "m.vault_id"
);
/// What a server's backup consists of is shown only to those who accepted it.
const SHARED_DISKS: Source = source!(
    "FROM backup_members m JOIN backups t ON t.parent_id = m.backup_id
     WHERE m.dest_project_id = $1 AND m.status = 'accepted'",
    "m.vault_id"
);
const ALL: Source = source!(
    "FROM backups t LEFT JOIN backup_members m ON m.backup_id = t.id AND m.dest_project_id = $1
     WHERE (t.project_id = $1 OR m.id IS NOT NULL)",
    "(CASE WHEN t.project_id = $1 THEN t.vault_id ELSE m.vault_id END)"
);
const ALL_DISKS: Source = source!(
    "FROM backups t LEFT JOIN backup_members m ON m.backup_id = t.parent_id
         AND m.dest_project_id = $1 AND m.status = 'accepted'
     WHERE (t.project_id = $1 OR m.id IS NOT NULL)",
    "(CASE WHEN t.project_id = $1 THEN t.vault_id ELSE m.vault_id END)"
);

/// How many backups match, as `n`, out of what the database counts; none if the filter asks for what
/// only the backups themselves tell.
pub(crate) fn counted(project: ProjectId, filter: &BackupFilter) -> Option<Sql> {
    let BackupFilter { vault, statuses, enterprise_project, vault_used_percent, sort, .. } = filter;
    let of_counts = BackupFilter {
        vault: *vault,
        statuses: statuses.clone(),
        enterprise_project: enterprise_project.clone(),
        vault_used_percent: *vault_used_percent,
        sort: sort.clone(),
        ..BackupFilter::default()
    };
    if of_counts != *filter {
        return None;
    }
    let mut sql = Sql::new(
        "SELECT COALESCE(CAST(SUM(t.backups) AS BIGINT), 0) AS n
         FROM backup_counts t WHERE t.project_id = $1",
    )
    .bind(project);
    sql.and_equal(PRIVATE.vault, *vault);
    sql.and_one_of("t.status", statuses);
    of_vault(&mut sql, &PRIVATE, filter);
    Some(sql)
}

/// Whether texts are looked for that no index answers.
pub(crate) const fn is_search(filter: &BackupFilter) -> bool {
    filter.name.is_some() || filter.resource_name.is_some()
}

/// ` AND …`: what is asked about the vault itself.
fn of_vault(sql: &mut Sql, source: &Source, filter: &BackupFilter) {
    if let Some(wanted) = &filter.enterprise_project {
        sql.text(source.of_enterprise_project).value(wanted);
    }
    if let Some(percent) = filter.vault_used_percent {
        sql.text(source.used_percent).value(percent);
    }
}

/// `FROM backups t … WHERE …`
pub(crate) fn matching(engine: Engine, project: ProjectId, filter: &BackupFilter) -> Sql {
    let source = match (filter.ownership, filter.parent.is_some()) {
        (Ownership::Private, _) if filter.ids.is_empty() => PRIVATE,
        (Ownership::Private, _) => PRIVATE_BY_ID,
        (Ownership::Shared, false) => SHARED,
        (Ownership::Shared, true) => SHARED_DISKS,
        (Ownership::All, false) => ALL,
        (Ownership::All, true) => ALL_DISKS,
    };
    let mut sql = Sql::new(source.from).bind(project);
    sql.and_one_of("t.id", filter.ids.iter().copied());
    match filter.parent {
        Some(parent) => sql.and_equal("t.parent_id", Some(parent)),
        None => sql.text(" AND t.parent_id IS NULL"),
    };
    sql.and_equal("t.checkpoint_id", filter.checkpoint);
    sql.and_equal(source.vault, filter.vault);
    and_contains(&mut sql, engine, "t.name", filter.name.as_ref());
    sql.and_equal("t.resource_id", filter.resource);
    and_contains(&mut sql, engine, "t.resource_name", filter.resource_name.as_ref());
    sql.and_equal("t.resource_kind", filter.resource_kind.map(ResourceKind::as_str));
    sql.and_equal("t.resource_az", filter.resource_az.as_ref());
    sql.and_one_of("t.status", &filter.statuses);
    sql.and_equal("t.incremental", filter.incremental);
    if let Some(from) = filter.created_from {
        sql.text(" AND t.created_at >= ").value(from);
    }
    if let Some(until) = filter.created_until {
        sql.text(" AND t.created_at <= ").value(until);
    }
    if let Some(is_by_number) = filter.kept_by_number {
        sql.text(" AND t.auto_trigger = 1 AND t.expired_at IS ");
        sql.text(if is_by_number { "NULL" } else { "NOT NULL" });
    }
    if let Some(status) = filter.member_status {
        // Of one's own nobody accepts anything.
        if filter.ownership == Ownership::Private {
            sql.text(" AND 1 = 0");
        } else {
            sql.and_equal("m.status", Some(status.as_str()));
        }
    }
    of_vault(&mut sql, &source, filter);
    sql
}

/// Rows that the project owns or was offered: what a marker may be.
pub(crate) fn own_or_offered(sql: &mut Sql, project: ProjectId) {
    sql.text("(t.project_id = ").value(project);
    sql.text(" OR COALESCE(t.parent_id, t.id) IN (SELECT m.backup_id FROM backup_members m");
    sql.text(" WHERE m.dest_project_id = ").value(project).text("))");
}

/// The wanted order made total; newest first if nothing is wanted.
pub(crate) fn sort_keys(wanted: &[BackupSort]) -> Vec<SortKey> {
    let mut keys: Vec<SortKey> = Vec::new();
    for sort in wanted {
        let (expression, is_text) = match sort.key {
            BackupSortKey::CreatedAt => ("t.created_at", false),
            BackupSortKey::UpdatedAt => ("t.updated_at", false),
            BackupSortKey::Name => ("t.name", true),
            BackupSortKey::Status => ("t.status", true),
            BackupSortKey::ProtectedAt => ("COALESCE(t.protected_at, 0)", false),
            BackupSortKey::Id => ("t.id", true),
        };
        if keys.iter().all(|key| key.expression != expression) {
            keys.push(SortKey { expression, is_text, ascending: sort.ascending });
        }
    }
    if keys.is_empty() {
        keys.push(SortKey::newest("t.created_at"));
    }
    if keys.iter().all(|key| key.expression != "t.id") {
        let ascending = keys.last().is_some_and(|key| key.ascending);
        keys.push(SortKey::id(ascending));
    }
    keys
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cbr_model::BackupId;
    use cbr_testkit::TestDatabase;
    use uuid::Uuid;

    use super::*;
    use crate::backup_extras;
    use crate::db::Db;

    /// Contract A.4: a page of backups that are named costs what they are, not what the project has.
    #[tokio::test]
    async fn sqlite_looks_up_given_ids() {
        let database = TestDatabase::sqlite();
        let clock = Arc::new(cbr_env::SystemClock::default());
        let db = Db::open(database.url(), clock).await.unwrap();
        let mut tx = db.read().await.unwrap();
        let project = ProjectId::from_uuid(Uuid::from_u128(1));
        let ids: Vec<BackupId> = (0..50).map(|n| BackupId::from_uuid(Uuid::from_u128(n))).collect();
        let filter = BackupFilter { ids: ids.clone(), ..BackupFilter::default() };
        let list = matching(Engine::Sqlite, project, &filter);
        for sql in [list.wrapped("SELECT COUNT(*) ", ""), backup_extras::query(project, &ids)] {
            let plan = tx.rows("plan", "plan", sql.wrapped("EXPLAIN QUERY PLAN ", "")).await;
            let plan = plan.unwrap()[0].text("detail").unwrap();
            assert!(plan.contains("(id=?)"), "{plan}");
        }
    }
}
