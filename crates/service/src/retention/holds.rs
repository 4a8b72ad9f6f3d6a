//! Why a backup is still here, and keeping it whatever its policy says.

use cbr_db::Tx;
use cbr_model::policy::schedule::Schedule;
use cbr_model::retention::{Hold, HoldKind, RemoveReason};
use cbr_model::{BackupId, PolicyId, Timestamp};

use super::rule::{Rule, candidate};
use super::sweep::Expiry;
use crate::audit::Subject;
use crate::error::db;
use crate::rules::retention::forecast::forecast;
use crate::rules::retention::plan::{Verdict, plan};
use crate::{Access, Error, Result, backups, vaults};

/// How far ahead is looked for the end of a backup, in days.
const LOOK_AHEAD_DAYS: i64 = 400;
/// The longest note, in characters.
const NOTE_CHARS_MAX: usize = 255;

/// What retention does with one backup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetentionOf {
    /// The backup.
    pub backup: BackupId,
    /// The policy that works for its vault.
    pub policy: Option<PolicyId>,
    /// What happens to it now, and why.
    pub verdict: Verdict,
    /// What keeps it whatever its policy says.
    pub holds: Vec<Hold>,
    /// When it goes if the policy runs as planned, and by which rule; none: not within 400 days.
    pub goes: Option<(Timestamp, RemoveReason)>,
}

impl Expiry {
    /// Why a backup is still here, and when it goes (extension; TRB-14).
    pub async fn why(&self, access: &Access, id: BackupId) -> Result<RetentionOf> {
        let doing = "looking at the retention of a backup";
        let mut tx = self.core.db.read().await.map_err(db(doing))?;
        self.look(&mut tx, access, id).await
    }

    async fn look(&self, tx: &mut Tx, access: &Access, id: BackupId) -> Result<RetentionOf> {
        let doing = "looking at the retention of a backup";
        let backup = whole(tx, access, id).await?;
        let vault = vaults::existing(tx, access.project(), backup.vault).await?;
        let rule = Rule::of(tx, &vault).await.map_err(db(doing))?;
        let found = tx.retention().of_resource(vault.id, backup.resource).await;
        let found = found.map_err(db(doing))?;
        let now = tx.now();
        let candidates: Vec<_> = found.iter().map(|one| candidate(&vault, one, now)).collect();
        let verdicts = plan(&candidates, rule.governing(), now);
        let at = candidates.iter().position(|one| one.id == backup.id);
        let verdict = at.and_then(|at| verdicts.get(at).copied());
        let verdict = verdict.ok_or(Error::BackupNotFound(id))?;
        let (policy, schedule) = match &rule {
            Rule::Policy(policy, _) => {
                (Some(policy.id), Some(Schedule::new(&policy.trigger, policy.created_at)?))
            }
            Rule::Disabled(policy) => (Some(policy.id), None),
            Rule::Nothing => (None, None),
        };
        let span = (now, now.plus_seconds(LOOK_AHEAD_DAYS * 24 * 60 * 60));
        let ahead = forecast(&candidates, rule.governing(), schedule.as_ref(), span);
        Ok(RetentionOf {
            backup: backup.id,
            policy,
            verdict,
            holds: tx.retention().holds(backup.id).await.map_err(db(doing))?,
            goes: ahead.get(&backup.id).map(|going| (going.at, going.rule)),
        })
    }

    /// Keeps a backup whatever its policy says; what was decided about it is taken back (extension).
    pub async fn hold(&self, access: &Access, id: BackupId, note: String) -> Result<RetentionOf> {
        if note.chars().count() > NOTE_CHARS_MAX || note.chars().any(char::is_control) {
            let reason = format!("at most {NOTE_CHARS_MAX} characters, on one line");
            return Err(Error::invalid("note", reason));
        }
        let doing = "holding a backup";
        let mut tx = self.core.change(access, doing).await?;
        let backup = whole(&mut tx, access, id).await?;
        let hold = Hold { kind: HoldKind::Person, note, since: tx.now() };
        tx.retention().hold(backup.id, &hold).await.map_err(db(doing))?;
        tx.retention().spare(&[backup.id]).await.map_err(db(doing))?;
        let after = self.look(&mut tx, access, backup.id).await?;
        tx.commit(Subject::new(backup.id, &backup.name)).await?;
        Ok(after)
    }

    /// Leaves it to its policy again, also if it was taken back from the trash or found by a rebuild
    /// (extension). An image keeps it as long as there is one.
    pub async fn release(&self, access: &Access, id: BackupId) -> Result<RetentionOf> {
        let doing = "releasing a backup";
        let mut tx = self.core.change(access, doing).await?;
        let backup = whole(&mut tx, access, id).await?;
        for kind in [HoldKind::Person, HoldKind::TakenBack, HoldKind::Rebuilt] {
            tx.retention().release(backup.id, kind).await.map_err(db(doing))?;
        }
        let after = self.look(&mut tx, access, backup.id).await?;
        tx.commit(Subject::new(backup.id, &backup.name)).await?;
        Ok(after)
    }
}

/// The backup; of a server's disk that of the server, which is what is kept or goes.
async fn whole(tx: &mut Tx, access: &Access, id: BackupId) -> Result<cbr_model::backup::Backup> {
    let backup = backups::existing(tx, access.project(), id).await?;
    match backup.parent {
        Some(parent) => backups::existing(tx, access.project(), parent).await,
        None => Ok(backup),
    }
}
