//! An account asks to be moved here from the services that came before (contract C70, C71, ADR 39).
//!
//! This installation has no such services, so of no project is anything to be moved, and what was asked is over
//! as soon as it is written down. Nothing is copied and nothing pretended.

use cbr_model::domain_migration::DomainMigration;
use cbr_model::identity::Project;

use super::service::Identity;
use crate::access::AccountAccess;
use crate::audit::Subject;
use crate::error::db;
use crate::{Error, Result};

impl Identity {
    /// Writes down that the account asked. Asked again, the last time counts.
    pub async fn ask_for_migration(
        &self,
        access: &AccountAccess,
        all_regions: bool,
        reservation_millionths: u32,
    ) -> Result<()> {
        let doing = "writing down a migration";
        let mut tx = self.change(access.actor(), doing).await?;
        let caller = access.actor().caller();
        let asked = DomainMigration {
            domain: access.domain(),
            user: caller.user.id,
            all_regions,
            reservation_millionths,
            asked_at: tx.now(),
        };
        let subject = Subject::new(caller.domain.id, &caller.domain.name);
        tx.domain_migrations().keep(&asked).await.map_err(db(doing))?;
        tx.commit(subject).await
    }

    /// The projects of an account that asked, by name: of each everything is moved, for there was nothing.
    pub async fn migrated_projects(&self, access: &AccountAccess) -> Result<Vec<Project>> {
        let doing = "reading a migration";
        let mut tx = self.db.read().await.map_err(db(doing))?;
        let asked = tx.domain_migrations().find(access.domain()).await.map_err(db(doing))?;
        if asked.is_none() {
            return Err(Error::NeverMigrated);
        }
        tx.projects().list(access.domain()).await.map_err(db("listing projects"))
    }
}
