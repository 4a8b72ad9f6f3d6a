//! What policies did, for people.

use cbr_model::policy::run::PolicyRun;
use cbr_model::query::{Listing, Page, PolicyRunFilter};

use super::service::Schedules;
use crate::error::db;
use crate::{Access, Result};

impl Schedules {
    /// Lists the occurrences of a project's policies, the latest first (extension; P16, POL-12).
    pub async fn runs(
        &self,
        access: &Access,
        filter: &PolicyRunFilter,
        page: Page,
    ) -> Result<Listing<PolicyRun>> {
        let mut tx = self.core.db.read().await.map_err(db("listing runs"))?;
        tx.policy_runs().list(access.project(), filter, &page).await.map_err(db("listing runs"))
    }
}
