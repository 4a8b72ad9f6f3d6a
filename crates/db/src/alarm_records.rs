//! Table `alarm_records`: changes of state of alarms.

use cbr_model::alarm::{AlarmRecord, AlarmState};
use cbr_model::query::{Listing, Page};
use cbr_model::{AlarmId, AlarmRecordId, ProjectId, Timestamp};

use crate::error::DbError;
use crate::listing::{Listed, SortKey, WHOLE};
use crate::row::{Row, to_json};
use crate::sql::Sql;
use crate::tx::Tx;

/// Which records. `None` and empty lists do not filter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RecordFilter {
    /// This one.
    pub id: Option<AlarmRecordId>,
    /// Of one of these rules.
    pub alarms: Vec<AlarmId>,
    /// Of rules of this name.
    pub name: Option<String>,
    /// To one of these states.
    pub statuses: Vec<AlarmState>,
    /// Of this level.
    pub level: Option<u8>,
    /// About something of this namespace.
    pub namespace: Option<String>,
    /// Of this vault or thing.
    pub resource: Option<String>,
    /// Of events, or of metrics.
    pub on_event: Option<bool>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not after.
    pub to: Option<Timestamp>,
}

/// The table of records.
#[derive(Debug)]
pub struct AlarmRecords<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl AlarmRecords<'_> {
    /// Adds a record, unless there is one with its id; says whether it was added. One of another state
    /// ends the alarm that was open.
    pub async fn insert(&mut self, record: &AlarmRecord) -> Result<bool, DbError> {
        if !record.on_event && record.status != AlarmState::Alarm {
            let sql = Sql::new(
                "UPDATE alarm_records SET ended_at = $4
                 WHERE alarm_id = $1 AND condition = $2 AND resource_id = $3
                     AND status = 'alarm' AND ended_at IS NULL AND on_event = 0",
            )
            .bind(record.alarm)
            .bind(record.condition)
            .bind(&record.resource)
            .bind(record.at);
            self.tx.execute("alarm_records.end", sql).await?;
        }
        let sql = Sql::new(
            "INSERT INTO alarm_records (id, project_id, alarm_id, alarm_name, condition, resource_id,
                 status, level, on_event, detail, created_at, ended_at, told, namespace)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(record.id)
        .bind(record.project)
        .bind(record.alarm)
        .bind(&record.alarm_name)
        .bind(record.condition)
        .bind(&record.resource)
        .bind(record.status.as_str())
        .bind(record.level)
        .bind(record.on_event)
        .bind(to_json(&record.detail))
        .bind(record.at)
        .bind(record.ended_at)
        .bind(record.detail.told)
        .bind(record.namespace());
        self.tx.execute_one("alarm_records.insert", sql).await
    }

    /// Whether there is a record with this id.
    pub async fn exists(&mut self, id: AlarmRecordId) -> Result<bool, DbError> {
        let sql = Sql::new("SELECT COUNT(*) AS n FROM alarm_records WHERE id = $1").bind(id);
        Ok(self.tx.number("alarm_records.exists", sql).await? > 0)
    }

    /// How many events somebody was told of by a rule since a time; by one condition about one thing, if
    /// that is given.
    pub async fn told_since(
        &mut self,
        rule: AlarmId,
        of: Option<(usize, &str)>,
        since: Timestamp,
    ) -> Result<u64, DbError> {
        let mut sql = Sql::new(
            "SELECT COUNT(*) AS n FROM alarm_records
             WHERE alarm_id = $1 AND created_at >= $2 AND on_event = 1 AND told > 0",
        )
        .bind(rule)
        .bind(since);
        if let Some((condition, resource)) = of {
            sql.text(" AND condition = ").value(condition);
            sql.text(" AND resource_id = ").value(resource);
        }
        self.tx.number("alarm_records.told_since", sql).await
    }

    /// Ends what is open of a rule that changed or goes.
    pub(crate) async fn close_all(&mut self, rule: AlarmId) -> Result<(), DbError> {
        let sql = Sql::new(
            "UPDATE alarm_records SET ended_at = $2
             WHERE alarm_id = $1 AND status = 'alarm' AND ended_at IS NULL AND on_event = 0",
        );
        let now = self.tx.now();
        self.tx.execute("alarm_records.close_all", sql.bind(rule).bind(now)).await.map(drop)
    }

    /// A page of a project's records, newest first.
    pub async fn list(
        &mut self,
        project: ProjectId,
        filter: &RecordFilter,
        page: &Page,
    ) -> Result<Listing<AlarmRecord>, DbError> {
        let mut sql = Sql::new("FROM alarm_records t WHERE t.project_id = $1").bind(project);
        sql.and_equal("t.id", filter.id);
        sql.and_one_of("t.alarm_id", filter.alarms.iter().copied());
        sql.and_equal("t.alarm_name", filter.name.as_ref());
        sql.and_one_of("t.status", filter.statuses.iter().map(|status| status.as_str()));
        sql.and_equal("t.level", filter.level);
        sql.and_equal("t.namespace", filter.namespace.as_ref());
        sql.and_equal("t.resource_id", filter.resource.as_ref());
        sql.and_equal("t.on_event", filter.on_event);
        if let Some(from) = filter.from {
            sql.text(" AND t.created_at >= ").value(from);
        }
        if let Some(to) = filter.to {
            sql.text(" AND t.created_at <= ").value(to);
        }
        let listed = Listed {
            name: "alarm_records.list",
            table: "alarm_records",
            select: WHOLE,
            project,
            matching: sql,
            keys: vec![SortKey::newest("t.created_at"), SortKey::id(false)],
        };
        let (rows, total) = listed.page(self.tx, page).await?;
        Ok(Listing { rows: rows.iter().map(record).collect::<Result<_, _>>()?, total })
    }

    /// Forgets at most `limit` records of what was over before a time; says how many.
    pub async fn forget(&mut self, before: Timestamp, limit: u32) -> Result<u64, DbError> {
        let sql = Sql::new(
            "DELETE FROM alarm_records WHERE id IN (SELECT id FROM alarm_records
             WHERE created_at < $1
             AND (status <> 'alarm' OR ended_at IS NOT NULL OR on_event = 1) LIMIT $2)",
        );
        self.tx.execute("alarm_records.forget", sql.bind(before).bind(limit)).await
    }
}

fn record(row: &Row) -> Result<AlarmRecord, DbError> {
    Ok(AlarmRecord {
        id: row.id("id")?,
        project: row.id("project_id")?,
        alarm: row.id("alarm_id")?,
        alarm_name: row.text("alarm_name")?,
        condition: row.small("condition")?,
        resource: row.text("resource_id")?,
        status: row.word("status", AlarmState::from_str_exact)?,
        level: row.small("level")?,
        on_event: row.flag("on_event")?,
        detail: row.json("detail")?,
        at: row.time("created_at")?,
        ended_at: row.time_opt("ended_at")?,
    })
}
