//! Records of what the service does by itself: nobody called, so there is no caller to name.

use cbr_db::Tx;
use cbr_model::ProjectId;
use cbr_model::audit::Event;

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
        let doing = "recording what was done by the system";
        if !tx.audit().tracker(project).await.map_err(db(doing))?.enabled {
            return Ok(());
        }
        let found = tx.projects().find(project).await.map_err(db(doing))?;
        let found = found.ok_or_else(|| Error::internal(doing)("its project does not exist"))?;
        let domain = tx.domains().find(found.domain).await.map_err(db(doing))?;
        let domain = domain.ok_or_else(|| Error::internal(doing)("its account does not exist"))?;
        let entry = Entry {
            who: Who::system(&domain),
            project: Some(project),
            event,
            subject,
            request_id: "",
            source_ip: None,
            request: None,
            refused: None,
        };
        entry.append(tx, &*self.random, doing).await
    }
}
