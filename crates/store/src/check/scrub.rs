//! Scrubbing: everything is read again, a little at a time.
//!
//! A pass goes through all objects in the order of their names. Behind the last object of a domain
//! its listing is compared with its logs and its maps are followed, so that what is missing is
//! missed too. A step ends when its budget is spent; its cursor says where the next one goes on.
//! The unit is one object, or one domain's logs and maps, so a step may exceed its budget by that
//! much. Nothing is remembered between steps, and nothing counts as verified that was not read.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cbr_env::RandomExt;

use super::chains::key_kind;
use super::found::Found;
use super::packs::{Listed, PackCheck};
use super::patches::PatchCheck;
use super::report::Problem;
use crate::backend::layer::Counting;
use crate::backend::{Backend, Entry, Key};
use crate::crypto::TenantKeys;
use crate::error::{Error, Result};
use crate::format::envelope::{ObjectKind, Reader};
use crate::format::id::{DomainId, PackRef};
use crate::format::pack::PackIndex;
use crate::format::place::Place;
use crate::heal::{Spot, lost_blocks, reference};
use crate::job::{Job, Meter};
use crate::packs::{Packs, Scratch};
use crate::repository::Repository;
use crate::version::CheckDepth;

/// How closely a scrub looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScrubLevel {
    /// Listings, records, tables and maps.
    Structure,
    /// Also one slot of each pack, chosen by chance.
    Sample,
    /// Every byte of every object, every slot decoded.
    Full,
}

/// What one step may cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScrubBudget {
    /// Bytes read.
    pub bytes: u64,
    /// Calls of the backend.
    pub requests: u64,
    /// How closely to look.
    pub level: ScrubLevel,
}

/// Where a scrub goes on; the default begins a pass. Kept by the caller as a text.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ScrubCursor {
    after: Option<Key>,
    /// The domain of `after` has been compared with its logs.
    is_settled: bool,
}

impl fmt::Display for ScrubCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.after {
            None => Ok(()),
            Some(after) if self.is_settled => write!(f, "settled {after}"),
            Some(after) => write!(f, "after {after}"),
        }
    }
}

/// A text that is no cursor.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is no place in a repository")]
pub struct InvalidCursor(String);

impl FromStr for ScrubCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let invalid = || InvalidCursor(text.to_owned());
        let (word, key) = text.split_once(' ').ok_or_else(invalid)?;
        let is_settled = match word {
            "settled" => true,
            "after" => false,
            _ => return Err(invalid()),
        };
        let after = Some(Key::new(key.to_owned()).map_err(|_| invalid())?);
        Ok(Self { after, is_settled })
    }
}

/// An object that was read and is what was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScrubbedObject {
    /// Its key.
    pub object: String,
    /// Its size.
    pub bytes: u64,
}

/// What one step did.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ScrubStep {
    /// Where the next step goes on.
    pub cursor: ScrubCursor,
    /// The end was reached: every object there was has been looked at since the pass began.
    pub is_pass_complete: bool,
    /// Bytes read.
    pub read_bytes: u64,
    /// Calls of the backend.
    pub requests: u64,
    /// What was looked at and is sound.
    pub sound: Vec<ScrubbedObject>,
    /// What is wrong, with all versions that are hurt by it.
    pub problems: Vec<Problem>,
}

impl Repository {
    /// Looks at more objects, from `cursor` on. Changes nothing.
    ///
    /// # Errors
    /// [`Error::Cancelled`]; or the backend does not answer. The same cursor may be used again.
    pub fn scrub(
        &self,
        budget: &ScrubBudget,
        cursor: &ScrubCursor,
        job: &Job,
    ) -> Result<ScrubStep> {
        self.check_holds_master()?;
        let counting = Arc::new(Counting::new(Arc::clone(&self.backend)));
        let backend: Arc<dyn Backend> = counting.clone();
        let mut scrub = Scrub {
            repository: self.through(backend),
            counting,
            budget,
            job,
            found: BTreeMap::new(),
            tools: None,
            scratch: Scratch::new()?,
            step: ScrubStep { cursor: cursor.clone(), ..ScrubStep::default() },
        };
        scrub.run()?;
        Ok(scrub.step)
    }
}

struct Scrub<'a> {
    repository: Repository,
    counting: Arc<Counting>,
    budget: &'a ScrubBudget,
    job: &'a Job,
    /// What was found in domains that are not settled yet.
    found: BTreeMap<DomainId, Found>,
    tools: Option<Tools>,
    scratch: Scratch,
    step: ScrubStep,
}

/// What the packs of one domain are read with.
struct Tools {
    domain: DomainId,
    keys: Arc<TenantKeys>,
    packs: Arc<Packs>,
}

impl Scrub<'_> {
    fn run(&mut self) -> Result<()> {
        self.go_on()?;
        for (domain, found) in std::mem::take(&mut self.found) {
            if !found.is_empty() {
                let problems = self.repository.settle(&domain, &found, self.job)?;
                self.step.problems.extend(problems);
            }
        }
        let counts = self.counting.counts();
        self.step.read_bytes = counts.bytes_got;
        self.step.requests = requests(&self.counting);
        Ok(())
    }

    fn go_on(&mut self) -> Result<()> {
        loop {
            let after = self.step.cursor.after.clone();
            let page = self.repository.backend.list("", after.as_ref())?;
            for entry in &page.entries {
                if self.job.cancel.load(Ordering::Relaxed) {
                    return Err(Error::Cancelled);
                }
                let domain = domain_of(&entry.key);
                if let Some(before) = self.unsettled()
                    && domain != Some(before)
                {
                    self.settle(&before)?;
                    if self.is_spent() {
                        return Ok(());
                    }
                }
                self.object(entry)?;
                self.step.cursor =
                    ScrubCursor { after: Some(entry.key.clone()), is_settled: false };
                if self.is_spent() {
                    return Ok(());
                }
            }
            if page.is_last || page.entries.is_empty() {
                break;
            }
        }
        if let Some(last) = self.unsettled() {
            self.settle(&last)?;
        }
        self.step.cursor = ScrubCursor::default();
        self.step.is_pass_complete = true;
        Ok(())
    }

    fn is_spent(&self) -> bool {
        self.counting.counts().bytes_got >= self.budget.bytes
            || requests(&self.counting) >= self.budget.requests
    }

    /// The domain of the last object, if it was not compared with its logs yet.
    fn unsettled(&self) -> Option<DomainId> {
        let cursor = &self.step.cursor;
        cursor.after.as_ref().filter(|_| !cursor.is_settled).and_then(domain_of)
    }

    fn settle(&mut self, domain: &DomainId) -> Result<()> {
        let found = self.found.remove(domain).unwrap_or_default();
        self.step.problems.extend(self.repository.settle(domain, &found, self.job)?);
        self.step.cursor.is_settled = true;
        Ok(())
    }

    fn object(&mut self, entry: &Entry) -> Result<()> {
        let problems = self.step.problems.len();
        let is_in_domain = domain_of(&entry.key).is_some();
        let is_sound = match Place::parse(&entry.key) {
            // Not of this format; nobody needs it.
            None => return Ok(()),
            // Read when its domain is settled.
            Some(_) if self.budget.level == ScrubLevel::Structure && is_in_domain => return Ok(()),
            Some(Place::Pack(pack, generation)) => self.pack(pack, generation, entry)?,
            Some(Place::Patch(pack, number)) => self.patch(&pack, number, entry)?,
            Some(place) => self.record(place, entry)?,
        };
        if is_sound && self.step.problems.len() == problems {
            let object = entry.key.to_string();
            self.step.sound.push(ScrubbedObject { object, bytes: entry.size_bytes });
        }
        Ok(())
    }

    fn pack(&mut self, pack: PackRef, generation: u32, entry: &Entry) -> Result<bool> {
        let Some(tools) = self.tools(&pack.domain)? else { return Ok(false) };
        let (packs, keys) = (Arc::clone(&tools.packs), Arc::clone(&tools.keys));
        let mut one = Listed {
            pack,
            generation,
            object_bytes: entry.size_bytes,
            expected_bytes: None,
            has_newer: false,
        };
        let found = Found::default();
        if self.budget.level == ScrubLevel::Full {
            let (meter, read_bytes) = (Meter::new(self.job, 0), AtomicU64::new(0));
            let hasher = keys.block_hasher(&pack.domain)?;
            let check = |found: &Found, one: &Listed, scratch: &mut Scratch| {
                PackCheck {
                    packs: &packs,
                    hasher: &hasher,
                    depth: CheckDepth::ReadData,
                    found,
                    meter: &meter,
                    read_bytes: &read_bytes,
                }
                .object(one, scratch)
            };
            check(&found, &one, &mut self.scratch)?;
            if !found.is_empty() && packs.generations(&pack)?.last() > Some(&generation) {
                one.has_newer = true;
                let again = Found::default();
                check(&again, &one, &mut self.scratch)?;
                return Ok(self.note(pack.domain, &again));
            }
        } else {
            self.sample(&packs, &pack, generation, &found)?;
        }
        Ok(self.note(pack.domain, &found))
    }

    /// Reads the tables and one slot.
    fn sample(
        &mut self,
        packs: &Packs,
        pack: &PackRef,
        generation: u32,
        found: &Found,
    ) -> Result<()> {
        let spot = Spot { kind: pack.kind, pack: pack.id, slot: None };
        let index = match PackIndex::read(packs.backend(), pack, generation, packs.keys()) {
            Ok(Some(index)) => index,
            Ok(None) => return Ok(()),
            Err(error) if error.is_damage() => {
                found.spot(spot, crate::format::place::pack(pack, generation), &error);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let count = index.slots().len().max(1) as u64;
        let chosen = u64::from_le_bytes(self.repository.random.bytes()) % count;
        let Some(entry) = index.slots().get(crate::size::to_usize(chosen)) else { return Ok(()) };
        let slot = reference(pack.id, entry);
        let has = u16::MAX >> (16 - entry.blocks.clamp(1, 16));
        let lost = has & lost_blocks(packs, pack.kind, &slot, &mut self.scratch)?;
        if lost != 0 {
            let error = Error::damaged(index.key(), format!("slot {}: does not open", slot.slot));
            found.partly(Spot { slot: Some(slot.slot), ..spot }, index.key(), &error, lost);
        }
        Ok(())
    }

    fn patch(&mut self, pack: &PackRef, number: u32, entry: &Entry) -> Result<bool> {
        let Some(tools) = self.tools(&pack.domain)? else { return Ok(false) };
        let (packs, hasher) = (Arc::clone(&tools.packs), tools.keys.block_hasher(&pack.domain)?);
        let found = Found::default();
        let depth = CheckDepth::ReadData;
        let check = PatchCheck { packs: &packs, hasher: &hasher, depth, found: &found };
        let (meter, read_bytes) = (Meter::new(self.job, 0), AtomicU64::new(0));
        check.run(&[(*pack, number, entry.size_bytes)], (&meter, &read_bytes))?;
        Ok(self.note(pack.domain, &found))
    }

    /// Reads a whole record; what it says is looked at when its domain is settled.
    fn record(&mut self, place: Place, entry: &Entry) -> Result<bool> {
        if let Some(kind) = key_kind(place) {
            return self.key_object(entry, kind);
        }
        if let Place::Note(tenant, subject, n) = place {
            let problems = self.repository.check_note((tenant, subject, n))?;
            let is_sound = problems.is_empty();
            self.step.problems.extend(problems);
            return Ok(is_sound);
        }
        let kind = match place {
            Place::Claim(..) => ObjectKind::Claim,
            Place::Outcome(..) => ObjectKind::Outcome,
            Place::Delete(..) => ObjectKind::Delete,
            Place::Fold(..) => ObjectKind::Fold,
            Place::Domain(_) => ObjectKind::Domain,
            // Dealt with before.
            _ => return Ok(true),
        };
        let Some(domain) = domain_of(&entry.key) else { return Ok(false) };
        let Some(tools) = self.tools(&domain)? else { return Ok(false) };
        let keys = Arc::clone(&tools.keys);
        let read = match self.repository.backend.get(&entry.key) {
            Ok(Some(object)) => Reader::open(&object, kind, &entry.key, keys.as_ref()).map(drop),
            Ok(None) => Err(Error::Missing { object: entry.key.to_string() }),
            Err(error) => Err(error.into()),
        };
        match read {
            Ok(()) => Ok(true),
            // Reading the log when the domain is settled names it.
            Err(error) if error.is_damage() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn key_object(&mut self, entry: &Entry, kind: ObjectKind) -> Result<bool> {
        match self.repository.verify_key_object(&entry.key, kind) {
            Ok(()) => Ok(true),
            Err(error) if error.is_no_verdict() => Err(error),
            Err(error) => {
                self.step.problems.push(Problem::of_key(&entry.key, &error));
                Ok(false)
            }
        }
    }

    /// `None`: the tenant's key is not there, which settling reports.
    fn tools(&mut self, domain: &DomainId) -> Result<Option<&Tools>> {
        if self.tools.as_ref().is_none_or(|tools| tools.domain != *domain) {
            let keys = match self.repository.tenant(domain.tenant) {
                Ok(keys) => keys,
                Err(error) if error.is_no_verdict() => return Err(error),
                Err(_) => None,
            };
            self.tools = keys.map(|keys| {
                let backend = Arc::clone(&self.repository.backend);
                let packs = Arc::new(Packs::new(backend, Arc::clone(&keys), *domain));
                Tools { domain: *domain, keys, packs }
            });
        }
        Ok(self.tools.as_ref())
    }

    /// Keeps what was found until its domain is settled; says whether it was nothing.
    fn note(&mut self, domain: DomainId, found: &Found) -> bool {
        if found.is_empty() {
            return true;
        }
        self.found.entry(domain).or_default().adopt(found, &|_| true);
        false
    }
}

fn requests(counting: &Counting) -> u64 {
    let counts = counting.counts();
    counts.gets + counts.range_gets + counts.sizes + counts.lists
}

fn domain_of(key: &Key) -> Option<DomainId> {
    match Place::parse(key)? {
        Place::Domain(domain) => Some(domain),
        Place::Pack(pack, _) | Place::Patch(pack, _) => Some(pack.domain),
        Place::Claim(chain, _)
        | Place::Outcome(chain, _)
        | Place::Delete(chain, _)
        | Place::Fold(chain, _) => Some(chain.domain()),
        _ => None,
    }
}
