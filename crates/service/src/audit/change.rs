//! A transaction that ends with a record of what was done in it.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use cbr_db::{Db, Tx};
use cbr_env::Random;
use cbr_model::audit::Trace;
use cbr_model::{ProjectId, TraceId};

use super::chain::Head;
use crate::access::Actor;
use crate::error::db;
use crate::{Error, Result};

/// What was changed, as its record names it.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    id: String,
    name: String,
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
        if let Some(project) = self.project
            && !self.tx.audit().tracker(project).await.map_err(db(self.doing))?.enabled
        {
            return Ok(());
        }
        self.record_always(subject).await
    }

    /// As [`record`](Self::record), also where the tracker is off (AUD-04): for the switch itself.
    pub(crate) async fn record_always(&mut self, subject: Subject) -> Result<()> {
        let caller = self.actor.caller();
        let nameless =
            || Error::internal(self.doing)("an operation without an event changes nothing");
        let event = self.actor.event().ok_or_else(nameless)?;
        let domain = &caller.domain;
        let last = self.tx.audit().last(domain.id).await.map_err(db(self.doing))?;
        let head = last.map_or_else(Head::default, |last| Head {
            number: last.columns.number,
            digest: last.digest,
        });
        let trace = Trace {
            id: TraceId::random(&*self.random),
            domain: domain.id,
            number: head.number + 1,
            project: self.project,
            at: self.tx.now(),
            user: caller.user.id,
            user_name: caller.user.name.clone(),
            domain_name: domain.name.clone(),
            service: event.service().to_owned(),
            name: event.name.to_owned(),
            resource_type: event.resource_type.to_owned(),
            resource_id: subject.id,
            resource_name: subject.name,
            request_id: self.actor.request_id().to_owned(),
            source_ip: self.actor.source_ip().map(|ip| ip.to_string()),
            request: self.actor.body().map(str::to_owned),
        };
        let kept = head.next(&trace).map_err(Error::internal(self.doing))?;
        self.tx.audit().append(&kept).await.map_err(db(self.doing))
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
