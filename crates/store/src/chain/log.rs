//! Reading and writing a chain's log.

use std::collections::BTreeSet;
use std::sync::Arc;

use cbr_env::Random;

use super::deletions::Deletions;
use super::history::{Committed, History, Session, Verdict};
use crate::backend::{Backend, BackendExt, Decided, Entry, Key};
use crate::crypto::TenantKeys;
use crate::dedup::RetireLog;
use crate::error::{Error, Result};
use crate::format::id::ChainRef;
use crate::format::place::{self, Place};
use crate::format::record::{Abort, Claim, Delete, Outcome, Record};
use crate::planted::{self, Bug};

/// How many times a racing put is tried under the next number.
const RACES_MAX: usize = 64;
/// How often a listing that lacks records is asked for again.
const LISTINGS_MAX: usize = 3;
/// How many missing records are named.
const COMPLAINTS_MAX: usize = 100;

/// The log of one chain.
#[derive(Clone, Debug)]
pub(crate) struct ChainLog {
    pub(crate) chain: ChainRef,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) keys: Arc<TenantKeys>,
    pub(crate) random: Arc<dyn Random>,
    /// So many records outside of the newest fold are one more fold.
    pub(crate) fold_after: u64,
}

impl ChainLog {
    /// The retire log of the chain's domain.
    pub(crate) fn retire_log(&self) -> RetireLog {
        RetireLog {
            domain: self.chain.domain(),
            backend: Arc::clone(&self.backend),
            keys: Arc::clone(&self.keys),
            random: Arc::clone(&self.random),
        }
    }

    /// Reads the log: the newest fold and what came after it. Records that are missing or cannot
    /// be read are listed, not skipped silently.
    pub(crate) fn read(&self) -> Result<History> {
        self.read_folded(Names::New)
    }

    /// The same, and every folded record is still there by its name. Whoever removes anything
    /// reads the log like this: hidden records stop it (P10).
    pub(crate) fn read_all_names(&self) -> Result<History> {
        self.read_folded(Names::All)
    }

    /// Reads every record, whatever folds there are.
    pub(crate) fn read_all_records(&self) -> Result<History> {
        self.read_after(History::empty(self.chain), Names::All)
    }

    /// What `before` says and what came since; records never change.
    pub(crate) fn read_on(&self, before: History) -> Result<History> {
        self.read_after(before.sound()?, Names::New)
    }

    fn read_folded(&self, names: Names) -> Result<History> {
        let folded = self.read_fold()?;
        let Some(ends) = folded.folds.used else {
            return self.read_after(folded, Names::All);
        };
        let mut history = self.read_after(folded, names)?;
        let fits = history.links_hold();
        match names {
            // The fold or what follows is wrong: the records themselves tell what is.
            Names::New if !fits || !history.unreadable.is_empty() => self.read_all_records(),
            Names::New => Ok(history),
            // What a fold has seen must be there.
            Names::All => {
                if !fits {
                    let (fold, what) = (place::fold(&self.chain, ends), "other versions follow it");
                    history.unreadable.push(Error::damaged(fold, what));
                }
                Ok(history)
            }
        }
    }

    /// Adds the records that `history` does not have.
    fn read_after(&self, mut history: History, names: Names) -> Result<History> {
        let decided = history.decided();
        // A session that was open may have its verdict now.
        history.sessions.split_off(&(decided + 1));
        // Deletions first, claims after: a session whose claim is missed here made it after these
        // deletions were durable, and looks at them before it builds on anything.
        let is_late = planted::has(Bug::DeletionsReadLast);
        if !is_late {
            self.read_deletes(&mut history, names)?;
        }
        let listed = self.list_sessions(decided, names)?;
        if is_late {
            self.read_deletes(&mut history, names)?;
        }
        history.last_seq = listed.last_seq();
        for key in listed.missing(&self.chain) {
            history.unreadable.push(Error::Missing { object: key.to_string() });
        }
        for seq in listed.claims.range(decided + 1..) {
            self.read_claim(*seq, &mut history)?;
        }
        for seq in listed.outcomes.range(decided + 1..) {
            self.read_outcome(*seq, &mut history)?;
        }
        Ok(history)
    }

    /// Adds the delete records that `history` does not have.
    fn read_deletes(&self, history: &mut History, names: Names) -> Result<()> {
        let known = history.next_delete - 1;
        let missing = |n| Error::Missing { object: place::delete(&self.chain, n).to_string() };
        let (listed, unlisted) = self.list_deletes(names.after(known))?;
        history.unreadable.extend(unlisted.map(missing));
        let mut next = names.after(known) + 1;
        for n in listed {
            if n != next {
                history.unreadable.push(missing(next));
            }
            next = n + 1;
            if n <= known {
                continue;
            }
            match self.get::<Delete>(&place::delete(&self.chain, n)) {
                Ok(Some((delete, _))) => history.deletions.apply(n, &delete),
                Ok(None) => history.unreadable.push(missing(n)),
                Err(error) => keep_damage(error, history)?,
            }
        }
        if next <= known {
            history.unreadable.push(missing(next));
        }
        history.next_delete = next.max(known + 1);
        Ok(())
    }

    /// The numbers of the delete records after `n`, and of one that is there and was not listed,
    /// however often the listing was asked for.
    fn list_deletes(&self, n: u64) -> Result<(Vec<u64>, Option<u64>)> {
        let after = (n > 0).then(|| place::delete(&self.chain, n));
        let number = |entry: &Entry| match Place::parse(&entry.key) {
            Some(Place::Delete(_, n)) => Some(n),
            _ => None,
        };
        let mut looks = 1;
        loop {
            let prefix = place::deletes(&self.chain);
            let listed = match self.backend.list_while(&prefix, after.clone(), |_| true) {
                Err(_) if planted::has(Bug::FailedListIsEmpty) => return Ok((Vec::new(), None)),
                listed => listed?,
            };
            let numbers: Vec<u64> = listed.iter().filter_map(number).collect();
            let next = numbers.last().copied().unwrap_or(n).saturating_add(1);
            // Numbers have no gaps, so the one way to lack records without a trace is at the end.
            let unlisted = self.backend.size(&place::delete(&self.chain, next))?.map(|_| next);
            let unlisted = unlisted.filter(|_| !planted::has(Bug::BrokenListBelieved));
            if unlisted.is_none() || looks == LISTINGS_MAX {
                return Ok((numbers, unlisted));
            }
            looks += 1;
        }
    }

    /// Lists claims and outcomes, of `names` only those after `decided`. A listing that lacks some
    /// (a backend that answers in part, or a session that began just now) is asked for again.
    fn list_sessions(&self, decided: u64, names: Names) -> Result<Listed> {
        let mut listed = Listed::default();
        let (mut looks, mut unlisted_before) = (0, None);
        for _ in 0..RACES_MAX {
            listed = Listed { before: names.after(decided), folded: decided, ..Listed::default() };
            let after = (listed.before > 0).then(|| place::outcome(&self.chain, listed.before));
            // Folds and delete records come behind all sessions; where every name counts, what a
            // stranger may have put behind them does as well.
            let goes_on = |entry: &Entry| {
                let place = Place::parse(&entry.key);
                names == Names::All || !matches!(place, Some(Place::Fold(..) | Place::Delete(..)))
            };
            let prefix = place::chain(&self.chain);
            for entry in self.backend.list_while(&prefix, after, goes_on)? {
                match Place::parse(&entry.key) {
                    Some(Place::Claim(_, seq)) => drop(listed.claims.insert(seq)),
                    Some(Place::Outcome(_, seq)) => drop(listed.outcomes.insert(seq)),
                    _ => {}
                }
            }
            listed.unlisted = self.unlisted(&listed)?;
            // A record that is new at every look is of a session that goes on meanwhile; one that
            // stays unlisted is withheld.
            let goes_on = listed.unlisted.is_some() && listed.unlisted != unlisted_before;
            unlisted_before.clone_from(&listed.unlisted);
            looks += usize::from(!goes_on || listed.missing(&self.chain).len() > 1);
            if listed.missing(&self.chain).is_empty() || looks == LISTINGS_MAX {
                break;
            }
        }
        Ok(listed)
    }

    /// A record behind those that were listed. Numbers have no gaps, so the one way to lack records
    /// without a trace is at the end.
    fn unlisted(&self, listed: &Listed) -> Result<Option<Key>> {
        if planted::has(Bug::PartialListBelieved) || planted::has(Bug::BrokenListBelieved) {
            return Ok(None);
        }
        let last = listed.last_seq();
        let is_open = last > listed.folded && !listed.outcomes.contains(&last);
        let verdict = is_open.then(|| place::outcome(&self.chain, last));
        for key in verdict.into_iter().chain([place::claim(&self.chain, last.saturating_add(1))]) {
            if self.backend.size(&key)?.is_some() {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    fn read_claim(&self, seq: u64, history: &mut History) -> Result<()> {
        let key = place::claim(&self.chain, seq);
        match self.get::<Claim>(&key) {
            Ok(Some((claim, _))) => {
                history.sessions.insert(seq, Session { claim, verdict: Verdict::Open });
            }
            Ok(None) => history.unreadable.push(Error::Missing { object: key.to_string() }),
            Err(error) => keep_damage(error, history)?,
        }
        Ok(())
    }

    fn read_outcome(&self, seq: u64, history: &mut History) -> Result<()> {
        let key = place::outcome(&self.chain, seq);
        let (outcome, hash) = match self.get::<Outcome>(&key) {
            Ok(Some(found)) => found,
            Ok(None) => {
                history.unreadable.push(Error::Missing { object: key.to_string() });
                return Ok(());
            }
            Err(error) => return keep_damage(error, history),
        };
        // An outcome whose claim cannot be read: that is on the list of complaints already.
        let Some(session) = history.sessions.get_mut(&seq) else { return Ok(()) };
        if outcome.nonce() != session.claim.nonce {
            history.unreadable.push(Error::damaged(&key, "it is the verdict on another claim"));
            return Ok(());
        }
        session.verdict = match outcome {
            Outcome::Abort(_) => Verdict::Aborted,
            Outcome::Commit(commit) => Verdict::Committed(Box::new(Committed {
                commit: *commit,
                hash,
                card_is_here: true,
            })),
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
                Ok(Some((claim, Committed { commit: *commit, hash, card_is_here: true })))
            }
            _ => Ok(None),
        }
    }

    /// What the delete records say, as far as they can be read.
    pub(crate) fn read_deletions(&self) -> Result<Deletions> {
        let folded = self.read_fold()?;
        let mut deletions = folded.deletions;
        let (listed, unlisted) = self.list_deletes(folded.next_delete - 1)?;
        for n in listed.into_iter().chain(unlisted) {
            if let Some((delete, _)) = self.get::<Delete>(&place::delete(&self.chain, n))? {
                deletions.apply(n, &delete);
            }
        }
        Ok(deletions)
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

    /// Appends a delete record to the log that `history` is of, if `delete` makes one; asks again
    /// about the longer log whenever somebody else's record was faster. Returns what the log says
    /// when there is nothing left to put.
    ///
    /// So a record is only ever put under the number that follows those by which it was decided: who
    /// sleeps meanwhile finds the number taken.
    pub(crate) fn put_deletes(
        &self,
        mut history: History,
        delete: impl Fn(&History) -> Option<Delete>,
    ) -> Result<History> {
        let (mut races, mut stale) = (0, None);
        while let Some(delete) = stale.take().or_else(|| delete(&history)) {
            let key = place::delete(&self.chain, history.next_delete);
            if self.put(&key, &delete)? != Decided::Ours {
                races += 1;
                stale = planted::has(Bug::PurgeOutlivesUndelete).then_some(delete);
            }
            if races == RACES_MAX {
                return Err(Error::ChainBusy { owner: "concurrent deletions".to_owned() });
            }
            history = self.read_on(history)?.sound()?;
        }
        Ok(history)
    }

    pub(super) fn put(&self, key: &Key, record: &impl Record) -> Result<Decided> {
        let object = record.seal(key, self.keys.as_ref(), self.random.as_ref());
        Ok(self.backend.put_decided(key, &[&object])?)
    }

    /// A record and the hash of its object.
    pub(super) fn get<R: Record>(&self, key: &Key) -> Result<Option<(R, [u8; 32])>> {
        let Some(object) = self.backend.get(key)? else { return Ok(None) };
        let record = R::open(&object, key, self.keys.as_ref())?;
        Ok(Some((record, *blake3::hash(&object).as_bytes())))
    }
}

/// Which names a reading lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Names {
    /// Those of records that are not folded.
    New,
    /// All, also of what is folded.
    All,
}

impl Names {
    /// The number after which names are listed, if records up to `known` are folded.
    const fn after(self, known: u64) -> u64 {
        match self {
            Self::New => known,
            Self::All => 0,
        }
    }
}

/// The numbers of the claims and outcomes that a listing shows.
///
/// Claims are never removed, and a number is claimed only when all before it have their verdict.
/// So what a listing lacks shows, and nothing is concluded from half a log (P4, P10).
#[derive(Debug, Default)]
struct Listed {
    /// Names up to this number were not asked for.
    before: u64,
    /// Records up to this number are known to exist.
    folded: u64,
    claims: BTreeSet<u64>,
    outcomes: BTreeSet<u64>,
    /// A record that is there and was not listed.
    unlisted: Option<Key>,
}

impl Listed {
    fn last_seq(&self) -> u64 {
        let last = |seqs: &BTreeSet<u64>| seqs.last().copied().unwrap_or(0);
        last(&self.claims).max(last(&self.outcomes)).max(self.folded)
    }

    /// The records that must be there and are not listed; the first few.
    fn missing(&self, chain: &ChainRef) -> Vec<Key> {
        let last = self.last_seq();
        let claims = (self.before + 1..=last).filter(|seq| !self.claims.contains(seq));
        let decided = last.saturating_sub(1).max(self.folded);
        let outcomes = (self.before + 1..=decided).filter(|seq| !self.outcomes.contains(seq));
        claims
            .map(|seq| place::claim(chain, seq))
            .chain(outcomes.map(|seq| place::outcome(chain, seq)))
            .chain(self.unlisted.clone())
            .take(COMPLAINTS_MAX)
            .collect()
    }
}

/// Damage is remembered; a backend that does not answer ends the reading.
fn keep_damage(error: Error, history: &mut History) -> Result<()> {
    if error.is_no_answer() {
        return Err(error);
    }
    history.unreadable.push(error);
    Ok(())
}
