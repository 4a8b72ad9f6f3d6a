//! Tables `traces`, `trackers`: who changed what.

use cbr_model::audit::{Trace, TraceFilter, Tracker};
use cbr_model::query::{Listing, Page};
use cbr_model::{DomainId, ProjectId};

use crate::error::DbError;
use crate::listing::{Listed, SortKey, WHOLE};
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// The tables of the audit.
#[derive(Debug)]
pub struct Audit<'t> {
    pub(crate) tx: &'t mut Tx,
}

/// A record as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptTrace {
    /// What it says beside its text; what lists are filtered by.
    pub columns: Columns,
    /// Its JSON, which the digest is over.
    pub record: String,
    /// Digest of the digest before and the record.
    pub digest: String,
}

/// What a record says outside its text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Columns {
    /// [`Trace::id`]
    pub id: String,
    /// [`Trace::domain`]
    pub domain: DomainId,
    /// [`Trace::number`]
    pub number: u64,
    /// [`Trace::project`]
    pub project: Option<ProjectId>,
    /// [`Trace::user`]
    pub user: String,
    /// [`Trace::user_name`]
    pub user_name: String,
    /// [`Trace::service`]
    pub service: String,
    /// [`Trace::name`]
    pub name: String,
    /// [`Trace::resource_type`]
    pub resource_type: String,
    /// [`Trace::resource_id`]
    pub resource_id: String,
    /// [`Trace::resource_name`]
    pub resource_name: String,
    /// [`Trace::at`]
    pub at: cbr_model::Timestamp,
    /// [`Trace::refused`]
    pub refused: Option<u16>,
}

impl From<&Trace> for Columns {
    fn from(trace: &Trace) -> Self {
        Self {
            id: trace.id.to_string(),
            domain: trace.domain,
            number: trace.number,
            project: trace.project,
            user: trace.user.to_string(),
            user_name: trace.user_name.clone(),
            service: trace.service.clone(),
            name: trace.name.clone(),
            resource_type: trace.resource_type.clone(),
            resource_id: trace.resource_id.clone(),
            resource_name: trace.resource_name.clone(),
            at: trace.at,
            refused: trace.refused,
        }
    }
}

impl Audit<'_> {
    /// The end of an account's chain; none if it is empty.
    pub async fn last(&mut self, domain: DomainId) -> Result<Option<KeptTrace>, DbError> {
        let sql =
            Sql::new("SELECT * FROM traces WHERE domain_id = $1 ORDER BY number DESC LIMIT 1");
        let row = self.tx.row("audit.last", "traces", sql.bind(domain)).await?;
        row.as_ref().map(kept).transpose()
    }

    /// Adds a record to the chain. [`DbError::Taken`] if its place is taken.
    pub async fn append(&mut self, trace: &KeptTrace) -> Result<(), DbError> {
        let KeptTrace { columns, record, digest } = trace;
        let sql = Sql::new(
            "INSERT INTO traces (id, domain_id, number, project_id, user_id, user_name, service,
                 name, resource_type, resource_id, resource_name, created_at, record, digest, refused)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        )
        .bind(&columns.id)
        .bind(columns.domain)
        .bind(columns.number)
        .bind(columns.project)
        .bind(&columns.user)
        .bind(&columns.user_name)
        .bind(&columns.service)
        .bind(&columns.name)
        .bind(&columns.resource_type)
        .bind(&columns.resource_id)
        .bind(&columns.resource_name)
        .bind(columns.at)
        .bind(record)
        .bind(digest)
        .bind(columns.refused.map(i64::from));
        self.tx.execute("audit.append", sql).await.map(drop)
    }

    /// The next `limit` records of an account's chain after place `after`, in order.
    pub async fn chain(
        &mut self,
        domain: DomainId,
        after: u64,
        limit: i64,
    ) -> Result<Vec<KeptTrace>, DbError> {
        let sql = Sql::new(
            "SELECT * FROM traces WHERE domain_id = $1 AND number > $2 ORDER BY number LIMIT $3",
        );
        let sql = sql.bind(domain).bind(after).bind(limit);
        let rows = self.tx.rows("audit.chain", "traces", sql).await?;
        rows.iter().map(kept).collect()
    }

    /// A page of a project's records, newest first.
    pub async fn list(
        &mut self,
        project: ProjectId,
        filter: &TraceFilter,
        page: &Page,
    ) -> Result<Listing<KeptTrace>, DbError> {
        let mut sql = Sql::new("FROM traces t WHERE t.project_id = $1").bind(project);
        sql.and_equal("t.id", filter.id);
        sql.and_equal("t.service", filter.service.as_ref());
        sql.and_equal("t.name", filter.name.as_ref());
        sql.and_equal("t.resource_type", filter.resource_type.as_ref());
        sql.and_equal("t.resource_id", filter.resource_id.as_ref());
        sql.and_equal("t.resource_name", filter.resource_name.as_ref());
        sql.and_equal("t.user_name", filter.user_name.as_ref());
        if let Some(is_refused) = filter.is_refused {
            sql.text(if is_refused {
                " AND t.refused IS NOT NULL"
            } else {
                " AND t.refused IS NULL"
            });
        }
        if let Some(from) = filter.from {
            sql.text(" AND t.created_at >= ").value(from);
        }
        if let Some(to) = filter.to {
            sql.text(" AND t.created_at <= ").value(to);
        }
        let listed = Listed {
            name: "audit.list",
            table: "traces",
            select: WHOLE,
            project,
            matching: sql,
            keys: vec![
                SortKey::newest("t.created_at"),
                SortKey::newest("t.number"),
                SortKey::id(false),
            ],
        };
        let (rows, total) = listed.page(self.tx, page).await?;
        let rows = rows.iter().map(kept).collect::<Result<_, _>>()?;
        Ok(Listing { rows, total })
    }

    /// Whether a project's changes are recorded; they are until somebody says otherwise.
    pub async fn tracker(&mut self, project: ProjectId) -> Result<Tracker, DbError> {
        let sql = Sql::new("SELECT * FROM trackers WHERE project_id = $1").bind(project);
        let Some(row) = self.tx.row("audit.tracker", "trackers", sql).await? else {
            return Ok(Tracker { enabled: true, changed_at: None });
        };
        Ok(Tracker { enabled: row.flag("enabled")?, changed_at: Some(row.time("changed_at")?) })
    }

    /// Says whether a project's changes are recorded from now on.
    pub async fn set_tracker(&mut self, project: ProjectId, enabled: bool) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO trackers (project_id, enabled, changed_at) VALUES ($1, $2, $3)
             ON CONFLICT (project_id) DO UPDATE
             SET enabled = excluded.enabled, changed_at = excluded.changed_at",
        )
        .bind(project)
        .bind(enabled)
        .bind(self.tx.now());
        self.tx.execute("audit.set_tracker", sql).await.map(drop)
    }
}

fn kept(row: &Row) -> Result<KeptTrace, DbError> {
    Ok(KeptTrace {
        columns: Columns {
            id: row.text("id")?,
            domain: row.id("domain_id")?,
            number: row.count("number")?,
            project: row.id_opt("project_id")?,
            user: row.text("user_id")?,
            user_name: row.text("user_name")?,
            service: row.text("service")?,
            name: row.text("name")?,
            resource_type: row.text("resource_type")?,
            resource_id: row.text("resource_id")?,
            resource_name: row.text("resource_name")?,
            at: row.time("created_at")?,
            refused: row.small_opt("refused")?,
        },
        record: row.text("record")?,
        digest: row.text("digest")?,
    })
}
