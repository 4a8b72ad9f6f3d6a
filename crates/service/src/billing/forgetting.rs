//! Which metered hours are forgotten, and when: those that are in somebody's books.
//!
//! ```text
//!   metered ──history_days──▶ forgotten, if it was said that they are exported
//!      └──────────unexported_days──────────▶ forgotten, and told: a warning and a counter
//! ```
//! How far metering has come is what counts, not the clock: that is not followed far.

use cbr_model::{ProjectId, Timestamp};

use super::accounts::check_operator;
use super::metering::{begin_of, hour_of, metered_until};
use super::service::Billing;
use crate::audit::Subject;
use crate::error::db;
use crate::{Access, Error, Result};

const DOING: &str = "forgetting old hours";
/// So many rows of one project, and so many projects, are forgotten in one round.
const FORGET: u32 = 1000;
const PROJECTS: u32 = 100;

impl Billing {
    /// Forgets hours that were metered so long ago that the operator keeps them no more; says how many
    /// rows.
    pub(super) async fn forget_old(&self) -> Result<u64> {
        let mut tx = self.core.db.read().await.map_err(db(DOING))?;
        let until = metered_until(&mut tx).await?;
        let first = tx.metering().first_hour().await.map_err(db(DOING))?;
        let overdue = metrics::gauge!("cbr_metering_overdue_hours");
        let (Some(until), Some(first)) = (until, first) else {
            overdue.set(0.0);
            return Ok(0);
        };
        let settings = &self.core.billing;
        let before = until - i64::from(settings.history_days) * 24;
        let last = until - i64::from(settings.unexported_days.max(settings.history_days)) * 24;
        overdue.set((before - first).max(0) as f64);
        if first >= before {
            return Ok(0);
        }
        let exported = tx.metering().forgettable(before, PROJECTS).await.map_err(db(DOING))?;
        if exported.is_empty() && first >= last {
            return Ok(0);
        }
        drop(tx);
        let mut tx = self.core.db.begin().await.map_err(db(DOING))?;
        let mut count = 0;
        for (project, exported_until) in exported {
            let end = before.min(exported_until);
            let gone = tx.metering().forget_of(project, end, FORGET).await;
            count += gone.map_err(db(DOING))?;
        }
        let lost = tx.metering().forget(last, FORGET).await.map_err(db(DOING))?;
        if lost > 0 {
            tracing::warn!(
                hours = lost,
                before = last * 3600,
                "metered hours were forgotten that nobody had said to have exported"
            );
        }
        metrics::counter!("cbr_metering_forgotten_unexported_total").increment(lost);
        count += lost + tx.metering().forget_terms(before, FORGET).await.map_err(db(DOING))?;
        tx.commit().await.map_err(db(DOING))?;
        Ok(count)
    }

    /// Says that a project's hours – one's own project's if none is named – that begin before `until` are in somebody's
    /// books: they may be forgotten after `history_days`. Only who runs the installation says so, not who is to pay.
    /// An earlier time than was said before changes nothing. Returns until when they are exported now.
    pub async fn note_exported(
        &self,
        access: &Access,
        project: Option<ProjectId>,
        until: Timestamp,
    ) -> Result<Timestamp> {
        let doing = "noting what was exported";
        let mut tx = self.core.change(access, doing).await?;
        check_operator(&mut tx, access).await?;
        let project = project.unwrap_or_else(|| access.project());
        if tx.projects().find(project).await.map_err(db(doing))?.is_none() {
            return Err(Error::invalid("project_id", "there is no such project"));
        }
        let hour = hour_of(until);
        let metered = metered_until(&mut tx).await?;
        if metered.is_none_or(|metered| hour > metered) {
            let reason = "these hours are not metered yet: none after the last that is over";
            return Err(Error::invalid("until", reason));
        }
        let noted = tx.metering().note_exported(project, hour).await.map_err(db(doing))?;
        tx.commit(Subject::new(project, "metering")).await?;
        Ok(begin_of(noted))
    }

    /// Before which time the project's hours are exported; none: nobody has said so.
    pub async fn exported_until(&self, access: &Access) -> Result<Option<Timestamp>> {
        let doing = "reading what was exported";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let until = tx.metering().exported_until(access.project()).await.map_err(db(doing))?;
        Ok(until.map(begin_of))
    }
}
