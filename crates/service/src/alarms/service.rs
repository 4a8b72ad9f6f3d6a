//! Use cases of alarms.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cbr_db::{DbError, RecordFilter, Tx};
use cbr_env::RandomExt;
use cbr_model::alarm::{AlarmRecord, AlarmRule, AlarmState, AlarmTemplate};
use cbr_model::event::{CbrEvent, EventKind};
use cbr_model::query::{Listing, Page};
use cbr_model::{AlarmId, AlarmTemplateId, ProjectId, Timestamp, TopicId};

use super::builtin;
use super::checks::{
    check_conditions, check_description, check_name, check_several, check_together, check_watched,
};
use super::error::AlarmError;
use super::requests::{AlarmChange, AlarmView, NewAlarm, NewTemplate};
use crate::audit::Subject;
use crate::core::Core;
use crate::error::db;
use crate::topics::existing as existing_topic;
use crate::{Access, Error, Result};

/// Most rules of a project.
const RULES_MAX: usize = 1000;
/// Most topics that a rule tells.
const TOPICS_MAX: usize = 10;
/// How long history, events and deliveries are kept.
const HISTORY_SECONDS: i64 = 30 * 86_400;
/// Rows of a table that are forgotten in one transaction.
const FORGET: u32 = 500;

/// Use cases of alarms, and their background.
#[derive(Debug)]
pub struct Alarms {
    pub(super) core: Arc<Core>,
    /// For each rule, the slot that was decided, and which state of the rule that was.
    decided: Mutex<HashMap<AlarmId, (i64, Timestamp)>>,
}

impl Alarms {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core, decided: Mutex::default() }
    }

    pub(super) fn decided(&self) -> MutexGuard<'_, HashMap<AlarmId, (i64, Timestamp)>> {
        self.decided.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a rule (MON-06, MON-09).
    pub async fn create(&self, access: &Access, wanted: NewAlarm) -> Result<AlarmRule> {
        let doing = "creating an alarm";
        let name = match &wanted.name {
            Some(name) => name.clone(),
            None => self.default_name(),
        };
        check_name(&name)?;
        check_description(&wanted.description)?;
        check_watched(&wanted.watched)?;
        let mut tx = self.core.change(access, doing).await?;
        let count = tx.alarms().count(access.project()).await.map_err(db(doing))?;
        if count >= RULES_MAX as u64 {
            return Err(AlarmError::TooMany { limit: RULES_MAX }.into());
        }
        let conditions = match wanted.template {
            Some(id) if wanted.conditions.is_empty() => {
                template(&mut tx, access.project(), id).await?.conditions
            }
            _ => wanted.conditions,
        };
        check_conditions(&conditions)?;
        check_together(&wanted.watched, &conditions)?;
        let rule = AlarmRule {
            id: AlarmId::random(&*self.core.random),
            project: access.project(),
            name,
            description: wanted.description,
            watched: wanted.watched,
            conditions,
            enabled: wanted.enabled,
            notifies: wanted.notifies,
            on_alarm: topics(&mut tx, access.project(), &wanted.on_alarm).await?,
            on_recovery: topics(&mut tx, access.project(), &wanted.on_recovery).await?,
            window: wanted.window,
            enterprise_project: wanted.enterprise_project,
            template: wanted.template,
            created_at: tx.now(),
            updated_at: tx.now(),
        };
        tx.alarms().insert(&rule).await.map_err(db(doing))?;
        tx.commit(Subject::new(rule.id, &rule.name)).await?;
        Ok(rule)
    }

    /// MON-06: `alarm-` and four letters.
    fn default_name(&self) -> String {
        let bytes: [u8; 4] = self.core.random.bytes();
        let letters = bytes.map(|byte| char::from(b'a' + byte % 26));
        format!("alarm-{}", letters.iter().collect::<String>())
    }

    /// Lists rules, newest first unless `ascending`; those whose name contains a text, and those about
    /// something of a namespace.
    pub async fn list(
        &self,
        access: &Access,
        name: Option<&String>,
        namespace: Option<&str>,
        ascending: bool,
        page: Page,
    ) -> Result<Listing<AlarmView>> {
        let doing = "listing alarms";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let listed = tx.alarms().list(access.project(), name, namespace, ascending, &page).await;
        let Listing { rows, total } = listed.map_err(db(doing))?;
        let mut views = Vec::with_capacity(rows.len());
        for rule in rows {
            views.push(view(&mut tx, rule).await.map_err(db(doing))?);
        }
        Ok(Listing { rows: views, total })
    }

    /// One rule.
    pub async fn show(&self, access: &Access, id: AlarmId) -> Result<AlarmView> {
        let mut tx = self.core.db.read().await.map_err(db("reading an alarm"))?;
        let rule = existing(&mut tx, access.project(), id).await?;
        view(&mut tx, rule).await.map_err(db("reading an alarm"))
    }

    /// One rule, if it is there.
    pub async fn find(&self, access: &Access, id: AlarmId) -> Result<Option<AlarmView>> {
        match self.show(access, id).await {
            Ok(view) => Ok(Some(view)),
            Err(Error::Alarm(AlarmError::NotFound { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Changes what `change` names. New conditions begin without knowledge.
    pub async fn update(&self, access: &Access, id: AlarmId, change: AlarmChange) -> Result<()> {
        let doing = "changing an alarm";
        let mut tx = self.core.change(access, doing).await?;
        let before = existing(&mut tx, access.project(), id).await?;
        let mut rule = before.clone();
        rule.name = change.name.unwrap_or(rule.name);
        rule.description = change.description.unwrap_or(rule.description);
        check_name(&rule.name)?;
        check_description(&rule.description)?;
        rule.conditions = change.conditions.unwrap_or(rule.conditions);
        if let Some(level) = change.level {
            rule.conditions.iter_mut().for_each(|condition| condition.level = level);
        }
        check_conditions(&rule.conditions)?;
        check_together(&rule.watched, &rule.conditions)?;
        rule.notifies = change.notifies.unwrap_or(rule.notifies);
        rule.window = change.window.unwrap_or(rule.window);
        if let Some(names) = change.on_alarm {
            rule.on_alarm = topics(&mut tx, access.project(), &names).await?;
        }
        if let Some(names) = change.on_recovery {
            rule.on_recovery = topics(&mut tx, access.project(), &names).await?;
        }
        let keeps_states = rule.conditions == before.conditions;
        tx.alarms().update(&rule, keeps_states).await.map_err(db(doing))?;
        tx.commit(Subject::new(rule.id, &rule.name)).await
    }

    /// Has rules looked at, or not; gives the ids. All of them, or none.
    pub async fn enable(
        &self,
        access: &Access,
        ids: Vec<AlarmId>,
        enabled: bool,
    ) -> Result<Vec<AlarmId>> {
        let doing = "switching alarms on or off";
        check_several(&ids)?;
        let mut tx = self.core.change(access, doing).await?;
        for id in &ids {
            let mut rule = existing(&mut tx, access.project(), *id).await?;
            rule.enabled = enabled;
            // Off and on again it begins anew: what it knew is old.
            tx.alarms().update(&rule, enabled).await.map_err(db(doing))?;
            tx.record(Subject::new(rule.id, &rule.name)).await?;
        }
        tx.commit_recorded().await?;
        Ok(ids)
    }

    /// Removes rules; gives the ids. All of them, or none. Their history stays.
    pub async fn delete(&self, access: &Access, ids: Vec<AlarmId>) -> Result<Vec<AlarmId>> {
        let doing = "deleting alarms";
        check_several(&ids)?;
        let mut tx = self.core.change(access, doing).await?;
        for id in &ids {
            let rule = existing(&mut tx, access.project(), *id).await?;
            tx.alarms().delete(access.project(), *id).await.map_err(db(doing))?;
            tx.record(Subject::new(rule.id, &rule.name)).await?;
        }
        tx.commit_recorded().await?;
        Ok(ids)
    }

    /// Changes of state, newest first.
    pub async fn history(
        &self,
        access: &Access,
        filter: &RecordFilter,
        page: Page,
    ) -> Result<Listing<AlarmRecord>> {
        let doing = "listing the history of alarms";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        tx.alarm_records().list(access.project(), filter, &page).await.map_err(db(doing))
    }

    /// What happened, newest first; of one kind.
    pub async fn events(
        &self,
        access: &Access,
        kind: Option<EventKind>,
        page: Page,
    ) -> Result<Listing<CbrEvent>> {
        let mut tx = self.core.db.read().await.map_err(db("listing events"))?;
        tx.events().list(access.project(), kind, &page).await.map_err(db("listing events"))
    }

    /// Forgets history, events and deliveries that are too old; says how many rows.
    pub async fn forget(&self) -> Result<u64> {
        let doing = "forgetting old alarms";
        let mut count = 0;
        loop {
            // A part at a time: others want to write as well.
            let mut tx = self.core.db.begin().await.map_err(db(doing))?;
            let before = tx.now().plus_seconds(-HISTORY_SECONDS);
            let records = tx.alarm_records().forget(before, FORGET).await.map_err(db(doing))?;
            let events = tx.events().forget(before, FORGET).await.map_err(db(doing))?;
            let deliveries = tx.deliveries().forget(before, FORGET).await.map_err(db(doing))?;
            let gone = tx.vault_levels().forget_gone().await.map_err(db(doing))?;
            tx.commit().await.map_err(db(doing))?;
            count += records + events + deliveries + gone;
            if records.max(events).max(deliveries) < u64::from(FORGET) {
                return Ok(count);
            }
        }
    }

    // --- templates

    /// Makes a template.
    pub async fn create_template(
        &self,
        access: &Access,
        wanted: NewTemplate,
    ) -> Result<AlarmTemplate> {
        let doing = "creating an alarm template";
        check_name(&wanted.name)?;
        check_description(&wanted.description)?;
        check_conditions(&wanted.conditions)?;
        let mut tx = self.core.change(access, doing).await?;
        let template = AlarmTemplate {
            id: AlarmTemplateId::random(&*self.core.random),
            project: Some(access.project()),
            name: wanted.name,
            description: wanted.description,
            conditions: wanted.conditions,
            created_at: tx.now(),
        };
        let added = tx.alarms().insert_template(&template).await;
        added.map_err(|error| match error {
            DbError::Taken { .. } => AlarmError::TemplateTaken(template.name.clone()).into(),
            other => db(doing)(other),
        })?;
        tx.commit(Subject::new(template.id, &template.name)).await?;
        Ok(template)
    }

    /// The project's templates, newest first, and behind the last of them the built-in ones.
    pub async fn list_templates(
        &self,
        access: &Access,
        page: Page,
    ) -> Result<Listing<AlarmTemplate>> {
        let doing = "listing alarm templates";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let own = tx.alarms().list_templates(access.project(), &page).await.map_err(db(doing))?;
        let (mut rows, built_in) = (own.rows, builtin::templates());
        let total = own.total + built_in.len() as u64;
        let skipped = usize::try_from(page.offset.saturating_sub(own.total)).unwrap_or(usize::MAX);
        let room = page.limit as usize - rows.len();
        rows.extend(built_in.into_iter().skip(skipped).take(room));
        Ok(Listing { rows, total })
    }

    /// One template.
    pub async fn show_template(
        &self,
        access: &Access,
        id: AlarmTemplateId,
    ) -> Result<AlarmTemplate> {
        let mut tx = self.core.db.read().await.map_err(db("reading an alarm template"))?;
        template(&mut tx, access.project(), id).await
    }

    /// Removes templates; gives the ids. All of them, or none. Rules made from them stay.
    pub async fn delete_templates(
        &self,
        access: &Access,
        ids: Vec<AlarmTemplateId>,
    ) -> Result<Vec<AlarmTemplateId>> {
        let doing = "deleting alarm templates";
        check_several(&ids)?;
        let mut tx = self.core.change(access, doing).await?;
        for id in &ids {
            let known = template(&mut tx, access.project(), *id).await?;
            if known.project.is_none() {
                return Err(AlarmError::BuiltIn.into());
            }
            let deleted = tx.alarms().delete_template(access.project(), *id).await;
            deleted.map_err(db(doing))?;
            tx.record(Subject::new(known.id, &known.name)).await?;
        }
        tx.commit_recorded().await?;
        Ok(ids)
    }
}

async fn existing(tx: &mut Tx, project: ProjectId, id: AlarmId) -> Result<AlarmRule> {
    let found = tx.alarms().find(project, id).await.map_err(db("reading an alarm"))?;
    Ok(found.ok_or_else(|| AlarmError::NotFound { noun: "alarm", id: id.to_string() })?)
}

async fn template(tx: &mut Tx, project: ProjectId, id: AlarmTemplateId) -> Result<AlarmTemplate> {
    if let Some(built_in) = builtin::find(id) {
        return Ok(built_in);
    }
    let found = tx.alarms().find_template(project, id).await;
    let found = found.map_err(db("reading an alarm template"))?;
    let absent = || AlarmError::NotFound { noun: "alarm template", id: id.to_string() };
    Ok(found.ok_or_else(absent)?)
}

/// The ids of topics of these names; each must be there.
async fn topics(tx: &mut Tx, project: ProjectId, names: &[String]) -> Result<Vec<TopicId>> {
    if names.len() > TOPICS_MAX {
        return Err(Error::invalid("notification_list", format!("at most {TOPICS_MAX} topics")));
    }
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        let id = existing_topic(tx, project, name).await?.id;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

async fn view(tx: &mut Tx, rule: AlarmRule) -> std::result::Result<AlarmView, DbError> {
    let known = tx.alarms().states(rule.id).await?;
    let has = |state| known.iter().any(|one| one.state == state);
    let state = if has(AlarmState::Alarm) {
        AlarmState::Alarm
    } else if has(AlarmState::Ok) {
        AlarmState::Ok
    } else {
        AlarmState::InsufficientData
    };
    let mut topics = Vec::new();
    for id in rule.on_alarm.iter().chain(&rule.on_recovery) {
        topics.extend(tx.topics().by_id(rule.project, *id).await?);
    }
    Ok(AlarmView { rule, state, topics })
}
