//! Tables `alarm_rules`, `alarm_states` and `alarm_templates`.

use cbr_model::alarm::{AlarmRule, AlarmState, AlarmTemplate};
use cbr_model::query::{Listing, Page};
use cbr_model::{AlarmId, AlarmTemplateId, ProjectId};

use crate::error::DbError;
use crate::listing::{Listed, SortKey, WHOLE, and_contains};
use crate::row::{Row, to_json};
use crate::sql::Sql;
use crate::tx::Tx;

/// What a rule knows about one thing it watches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownState {
    /// Place of the condition in the rule.
    pub condition: usize,
    /// The vault.
    pub resource: String,
    /// What it knows.
    pub state: AlarmState,
    /// The slot it was last decided for.
    pub slot: i64,
    /// The slot of the last message about it.
    pub told_slot: Option<i64>,
}

/// The tables of alarms.
#[derive(Debug)]
pub struct Alarms<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Alarms<'_> {
    /// Adds a rule.
    pub async fn insert(&mut self, rule: &AlarmRule) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO alarm_rules (id, project_id, name, namespace, enabled, on_events,
                 definition, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(rule.id)
        .bind(rule.project)
        .bind(&rule.name)
        .bind(rule.namespace())
        .bind(rule.enabled)
        .bind(rule.is_on_events())
        .bind(to_json(rule))
        .bind(rule.created_at)
        .bind(rule.updated_at);
        self.tx.execute("alarms.insert", sql).await.map(drop)
    }

    /// Writes a rule that was changed; says whether it is there. What it knew is forgotten, unless
    /// only its name or whom it tells is different.
    pub async fn update(&mut self, rule: &AlarmRule, keeps_states: bool) -> Result<bool, DbError> {
        let now = self.tx.now();
        let rule = AlarmRule { updated_at: now, ..rule.clone() };
        let sql = Sql::new(
            "UPDATE alarm_rules SET name = $3, enabled = $4, on_events = $5, definition = $6,
                 updated_at = $7, namespace = $8
             WHERE project_id = $1 AND id = $2",
        )
        .bind(rule.project)
        .bind(rule.id)
        .bind(&rule.name)
        .bind(rule.enabled)
        .bind(rule.is_on_events())
        .bind(to_json(&rule))
        .bind(now)
        .bind(rule.namespace());
        let is_there = self.tx.execute_one("alarms.update", sql).await?;
        if is_there && !keeps_states {
            let sql = Sql::new("DELETE FROM alarm_states WHERE alarm_id = $1").bind(rule.id);
            self.tx.execute("alarms.update", sql).await?;
            self.tx.alarm_records().close_all(rule.id).await?;
        }
        Ok(is_there)
    }

    /// Removes a rule; says whether it was there. Its history stays.
    pub async fn delete(&mut self, project: ProjectId, rule: AlarmId) -> Result<bool, DbError> {
        self.tx.alarm_records().close_all(rule).await?;
        let sql = Sql::new("DELETE FROM alarm_rules WHERE project_id = $1 AND id = $2");
        self.tx.execute_one("alarms.delete", sql.bind(project).bind(rule)).await
    }

    /// A project's rule with this id.
    pub async fn find(
        &mut self,
        project: ProjectId,
        rule: AlarmId,
    ) -> Result<Option<AlarmRule>, DbError> {
        let sql = Sql::new("SELECT * FROM alarm_rules WHERE project_id = $1 AND id = $2");
        let row = self.tx.row("alarms.find", "alarm_rules", sql.bind(project).bind(rule)).await?;
        row.as_ref().map(definition).transpose()
    }

    /// A page of a project's rules, newest first; those whose name contains a text, and those about
    /// something of a namespace.
    pub async fn list(
        &mut self,
        project: ProjectId,
        name: Option<&String>,
        namespace: Option<&str>,
        ascending: bool,
        page: &Page,
    ) -> Result<Listing<AlarmRule>, DbError> {
        let engine = self.tx.engine();
        let mut sql = Sql::new("FROM alarm_rules t WHERE t.project_id = $1").bind(project);
        and_contains(&mut sql, engine, "t.name", name);
        sql.and_equal("t.namespace", namespace);
        let by_time = SortKey { ascending, ..SortKey::newest("t.created_at") };
        let listed = Listed {
            name: "alarms.list",
            table: "alarm_rules",
            select: WHOLE,
            project,
            matching: sql,
            keys: vec![by_time, SortKey::id(ascending)],
        };
        let (rows, total) = listed.page(self.tx, page).await?;
        Ok(Listing { rows: rows.iter().map(definition).collect::<Result<_, _>>()?, total })
    }

    /// How many rules a project has.
    pub async fn count(&mut self, project: ProjectId) -> Result<u64, DbError> {
        let sql = Sql::new("SELECT COUNT(*) AS n FROM alarm_rules WHERE project_id = $1");
        self.tx.number("alarms.count", sql.bind(project)).await
    }

    /// The rules of all projects that are looked at: those about metrics, at most `limit`, after one.
    pub async fn enabled_on_metrics(
        &mut self,
        after: Option<AlarmId>,
        limit: u32,
    ) -> Result<Vec<AlarmRule>, DbError> {
        let mut sql = Sql::new("SELECT * FROM alarm_rules WHERE enabled = 1 AND on_events = 0");
        if let Some(after) = after {
            sql.text(" AND id > ").value(after);
        }
        sql.text(" ORDER BY id LIMIT ").value(limit);
        let rows = self.tx.rows("alarms.enabled_on_metrics", "alarm_rules", sql).await?;
        rows.iter().map(definition).collect()
    }

    /// A project's rules about events that are looked at.
    pub async fn enabled_on_events(
        &mut self,
        project: ProjectId,
    ) -> Result<Vec<AlarmRule>, DbError> {
        let sql = Sql::new(
            "SELECT * FROM alarm_rules WHERE project_id = $1 AND enabled = 1 AND on_events = 1
             ORDER BY id",
        );
        let rows =
            self.tx.rows("alarms.enabled_on_events", "alarm_rules", sql.bind(project)).await?;
        rows.iter().map(definition).collect()
    }

    /// What a rule knows.
    pub async fn states(&mut self, rule: AlarmId) -> Result<Vec<KnownState>, DbError> {
        let sql = Sql::new("SELECT * FROM alarm_states WHERE alarm_id = $1").bind(rule);
        let rows = self.tx.rows("alarms.states", "alarm_states", sql).await?;
        let state = |row: &Row| {
            Ok(KnownState {
                condition: row.small("condition")?,
                resource: row.text("resource_id")?,
                state: row.word("state", AlarmState::from_str_exact)?,
                slot: row.int("slot")?,
                told_slot: row.int_opt("told_slot")?,
            })
        };
        rows.iter().map(state).collect()
    }

    /// Keeps what a rule knows from a slot on. Says whether it was the first to decide that slot:
    /// later ones change nothing, and must tell nobody.
    pub async fn decide(&mut self, rule: AlarmId, known: &KnownState) -> Result<bool, DbError> {
        let sql = Sql::new(
            "INSERT INTO alarm_states (alarm_id, condition, resource_id, state, slot, told_slot)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (alarm_id, condition, resource_id) DO UPDATE
             SET state = excluded.state, slot = excluded.slot, told_slot = excluded.told_slot
             WHERE alarm_states.slot < excluded.slot",
        )
        .bind(rule)
        .bind(known.condition)
        .bind(&known.resource)
        .bind(known.state.as_str())
        .bind(known.slot)
        .bind(known.told_slot);
        self.tx.execute_one("alarms.decide", sql).await
    }

    /// Corrects when somebody was last told of what was decided in this transaction.
    pub async fn set_told(&mut self, rule: AlarmId, known: &KnownState) -> Result<(), DbError> {
        let sql = Sql::new(
            "UPDATE alarm_states SET told_slot = $4
             WHERE alarm_id = $1 AND condition = $2 AND resource_id = $3",
        )
        .bind(rule)
        .bind(known.condition)
        .bind(&known.resource)
        .bind(known.told_slot);
        self.tx.execute("alarms.set_told", sql).await.map(drop)
    }

    // --- templates

    /// Adds a template. [`DbError::Taken`] when the project has one of this name.
    pub async fn insert_template(&mut self, template: &AlarmTemplate) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO alarm_templates (id, project_id, name, description, conditions, on_events,
                 created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(template.id)
        .bind(template.project)
        .bind(&template.name)
        .bind(&template.description)
        .bind(to_json(&template.conditions))
        .bind(template.is_on_events())
        .bind(template.created_at);
        self.tx.execute("alarms.insert_template", sql).await.map(drop)
    }

    /// A project's template with this id.
    pub async fn find_template(
        &mut self,
        project: ProjectId,
        id: AlarmTemplateId,
    ) -> Result<Option<AlarmTemplate>, DbError> {
        let sql = Sql::new("SELECT * FROM alarm_templates WHERE project_id = $1 AND id = $2");
        let sql = sql.bind(project).bind(id);
        let row = self.tx.row("alarms.find_template", "alarm_templates", sql).await?;
        row.as_ref().map(template).transpose()
    }

    /// A page of a project's templates, newest first.
    pub async fn list_templates(
        &mut self,
        project: ProjectId,
        page: &Page,
    ) -> Result<Listing<AlarmTemplate>, DbError> {
        let listed = Listed {
            name: "alarms.list_templates",
            table: "alarm_templates",
            select: WHOLE,
            project,
            matching: Sql::new("FROM alarm_templates t WHERE t.project_id = $1").bind(project),
            keys: vec![SortKey::newest("t.created_at"), SortKey::id(false)],
        };
        let (rows, total) = listed.page(self.tx, page).await?;
        Ok(Listing { rows: rows.iter().map(template).collect::<Result<_, _>>()?, total })
    }

    /// Removes a template; says whether it was there. Rules made from it stay.
    pub async fn delete_template(
        &mut self,
        project: ProjectId,
        id: AlarmTemplateId,
    ) -> Result<bool, DbError> {
        let sql = Sql::new("DELETE FROM alarm_templates WHERE project_id = $1 AND id = $2");
        self.tx.execute_one("alarms.delete_template", sql.bind(project).bind(id)).await
    }
}

fn definition(row: &Row) -> Result<AlarmRule, DbError> {
    row.json("definition")
}

fn template(row: &Row) -> Result<AlarmTemplate, DbError> {
    Ok(AlarmTemplate {
        id: row.id("id")?,
        project: Some(row.id("project_id")?),
        name: row.text("name")?,
        description: row.text("description")?,
        conditions: row.json("conditions")?,
        created_at: row.time("created_at")?,
    })
}
