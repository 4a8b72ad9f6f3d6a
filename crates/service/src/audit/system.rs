//! Records of what the service does by itself: nobody called, so there is no caller to name.

use cbr_db::Tx;
use cbr_env::Random;
use cbr_model::ProjectId;
use cbr_model::audit::Event;
use cbr_model::identity::Domain;

use super::change::Subject;
use super::entry::{Entry, Who};
use crate::core::Core;
use crate::error::db;
use crate::{Error, Result};

impl Core {
    /// Records in `tx` what the service does in `project` by itself: a schedule, a deadline, an upkeep.
    /// Where the project's tracker is off (AUD-04), nothing.
    pub(crate) async fn record_by_system(
        &self,
        tx: &mut Tx,
        project: ProjectId,
        event: Event,
        subject: Subject,
    ) -> Result<()> {
        record_system(tx, &*self.random, project, event, subject).await
    }
}

/// Records in `tx` what was done to an account on the machine of the service, without a credential: no
/// project's tracker switches it off.
pub(crate) async fn record_for_account(
    tx: &mut Tx,
    random: &dyn Random,
    domain: &Domain,
    what: (Event, Subject),
) -> Result<()> {
    let doing = "recording what was done on the machine of the service";
    by_system(domain, None, what).append(tx, random, doing).await
}

fn by_system(
    domain: &Domain,
    project: Option<ProjectId>,
    (event, subject): (Event, Subject),
) -> Entry<'_> {
    Entry {
        who: Who::system(domain),
        project,
        event,
        subject,
        request_id: "",
        source_ip: None,
        request: None,
        refused: None,
    }
}

/// As [`Core::record_by_system`], for what is done while the service does not run.
pub(crate) async fn record_system(
    tx: &mut Tx,
    random: &dyn Random,
    project: ProjectId,
    event: Event,
    subject: Subject,
) -> Result<()> {
    let doing = "recording what was done by the system";
    if !tx.audit().tracker(project).await.map_err(db(doing))?.enabled {
        return Ok(());
    }
    let found = tx.projects().find(project).await.map_err(db(doing))?;
    let found = found.ok_or_else(|| Error::internal(doing)("its project does not exist"))?;
    let domain = tx.domains().find(found.domain).await.map_err(db(doing))?;
    let domain = domain.ok_or_else(|| Error::internal(doing)("its account does not exist"))?;
    by_system(&domain, Some(project), (event, subject)).append(tx, random, doing).await
}
