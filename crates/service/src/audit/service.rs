//! Use cases of the audit.

use std::sync::Arc;

use cbr_model::audit::{Trace, TraceFilter, Tracker};
use cbr_model::query::{Listing, Page};

use super::chain::{Broken, Head};
use super::change::Subject;
use crate::core::Core;
use crate::error::db;
use crate::{Access, Error, Result};

/// So many records are read at once.
const STEP: i64 = 1000;

/// Use cases of the audit.
#[derive(Debug)]
pub struct Audit {
    core: Arc<Core>,
}

/// What a look at the whole chain of an account has found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    /// How far the chain is whole.
    pub head: Head,
    /// Why it is not beyond.
    pub broken: Option<Broken>,
    /// Whether the chain holds the head that was asked for; none: none was.
    pub holds_known: Option<bool>,
}

/// A record as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Its place in the account's chain.
    pub number: u64,
    /// Digest of the digest before and the record.
    pub digest: String,
    /// Its JSON.
    pub record: String,
}

impl Audit {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// A page of the project's records, newest first (contract F.7).
    pub async fn list(
        &self,
        access: &Access,
        filter: &TraceFilter,
        page: Page,
    ) -> Result<Listing<Trace>> {
        let doing = "listing traces";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let listed = tx.audit().list(access.project(), filter, &page).await.map_err(db(doing))?;
        let read = |kept: cbr_db::KeptTrace| serde_json::from_str(&kept.record);
        let rows: std::result::Result<_, _> = listed.rows.into_iter().map(read).collect();
        let rows = rows.map_err(Error::internal(doing))?;
        Ok(Listing { rows, total: listed.total })
    }

    /// Whether the project's changes are recorded (AUD-04).
    pub async fn tracker(&self, access: &Access) -> Result<Tracker> {
        let doing = "reading the tracker";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        tx.audit().tracker(access.project()).await.map_err(db(doing))
    }

    /// Switches recording on or off (AUD-04). The switch is always recorded; saying what is so
    /// already changes nothing.
    pub async fn set_tracker(&self, access: &Access, enabled: bool) -> Result<Tracker> {
        let doing = "switching the tracker";
        let mut tx = self.core.change(access, doing).await?;
        let before = tx.audit().tracker(access.project()).await.map_err(db(doing))?;
        if before.enabled == enabled {
            return Ok(before);
        }
        tx.audit().set_tracker(access.project(), enabled).await.map_err(db(doing))?;
        let after = tx.audit().tracker(access.project()).await.map_err(db(doing))?;
        let state = if enabled { "enabled" } else { "disabled" };
        tx.record_always(Subject::new("system", state)).await?;
        tx.commit_recorded().await?;
        Ok(after)
    }

    /// The next records of the caller's account after place `after`, as they are kept, oldest first;
    /// at most a thousand. Only for an administrator: they are of all projects.
    pub async fn records(&self, access: &Access, after: u64) -> Result<Vec<Kept>> {
        let doing = "reading traces";
        check_administrator(access)?;
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let chain = tx.audit().chain(access.caller().domain.id, after, STEP).await;
        let kept = |kept: cbr_db::KeptTrace| Kept {
            number: kept.columns.number,
            digest: kept.digest,
            record: kept.record,
        };
        Ok(chain.map_err(db(doing))?.into_iter().map(kept).collect())
    }

    /// Looks at all records of the caller's account: whether each is what was recorded, and whether
    /// the chain still holds `known`. Only for an administrator.
    pub async fn verify(&self, access: &Access, known: Option<&Head>) -> Result<Verified> {
        let doing = "verifying traces";
        check_administrator(access)?;
        let domain = access.caller().domain.id;
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        let mut head = Head::default();
        let mut holds_known = known.map(|known| *known == head);
        loop {
            let step = tx.audit().chain(domain, head.number, STEP).await.map_err(db(doing))?;
            if step.is_empty() {
                return Ok(Verified { head, broken: None, holds_known });
            }
            for kept in &step {
                head = match head.follow(kept) {
                    Ok(head) => head,
                    Err(broken) => {
                        return Ok(Verified { head, broken: Some(broken), holds_known });
                    }
                };
                if known == Some(&head) {
                    holds_known = Some(true);
                }
            }
        }
    }
}

/// A credential for one project is not good for what is of all.
fn check_administrator(access: &Access) -> Result<()> {
    let caller = access.caller();
    if caller.is_administrator() && caller.project.is_none() {
        Ok(())
    } else {
        Err(Error::Forbidden)
    }
}
