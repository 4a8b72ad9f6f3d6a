//! Records of what was refused: logins that failed, and changes that somebody may not make.
//!
//! Whoever is refused decides how often, so there are limits: an account's chain grows by at most
//! [`PER_WINDOW`] of these in [`WINDOW`] for each user, and by as many for logins that failed, on each
//! node. So nobody hides what it is refused behind what others are. What is beyond it is counted only.

use std::sync::Arc;
use std::time::Duration;

use cbr_db::Db;
use cbr_env::{Clock, Random};
use cbr_model::audit::Event;
use cbr_model::identity::{Caller, Domain, User};
use cbr_model::{DomainId, ProjectId, UserId};

use super::change::Subject;
use super::entry::{Entry, Who};
use crate::Result;
use crate::access::Request;
use crate::error::db;
use crate::rate::PerWindow;

/// So many refusals of a user are recorded in a window.
pub(crate) const PER_WINDOW: u32 = 60;
/// How long a window is.
pub(crate) const WINDOW: Duration = Duration::from_mins(1);

/// Something that was refused to somebody who is known.
#[derive(Debug)]
pub struct Refused<'a> {
    /// To whom.
    pub domain: &'a Domain,
    /// To whom.
    pub user: &'a User,
    /// Whether whoever asked has shown to be that user.
    pub is_proven: bool,
    /// In which project; one of another account is not recorded.
    pub project: Option<ProjectId>,
    /// What it would have been.
    pub event: Event,
    /// Status of the answer.
    pub status: u16,
    /// The request.
    pub request: &'a Request,
}

impl<'a> Refused<'a> {
    /// Refused to a caller.
    pub const fn to(
        caller: &'a Caller,
        project: Option<ProjectId>,
        (event, status): (Event, u16),
        request: &'a Request,
    ) -> Self {
        let (domain, user) = (&caller.domain, &caller.user);
        Self { domain, user, is_proven: true, project, event, status, request }
    }
}

/// Records refusals, within the limit.
pub(crate) struct Refusals {
    db: Arc<Db>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    windows: PerWindow<(DomainId, Option<UserId>)>,
}

impl std::fmt::Debug for Refusals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refusals").finish_non_exhaustive()
    }
}

impl Refusals {
    pub(crate) fn new(db: Arc<Db>, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { db, clock, random, windows: PerWindow::new(PER_WINDOW, WINDOW) }
    }

    /// Records a refusal. Where the tracker is off (AUD-04) or the limit is reached, nothing.
    pub(crate) async fn record(&self, refused: Refused<'_>) -> Result<()> {
        let doing = "recording a refusal";
        let who = refused.is_proven.then_some(refused.user.id);
        if !self.windows.admits((refused.domain.id, who), &*self.clock) {
            metrics::counter!("cbr_audit_refusals_unrecorded_total").increment(1);
            return Ok(());
        }
        let mut tx = self.db.begin().await.map_err(db(doing))?;
        let project = match refused.project {
            Some(id) => tx.projects().find(id).await.map_err(db(doing))?,
            None => None,
        };
        let project = project.filter(|project| project.domain == refused.domain.id);
        let project = project.map(|project| project.id);
        if let Some(project) = project
            && !tx.audit().tracker(project).await.map_err(db(doing))?.enabled
        {
            return Ok(());
        }
        let entry = Entry {
            who: Who::user(refused.domain, refused.user),
            project,
            event: refused.event,
            // Nothing was done to anything.
            subject: Subject::new("", ""),
            request_id: &refused.request.id,
            source_ip: refused.request.source_ip,
            // What was refused may be anything: only that it was asked for is kept.
            request: None,
            refused: Some(refused.status),
        };
        entry.append(&mut tx, &*self.random, doing).await?;
        tx.commit().await.map_err(db(doing))
    }
}
