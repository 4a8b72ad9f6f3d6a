//! A transaction that ends with a record of what was done in it.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use cbr_db::{Db, Tx};
use cbr_env::Random;
use cbr_model::ProjectId;
use cbr_model::audit::Event;

use super::entry::{Entry, Who};
use crate::access::Actor;
use crate::error::db;
use crate::{Error, Result};

/// What was changed, as its record names it.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(super) id: String,
    pub(super) name: String,
}

impl Subject {
    pub(crate) fn new(id: impl ToString, name: impl ToString) -> Self {
        Self { id: id.to_string(), name: name.to_string() }
    }
}

/// A transaction of somebody who changes something. Without [`commit`](Self::commit) nothing of it
/// remains, and with it there is a record.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    tx: Tx,
    actor: &'a Actor,
    project: Option<ProjectId>,
    random: Arc<dyn Random>,
    doing: &'static str,
}

impl<'a> Change<'a> {
    /// Begins a change by `actor`, in a project or of the account itself.
    pub(crate) async fn begin(
        (db_, random): (&Db, &Arc<dyn Random>),
        actor: &'a Actor,
        project: Option<ProjectId>,
        doing: &'static str,
    ) -> Result<Self> {
        let tx = db_.begin().await.map_err(db(doing))?;
        Ok(Self { tx, actor, project, random: Arc::clone(random), doing })
    }

    /// Records what was done, and makes all of it durable.
    pub(crate) async fn commit(mut self, subject: Subject) -> Result<()> {
        self.record(subject).await?;
        self.tx.commit().await.map_err(db(self.doing))
    }

    /// Records one of several things that were done.
    pub(crate) async fn record(&mut self, subject: Subject) -> Result<()> {
        if self.is_recorded().await? { self.record_always(subject).await } else { Ok(()) }
    }

    /// Records what was done along with what the request is about; its body is in that record.
    pub(crate) async fn record_along(&mut self, event: Event, subject: Subject) -> Result<()> {
        if self.is_recorded().await? {
            self.append(event, subject, None).await?;
        }
        Ok(())
    }

    /// As [`record`](Self::record), also where the tracker is off (AUD-04): for the switch itself.
    pub(crate) async fn record_always(&mut self, subject: Subject) -> Result<()> {
        let nameless =
            || Error::internal(self.doing)("an operation without an event changes nothing");
        let event = self.actor.event().ok_or_else(nameless)?;
        self.append(event, subject, self.actor.body()).await
    }

    /// Whether the tracker is on, where there is one.
    async fn is_recorded(&mut self) -> Result<bool> {
        let Some(project) = self.project else { return Ok(true) };
        Ok(self.tx.audit().tracker(project).await.map_err(db(self.doing))?.enabled)
    }

    async fn append(
        &mut self,
        event: Event,
        subject: Subject,
        request: Option<&str>,
    ) -> Result<()> {
        let entry = Entry {
            who: Who::of(self.actor.caller()),
            project: self.project,
            event,
            subject,
            request_id: self.actor.request_id(),
            source_ip: self.actor.source_ip(),
            request,
            refused: None,
        };
        entry.append(&mut self.tx, &*self.random, self.doing).await
    }

    /// Where somebody acts through an agency: records that in the account of the user as well.
    pub(crate) async fn record_at_home(&mut self) -> Result<()> {
        let caller = self.actor.caller();
        let (Some(agency), Some(event)) = (caller.agency, self.actor.event()) else {
            return Ok(());
        };
        let home = self.tx.domains().find(caller.user.domain).await.map_err(db(self.doing))?;
        let Some(home) = home else { return Ok(()) };
        let entry = Entry {
            who: Who::user(&home, &caller.user),
            project: None,
            event,
            subject: Subject::new(agency, &caller.domain.name),
            request_id: self.actor.request_id(),
            source_ip: self.actor.source_ip(),
            request: None,
            refused: None,
        };
        entry.append(&mut self.tx, &*self.random, self.doing).await
    }

    /// Makes durable what was recorded before, or what changed nothing.
    pub(crate) async fn commit_recorded(self) -> Result<()> {
        self.tx.commit().await.map_err(db(self.doing))
    }
}

impl Deref for Change<'_> {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl DerefMut for Change<'_> {
    fn deref_mut(&mut self) -> &mut Tx {
        &mut self.tx
    }
}
