//! Table `events`: what happened without a person. Whoever makes something happen adds it here in
//! the same transaction; alarms and notices are made of it afterwards, once.

use cbr_model::event::{CbrEvent, EventKind};
use cbr_model::query::{Listing, Page};
use cbr_model::{EventId, ProjectId, Timestamp};

use crate::error::DbError;
use crate::listing::{Listed, SortKey, WHOLE};
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;

/// The table of events.
#[derive(Debug)]
pub struct Events<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Events<'_> {
    /// Adds what happened in this transaction.
    pub async fn insert(&mut self, event: &CbrEvent) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO events (id, project_id, kind, vault_id, resource_id, resource_name, detail,
                 created_at, handled)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0) ON CONFLICT (id) DO NOTHING",
        )
        .bind(event.id)
        .bind(event.project)
        .bind(event.kind.as_str())
        .bind(event.vault)
        .bind(event.resource.as_ref())
        .bind(&event.resource_name)
        .bind(&event.detail)
        .bind(event.at);
        self.tx.execute("events.insert", sql).await.map(drop)
    }

    /// The oldest events that nothing was made of yet, from the one after `after` on, at most `limit`.
    pub async fn open(
        &mut self,
        after: Option<&CbrEvent>,
        limit: u32,
    ) -> Result<Vec<CbrEvent>, DbError> {
        let mut sql = Sql::new("SELECT * FROM events WHERE handled = 0");
        if let Some(after) = after {
            sql.text(" AND (created_at > ").value(after.at).text(" OR (created_at = ");
            sql.value(after.at).text(" AND id > ").value(after.id).text("))");
        }
        sql.text(" ORDER BY created_at, id LIMIT ").value(limit);
        let rows = self.tx.rows("events.open", "events", sql).await?;
        rows.iter().map(event).collect()
    }

    /// Notes that alarms and notices are made of an event; says whether nobody had before.
    pub async fn set_handled(&mut self, event: EventId) -> Result<bool, DbError> {
        let sql = Sql::new("UPDATE events SET handled = 1 WHERE id = $1 AND handled = 0");
        self.tx.execute_one("events.set_handled", sql.bind(event)).await
    }

    /// A page of a project's events, newest first; of one kind.
    pub async fn list(
        &mut self,
        project: ProjectId,
        kind: Option<EventKind>,
        page: &Page,
    ) -> Result<Listing<CbrEvent>, DbError> {
        let mut sql = Sql::new("FROM events t WHERE t.project_id = $1").bind(project);
        sql.and_equal("t.kind", kind.map(EventKind::as_str));
        let listed = Listed {
            name: "events.list",
            table: "events",
            select: WHOLE,
            project,
            matching: sql,
            keys: vec![SortKey::newest("t.created_at"), SortKey::id(false)],
        };
        let (rows, total) = listed.page(self.tx, page).await?;
        Ok(Listing { rows: rows.iter().map(event).collect::<Result<_, _>>()?, total })
    }

    /// How many events of each kind there are.
    pub async fn counts(&mut self) -> Result<Vec<(EventKind, u64)>, DbError> {
        let sql = Sql::new("SELECT kind, COUNT(*) AS n FROM events GROUP BY kind");
        let rows = self.tx.rows("events.counts", "events", sql).await?;
        rows.iter()
            .map(|row| Ok((row.word("kind", EventKind::from_str_exact)?, row.count("n")?)))
            .collect()
    }

    /// Forgets at most `limit` events from before a time that were handled; says how many.
    pub async fn forget(&mut self, before: Timestamp, limit: u32) -> Result<u64, DbError> {
        let sql = Sql::new(
            "DELETE FROM events WHERE id IN (SELECT id FROM events
             WHERE handled = 1 AND created_at < $1 LIMIT $2)",
        );
        self.tx.execute("events.forget", sql.bind(before).bind(limit)).await
    }
}

fn event(row: &Row) -> Result<CbrEvent, DbError> {
    Ok(CbrEvent {
        id: row.id("id")?,
        project: row.id("project_id")?,
        kind: row.word("kind", EventKind::from_str_exact)?,
        vault: row.id_opt("vault_id")?,
        resource: row.text_opt("resource_id")?,
        resource_name: row.text("resource_name")?,
        detail: row.text("detail")?,
        at: row.time("created_at")?,
    })
}
