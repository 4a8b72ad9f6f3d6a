//! The domain's retire log: which slots nobody may borrow any more, and since which record.
//!
//! ```text
//! session:  head r ─▶ claim says r ─▶ log again ─▶ borrows nothing that is named in it
//! sweep:    record n names dead slots ─▶ open claims: whoever says less than n keeps them
//! ```
//! So a session either has read the record before it borrows, or its claim says that it may not
//! have. No clock takes part.
//!
//! A long log is read through a *fold*, a copy of its beginning in one object (ADR 12): it may be
//! absent or damaged, and is believed only if the last record that it repeats is there, the same one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cbr_env::Random;

use crate::backend::{Backend, BackendExt, Decided, Entry, Key};
use crate::crypto::TenantKeys;
use crate::error::{Error, Result};
use crate::format::id::{DomainId, PackId};
use crate::format::place::{self, Place};
use crate::format::record::{FoldedPack, Record, Retire, RetireFold, RetiredSlots};

/// How many times a racing put is tried under the next number.
const RACES_MAX: usize = 64;
/// So many records behind the newest fold are folded.
const FOLD_AFTER: u64 = 32;
/// How many folds are tried before the records are read one by one.
const FOLDS_MAX: usize = 2;

/// The retire log of one domain.
#[derive(Clone, Debug)]
pub(crate) struct RetireLog {
    pub(crate) domain: DomainId,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) keys: Arc<TenantKeys>,
    pub(crate) random: Arc<dyn Random>,
}

/// What a retire log says.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Retired {
    /// The last record that was read.
    pub(crate) head: u64,
    /// The last record of the fold that was used.
    folded: u64,
    /// The BLAKE3 of the last record's object.
    last: [u8; 32],
    packs: HashMap<PackId, PackRetired>,
}

#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct PackRetired {
    all: Option<u64>,
    slots: BTreeMap<u32, u64>,
}

impl Retired {
    /// The record that retired the slot, the first one.
    pub(crate) fn since(&self, pack: PackId, slot: u32) -> Option<u64> {
        let retired = self.packs.get(&pack)?;
        let one = retired.slots.get(&slot).copied();
        one.into_iter().chain(retired.all).min()
    }

    /// The record that retired every slot of the pack.
    pub(crate) fn all_since(&self, pack: PackId) -> Option<u64> {
        self.packs.get(&pack)?.all
    }

    /// About what it takes in memory.
    pub(crate) fn bytes(&self) -> u64 {
        let slots: usize = self.packs.values().map(|pack| pack.slots.len()).sum();
        self.packs.len() as u64 * 96 + slots as u64 * 24
    }

    fn apply(&mut self, n: u64, record: Retire) {
        for (pack, slots) in record.packs {
            let retired = self.packs.entry(pack).or_default();
            match slots {
                RetiredSlots::All => drop(retired.all.get_or_insert(n)),
                RetiredSlots::Some(slots) => {
                    for slot in slots {
                        retired.slots.entry(slot).or_insert(n);
                    }
                }
            }
        }
        self.head = n;
    }
}

impl Retired {
    fn fold(&self) -> RetireFold {
        let folded = |(pack, retired): (&PackId, &PackRetired)| {
            let slots = retired.slots.iter().map(|(slot, n)| (*slot, *n)).collect();
            (*pack, FoldedPack { all: retired.all, slots })
        };
        let mut packs: Vec<_> = self.packs.iter().map(folded).collect();
        packs.sort_unstable_by_key(|(pack, _)| *pack);
        RetireFold { last: self.last, packs }
    }

    fn unfolded(n: u64, fold: RetireFold) -> Self {
        let unfolded = |(pack, folded): (PackId, FoldedPack)| {
            (pack, PackRetired { all: folded.all, slots: folded.slots.into_iter().collect() })
        };
        let packs = fold.packs.into_iter().map(unfolded).collect();
        Self { head: n, folded: n, last: fold.last, packs }
    }
}

impl RetireLog {
    /// The number of the last record.
    ///
    /// # Errors
    /// [`Error::Missing`] if the listing has gaps: it cannot be believed then.
    pub(crate) fn head(&self) -> Result<u64> {
        let folded = self.list_folds()?.pop();
        match folded {
            Some(n) if self.has(n)? => self.head_after(n),
            _ => self.head_after(0),
        }
    }

    /// The number of the last record; `known` is there.
    fn head_after(&self, known: u64) -> Result<u64> {
        let after = (known > 0).then(|| place::retire(&self.domain, known));
        // Folds come behind all records.
        let goes_on =
            |entry: &Entry| !matches!(Place::parse(&entry.key), Some(Place::RetireFold(..)));
        let mut head = known;
        for entry in self.backend.list_while(&place::retires(&self.domain), after, goes_on)? {
            let Some(Place::Retire(_, n)) = Place::parse(&entry.key) else { continue };
            if n != head + 1 {
                return Err(self.lacking(head + 1));
            }
            head = n;
        }
        // Numbers have no gaps, so the one way to lack records without a trace is at the end.
        while self.has(head + 1)? {
            head += 1;
        }
        Ok(head)
    }

    fn has(&self, n: u64) -> Result<bool> {
        Ok(self.backend.size(&place::retire(&self.domain, n))?.is_some())
    }

    fn hash(&self, n: u64) -> Result<Option<[u8; 32]>> {
        let object = self.backend.get(&place::retire(&self.domain, n))?;
        Ok(object.map(|object| *blake3::hash(&object).as_bytes()))
    }

    /// Reads the log: the newest fold that can be believed, and what came after it.
    pub(crate) fn read(&self) -> Result<Retired> {
        let mut retired = Retired::default();
        for n in self.list_folds()?.into_iter().rev().take(FOLDS_MAX) {
            match self.open_fold(n) {
                Ok(Some(fold)) if self.hash(n)? == Some(fold.last) => {
                    retired = Retired::unfolded(n, fold);
                    break;
                }
                // A fold of another log, or removed since it was listed.
                Ok(_) => {}
                Err(error) if error.is_damage() => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(domain = %self.domain, error, "a damaged fold is passed over");
                }
                Err(error) => return Err(error),
            }
        }
        self.read_on(&mut retired)?;
        Ok(retired)
    }

    /// Reads on from where `retired` ends.
    pub(crate) fn read_on(&self, retired: &mut Retired) -> Result<()> {
        // What was read is still there; else somebody takes records away.
        if retired.head > 0 && !self.has(retired.head)? {
            return Err(self.lacking(retired.head));
        }
        let head = self.head_after(retired.head)?;
        (retired.head + 1..=head).try_for_each(|n| self.read_one(n, retired))
    }

    fn read_one(&self, n: u64, retired: &mut Retired) -> Result<()> {
        let key = place::retire(&self.domain, n);
        let object = self.backend.get(&key)?.ok_or_else(|| self.lacking(n))?;
        retired.apply(n, Retire::open(&object, &key, self.keys.as_ref())?);
        retired.last = *blake3::hash(&object).as_bytes();
        Ok(())
    }

    /// Appends a record behind number `head`.
    pub(crate) fn append(&self, head: u64, record: &Retire) -> Result<u64> {
        for n in (head + 1..).take(RACES_MAX) {
            let key = place::retire(&self.domain, n);
            let object = record.seal(&key, self.keys.as_ref(), self.random.as_ref());
            if self.backend.put_decided(&key, &[&object])? == Decided::Ours {
                return Ok(n);
            }
        }
        Err(Error::ChainBusy { owner: "concurrent sweeps".to_owned() })
    }

    /// Writes a fold if much has happened since the last one, and removes those before that one.
    ///
    /// Whatever goes wrong is no failure of what the caller is doing.
    pub(crate) fn fold(&self, retired: &Retired) {
        if retired.head < retired.folded + FOLD_AFTER {
            return;
        }
        let done = self.list_folds().and_then(|folds| {
            let key = place::retire_fold(&self.domain, retired.head);
            let object = retired.fold().seal(&key, self.keys.as_ref(), self.random.as_ref());
            let _: Decided = self.backend.put_decided(&key, &[&object])?;
            // The newest of them stays: somebody may have listed it and not read it yet.
            for older in folds.iter().rev().skip(1) {
                self.backend.delete(&place::retire_fold(&self.domain, *older))?;
            }
            Ok(())
        });
        if let Err(error) = done {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(domain = %self.domain, error, "the retire log was not folded");
        }
    }

    /// The folds there are, in order.
    fn list_folds(&self) -> Result<Vec<u64>> {
        let listed = self.backend.list_all(&place::retire_folds(&self.domain))?;
        let number = |entry: &Entry| match Place::parse(&entry.key) {
            Some(Place::RetireFold(_, n)) => Some(n),
            _ => None,
        };
        Ok(listed.iter().filter_map(number).collect())
    }

    fn open_fold(&self, n: u64) -> Result<Option<RetireFold>> {
        let key = place::retire_fold(&self.domain, n);
        let Some(object) = self.backend.get(&key)? else { return Ok(None) };
        RetireFold::open(&object, &key, self.keys.as_ref()).map(Some)
    }

    /// Reads every record and compares the folds with them: the key of each that is wrong, and why.
    ///
    /// # Errors
    /// A record that cannot be read.
    pub(crate) fn wrong_folds(&self) -> Result<Vec<(Key, Error)>> {
        let folds = self.list_folds()?;
        let mut retired = Retired::default();
        let mut wrong = Vec::new();
        let mut compare = |n: u64, retired: &Retired| -> Result<()> {
            let key = place::retire_fold(&self.domain, n);
            match self.open_fold(n) {
                Ok(Some(fold)) if fold != retired.fold() => {
                    let what = "it says something else than the records do";
                    let error = Error::damaged(&key, what);
                    wrong.push((key, error));
                }
                Ok(_) => {}
                Err(error) if error.is_damage() => wrong.push((key, error)),
                Err(error) => return Err(error),
            }
            Ok(())
        };
        let head = self.head_after(0)?;
        for n in 1..=head {
            self.read_one(n, &mut retired)?;
            if folds.contains(&n) {
                compare(n, &retired)?;
            }
        }
        for n in folds.into_iter().filter(|n| *n == 0 || *n > head) {
            let key = place::retire_fold(&self.domain, n);
            let error = Error::damaged(&key, "it folds records that are not there");
            wrong.push((key, error));
        }
        Ok(wrong)
    }

    fn lacking(&self, n: u64) -> Error {
        Error::Missing { object: place::retire(&self.domain, n).to_string() }
    }
}
