//! Migrations: numbered, append-only, each in one transaction.
//!
//! A migration that ran is known by the hash of its text; one that changed
//! afterwards, or that we do not know, stops the start (P18: never backwards).

use crate::db::Db;
use crate::error::DbError;
use crate::sql::Sql;
use crate::tx::Tx;

/// Append only. The text of a released migration never changes.
pub(crate) const MIGRATIONS: &[(i64, &str)] = &[
    (1, include_str!("../migrations/0001_identity.sql")),
    (2, include_str!("../migrations/0002_catalogue.sql")),
    (3, include_str!("../migrations/0003_tasks.sql")),
    (4, include_str!("../migrations/0004_task_keys.sql")),
    (5, include_str!("../migrations/0005_exports.sql")),
    (6, include_str!("../migrations/0006_verification.sql")),
    (7, include_str!("../migrations/0007_object_claims.sql")),
    (8, include_str!("../migrations/0008_trash.sql")),
    (10, include_str!("../migrations/0010_backup_sizes.sql")),
    (12, include_str!("../migrations/0012_audit.sql")),
    (13, include_str!("../migrations/0013_policies.sql")),
    (14, include_str!("../migrations/0014_sharing.sql")),
    (15, include_str!("../migrations/0015_access.sql")),
    (16, include_str!("../migrations/0016_vault_contract.sql")),
    (17, include_str!("../migrations/0017_agents.sql")),
    (18, include_str!("../migrations/0018_runs.sql")),
    (19, include_str!("../migrations/0019_billing.sql")),
    (20, include_str!("../migrations/0020_monitoring.sql")),
    (21, include_str!("../migrations/0021_images.sql")),
    (22, include_str!("../migrations/0022_refusals.sql")),
    (24, include_str!("../migrations/0024_nodes.sql")),
    (27, include_str!("../migrations/0027_anomalies.sql")),
    (28, include_str!("../migrations/0028_protection.sql")),
    (29, include_str!("../migrations/0029_alarms_and_money.sql")),
    (30, include_str!("../migrations/0030_predefined_tags.sql")),
    (32, include_str!("../migrations/0032_parents.sql")),
    (33, include_str!("../migrations/0033_lists.sql")),
    (34, include_str!("../migrations/0034_export_opened.sql")),
    (36, include_str!("../migrations/0036_failed_logins.sql")),
    (40, include_str!("../migrations/0040_encrypted.sql")),
    (42, include_str!("../migrations/0042_rebuilt_holds.sql")),
    (43, include_str!("../migrations/0043_metering_and_metrics.sql")),
    (44, include_str!("../migrations/0044_backup_counts.sql")),
    (47, include_str!("../migrations/0047_long_lists.sql")),
    (49, include_str!("../migrations/0049_alarm_namespaces.sql")),
    (50, include_str!("../migrations/0050_domain_migrations.sql")),
    (51, include_str!("../migrations/0051_app_consistency.sql")),
];

const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS schema_migrations (
        number     BIGINT NOT NULL PRIMARY KEY,
        digest     TEXT   NOT NULL,
        applied_at BIGINT NOT NULL
    );";

/// Brings the database to the newest migration. Several nodes may try at once.
pub(crate) async fn migrate(db: &Db) -> Result<(), DbError> {
    let mut tx = db.begin().await?;
    let create = tx.engine().translate(TABLE);
    tx.script("migrate", create).await?;
    refuse_unknown(&mut tx).await?;
    tx.commit().await?;
    for &(number, text) in MIGRATIONS {
        let mut tx = db.begin().await?;
        if apply(&mut tx, number, text).await? {
            tx.commit().await?;
            tracing::info!(number, "database migrated");
        }
    }
    Ok(())
}

async fn refuse_unknown(tx: &mut Tx) -> Result<(), DbError> {
    let newest = Sql::new("SELECT COALESCE(MAX(number), 0) AS number FROM schema_migrations");
    let Some(row) = tx.row("migrate", "schema_migrations", newest).await? else { return Ok(()) };
    let known = MIGRATIONS.last().map_or(0, |(number, _)| *number);
    let found = row.int("number")?;
    if found > known { Err(DbError::TooNew { found, known }) } else { Ok(()) }
}

/// Runs a migration, unless it ran before; says whether it did.
async fn apply(tx: &mut Tx, number: i64, text: &str) -> Result<bool, DbError> {
    let digest = blake3::hash(text.as_bytes()).to_hex().to_string();
    let ran = Sql::new("SELECT digest FROM schema_migrations WHERE number = $1").bind(number);
    if let Some(row) = tx.row("migrate", "schema_migrations", ran).await? {
        return if row.text("digest")? == digest {
            Ok(false)
        } else {
            Err(DbError::ForeignMigration { number })
        };
    }
    let script = tx.engine().translate(text);
    tx.script("migrate", script).await?;
    let now = tx.now();
    let done =
        Sql::new("INSERT INTO schema_migrations (number, digest, applied_at) VALUES ($1, $2, $3)")
            .bind(number)
            .bind(digest)
            .bind(now);
    tx.execute("migrate", done).await?;
    Ok(true)
}
