//! A record before it has its place in the chain.

use std::net::IpAddr;

use cbr_db::Tx;
use cbr_env::Random;
use cbr_model::audit::{Event, SYSTEM_NAME, SYSTEM_USER, Trace};
use cbr_model::identity::{Caller, Domain, User};
use cbr_model::{AgencyId, DomainId, ProjectId, TraceId, UserId};

use super::chain::Head;
use super::change::Subject;
use crate::error::db;
use crate::{Error, Result};

/// Whose doing it was, in which account.
#[derive(Debug)]
pub(super) struct Who<'a> {
    domain: &'a Domain,
    user: UserId,
    name: &'a str,
    through: Option<(AgencyId, DomainId)>,
}

impl<'a> Who<'a> {
    pub(super) fn of(caller: &'a Caller) -> Self {
        let through = caller.agency.map(|agency| (agency, caller.user.domain));
        Self { through, ..Self::user(&caller.domain, &caller.user) }
    }

    pub(super) fn user(domain: &'a Domain, user: &'a User) -> Self {
        Self { domain, user: user.id, name: &user.name, through: None }
    }

    /// The service itself.
    pub(super) const fn system(domain: &'a Domain) -> Self {
        Self { domain, user: SYSTEM_USER, name: SYSTEM_NAME, through: None }
    }
}

/// What a record will say.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) who: Who<'a>,
    pub(super) project: Option<ProjectId>,
    pub(super) event: Event,
    pub(super) subject: Subject,
    pub(super) request_id: &'a str,
    pub(super) source_ip: Option<IpAddr>,
    pub(super) request: Option<&'a str>,
    pub(super) refused: Option<u16>,
}

impl Entry<'_> {
    /// Puts the record at the end of the account's chain.
    pub(super) async fn append(
        self,
        tx: &mut Tx,
        random: &dyn Random,
        doing: &'static str,
    ) -> Result<()> {
        let Self { who, event, subject, .. } = self;
        let last = tx.audit().last(who.domain.id).await.map_err(db(doing))?;
        let head = last.map_or_else(Head::default, |last| Head {
            number: last.columns.number,
            digest: last.digest,
        });
        let trace = Trace {
            id: TraceId::random(random),
            domain: who.domain.id,
            number: head.number + 1,
            project: self.project,
            at: tx.now(),
            user: who.user,
            user_name: who.name.to_owned(),
            domain_name: who.domain.name.clone(),
            service: event.service().to_owned(),
            name: event.name.to_owned(),
            resource_type: event.resource_type.to_owned(),
            resource_id: subject.id,
            resource_name: subject.name,
            request_id: self.request_id.to_owned(),
            source_ip: self.source_ip.map(|ip| ip.to_string()),
            request: self.request.map(str::to_owned),
            refused: self.refused,
            agency: who.through.map(|(agency, _)| agency),
            home: who.through.map(|(_, home)| home),
        };
        let kept = head.next(&trace).map_err(Error::internal(doing))?;
        tx.audit().append(&kept).await.map_err(db(doing))
    }
}
