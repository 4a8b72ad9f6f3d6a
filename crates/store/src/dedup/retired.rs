//! The domain's retire log: which slots nobody may borrow any more, and since which record.
//!
//! ```text
//! session:  head r ─▶ claim says r ─▶ log again ─▶ borrows nothing that is named in it
//! sweep:    record n names dead slots ─▶ open claims: whoever says less than n keeps them
//! ```
//! So a session either has read the record before it borrows, or its claim says that it may not
//! have. No clock takes part.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cbr_env::Random;

use crate::backend::{Backend, BackendExt, Decided};
use crate::crypto::TenantKeys;
use crate::error::{Error, Result};
use crate::format::id::{DomainId, PackId};
use crate::format::place::{self, Place};
use crate::format::record::{Record, Retire, RetiredSlots};

/// How many times a racing put is tried under the next number.
const RACES_MAX: usize = 64;

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

impl RetireLog {
    /// The number of the last record.
    ///
    /// # Errors
    /// [`Error::Implausible`] if the listing has gaps: it cannot be believed then.
    pub(crate) fn head(&self) -> Result<u64> {
        let mut head = 0;
        for entry in self.backend.list_all(&place::retires(&self.domain))? {
            let Some(Place::Retire(_, n)) = Place::parse(&entry.key) else { continue };
            if n != head + 1 {
                return Err(self.lacking(head + 1));
            }
            head = n;
        }
        // Numbers have no gaps, so the one way to lack records without a trace is at the end.
        while self.backend.size(&place::retire(&self.domain, head + 1))?.is_some() {
            head += 1;
        }
        Ok(head)
    }

    /// Reads on from where `retired` ends.
    pub(crate) fn read_on(&self, retired: &mut Retired) -> Result<()> {
        let head = self.head()?;
        if head < retired.head {
            return Err(self.lacking(retired.head));
        }
        for n in retired.head + 1..=head {
            let key = place::retire(&self.domain, n);
            let object = self.backend.get(&key)?.ok_or_else(|| self.lacking(n))?;
            retired.apply(n, Retire::open(&object, &key, self.keys.as_ref())?);
        }
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

    fn lacking(&self, n: u64) -> Error {
        Error::Missing { object: place::retire(&self.domain, n).to_string() }
    }
}
