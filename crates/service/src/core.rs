//! What the use cases and tasks are made of.

use std::sync::Arc;

use cbr_db::Db;
use cbr_env::{Clock, Random};
use cbr_model::{ResourceId, Timestamp};
use cbr_store::Repository;
use cbr_task::Wake;

use crate::audit::Change;
use crate::billing::BillingSettings;
use crate::identity::SealingKey;
use crate::imports::Buckets;
use crate::resources::Resources;
use crate::tasks::pace::Pace;
use crate::topics::Courier;
use crate::{Access, Result};

/// What the use cases and tasks are made of. Nothing in it decides anything.
pub(crate) struct Core {
    pub(crate) db: Arc<Db>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) repository: Arc<Repository>,
    pub(crate) resources: Resources,
    /// This machine: where the provider's resources can be reached.
    pub(crate) node: String,
    pub(crate) wake: Wake,
    /// How fast backups read.
    pub(crate) pace: Arc<Pace>,
    /// For how many days what is deleted can be taken back; none: it is gone at once.
    pub(crate) undo_days: u32,
    /// Carries messages out of the house.
    pub(crate) courier: Arc<dyn Courier>,
    /// Seals secrets in the database.
    pub(crate) sealing: Arc<SealingKey>,
    /// What the operator decided about money.
    pub(crate) billing: BillingSettings,
    /// Where images lie that can be taken in.
    pub(crate) buckets: Buckets,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Core {
    /// Begins a transaction in which `access` changes something; it ends with a record of it.
    pub(crate) async fn change<'a>(
        &self,
        access: &'a Access,
        doing: &'static str,
    ) -> Result<Change<'a>> {
        let with = (&*self.db, &self.random);
        Change::begin(with, access.actor(), Some(access.project()), doing).await
    }

    /// As [`change`](Self::change), for what concerns the account: no project's tracker switches its
    /// record off.
    pub(crate) async fn change_account<'a>(
        &self,
        access: &'a Access,
        doing: &'static str,
    ) -> Result<Change<'a>> {
        Change::begin((&*self.db, &self.random), access.actor(), None, doing).await
    }

    /// Tells the engine that there is a new task, or one to be stopped.
    pub(crate) fn wake(&self) {
        self.wake.wake();
    }

    /// Shows when a resource was last backed up.
    #[expect(clippy::unused_self, reason = "a metric belongs to what it is about")]
    pub(crate) fn note_success(&self, resource: ResourceId, at: Timestamp) {
        metrics::gauge!(
            "cbr_backup_last_success_timestamp_seconds",
            "resource" => resource.to_string()
        )
        .set(at.seconds() as f64);
    }
}
