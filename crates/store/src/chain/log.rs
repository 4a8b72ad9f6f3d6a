//! Reading and writing a chain's log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cbr_env::Random;

use super::history::{Committed, History, Session, Verdict};
use crate::backend::{Backend, BackendExt, Decided, Key};
use crate::crypto::TenantKeys;
use crate::error::{Error, Result};
use crate::format::id::ChainRef;
use crate::format::place::{self, Place};
use crate::format::record::{Abort, Claim, Delete, Outcome, Record};

/// How many times a racing put is tried under the next number.
const RACES_MAX: usize = 64;

/// The log of one chain.
#[derive(Clone, Debug)]
pub(crate) struct ChainLog {
    pub(crate) chain: ChainRef,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) keys: Arc<TenantKeys>,
    pub(crate) random: Arc<dyn Random>,
}

impl ChainLog {
    /// Reads the whole log. Records that cannot be read are listed, not skipped silently.
    pub(crate) fn read(&self) -> Result<History> {
        let mut history = History {
            chain: self.chain,
            sessions: BTreeMap::new(),
            stray_outcomes: BTreeMap::new(),
            deleted: BTreeSet::new(),
            next_delete: 1,
            unreadable: Vec::new(),
        };
        // Deletions first, claims after: a session whose claim is missed here made it after these
        // deletions were durable, and looks at them before it builds on anything.
        let deletes = self.backend.list_all(&place::deletes(&self.chain))?;
        let mut outcomes = BTreeSet::new();
        for entry in self.backend.list_all(&place::chain(&self.chain))? {
            match Place::parse(&entry.key) {
                Some(Place::Claim(_, seq)) => self.read_claim(seq, &entry.key, &mut history)?,
                Some(Place::Outcome(_, seq)) => drop(outcomes.insert(seq)),
                _ => {}
            }
        }
        for seq in outcomes {
            self.read_outcome(seq, &mut history)?;
        }
        for entry in deletes {
            let Some(Place::Delete(_, n)) = Place::parse(&entry.key) else { continue };
            if n != history.next_delete {
                let object = place::delete(&self.chain, history.next_delete).to_string();
                history.unreadable.push(Error::Missing { object });
            }
            history.next_delete = n + 1;
            let missing = || Error::Missing { object: entry.key.to_string() };
            match self.get::<Delete>(&entry.key) {
                Ok(Some((delete, _))) => history.deleted.extend(delete.seqs),
                Ok(None) => history.unreadable.push(missing()),
                Err(error) => keep_damage(error, &mut history)?,
            }
        }
        Ok(history)
    }

    fn read_claim(&self, seq: u64, key: &Key, history: &mut History) -> Result<()> {
        match self.get::<Claim>(key) {
            Ok(Some((claim, _))) => {
                history.sessions.insert(seq, Session { claim, verdict: Verdict::Open });
            }
            // Cleaned away since it was listed.
            Ok(None) => {}
            Err(error) => keep_damage(error, history)?,
        }
        Ok(())
    }

    fn read_outcome(&self, seq: u64, history: &mut History) -> Result<()> {
        let outcome = match self.get::<Outcome>(&place::outcome(&self.chain, seq)) {
            Ok(Some(outcome)) => outcome,
            Ok(None) => return Ok(()),
            Err(error) => return keep_damage(error, history),
        };
        let Some(session) = history.sessions.get_mut(&seq) else {
            history.stray_outcomes.insert(seq, outcome.0);
            return Ok(());
        };
        session.verdict = match outcome {
            // A commit of another nonce is a zombie's: that session had been aborted, cleaned
            // away and its number given to a new one, which can now only fail.
            (outcome, _) if outcome.nonce() != session.claim.nonce => Verdict::Aborted,
            (Outcome::Abort(_), _) => Verdict::Aborted,
            (Outcome::Commit(commit), hash) => {
                Verdict::Committed(Box::new(Committed { commit: *commit, hash }))
            }
        };
        Ok(())
    }

    /// One version's claim and commit, whatever the state of the rest of the log; `None` if the
    /// version does not exist. Deletion is not looked at.
    pub(crate) fn read_version(&self, seq: u64) -> Result<Option<(Claim, Committed)>> {
        let Some((claim, _)) = self.get::<Claim>(&place::claim(&self.chain, seq))? else {
            return Ok(None);
        };
        match self.get::<Outcome>(&place::outcome(&self.chain, seq))? {
            Some((Outcome::Commit(commit), hash)) if commit.nonce == claim.nonce => {
                Ok(Some((claim, Committed { commit: *commit, hash })))
            }
            _ => Ok(None),
        }
    }

    /// The versions that delete records name.
    pub(crate) fn read_deleted(&self) -> Result<BTreeSet<u64>> {
        let mut deleted = BTreeSet::new();
        for entry in self.backend.list_all(&place::deletes(&self.chain))? {
            if let Some((delete, _)) = self.get::<Delete>(&entry.key)? {
                deleted.extend(delete.seqs);
            }
        }
        Ok(deleted)
    }

    /// The claim of `seq`, if there is one.
    pub(crate) fn claim(&self, seq: u64) -> Result<Option<Claim>> {
        Ok(self.get::<Claim>(&place::claim(&self.chain, seq))?.map(|(claim, _)| claim))
    }

    /// Claims `seq`; false if somebody else has it.
    pub(crate) fn put_claim(&self, seq: u64, claim: &Claim) -> Result<bool> {
        Ok(self.put(&place::claim(&self.chain, seq), claim)? == Decided::Ours)
    }

    /// Gives the verdict on `seq`; false if there is one already.
    pub(crate) fn put_outcome(&self, seq: u64, outcome: &Outcome) -> Result<bool> {
        Ok(self.put(&place::outcome(&self.chain, seq), outcome)? == Decided::Ours)
    }

    /// Ends an open session; false if it had a verdict already.
    pub(crate) fn put_abort(&self, seq: u64, claim: &Claim, reason: &str) -> Result<bool> {
        let abort =
            Abort { nonce: claim.nonce, by: claim.owner.clone(), reason: reason.to_owned() };
        self.put_outcome(seq, &Outcome::Abort(abort))
    }

    /// Appends a delete record from number `n` on.
    pub(crate) fn put_delete(&self, mut n: u64, delete: &Delete) -> Result<()> {
        for _ in 0..RACES_MAX {
            if self.put(&place::delete(&self.chain, n), delete)? == Decided::Ours {
                return Ok(());
            }
            n += 1;
        }
        Err(Error::ChainBusy { owner: "concurrent deletions".to_owned() })
    }

    fn put(&self, key: &Key, record: &impl Record) -> Result<Decided> {
        let object = record.seal(key, self.keys.as_ref(), self.random.as_ref());
        Ok(self.backend.put_decided(key, &[&object])?)
    }

    /// A record and the hash of its object.
    fn get<R: Record>(&self, key: &Key) -> Result<Option<(R, [u8; 32])>> {
        let Some(object) = self.backend.get(key)? else { return Ok(None) };
        let record = R::open(&object, key, self.keys.as_ref())?;
        Ok(Some((record, *blake3::hash(&object).as_bytes())))
    }
}

/// Damage is remembered; a backend that does not answer ends the reading.
fn keep_damage(error: Error, history: &mut History) -> Result<()> {
    if matches!(error, Error::Backend(_)) {
        return Err(error);
    }
    history.unreadable.push(error);
    Ok(())
}
