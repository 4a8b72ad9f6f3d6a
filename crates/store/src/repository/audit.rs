//! The recount: do births, deaths and borrowings say what the maps say (I6)?
//!
//! Deletions and sizes are answered from sums in the logs. This walks the maps of all versions
//! of a chain, also of those in the trash, or of all chains that share blocks, counts the bytes of every slot they point to once,
//! and compares. Takes about 64 bytes of memory per slot of the largest chain (of a domain whose
//! chains share blocks: of all its slots): 70 MiB for a full disk of 1 TiB.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::Repository;
use crate::chain::ChainLog;
use crate::delete::account::{Chosen, Foresight};
use crate::delete::shared::Books;
use crate::error::{Error, Result};
use crate::format::id::{ChainRef, PackId, PackKind, SlotRef};
use crate::format::node::Content;
use crate::job::{Job, Meter};
use crate::map::MapReader;
use crate::map::reader::Visit;
use crate::packs::Scratch;

/// How often a chain that changes meanwhile is counted before what is wrong is believed.
const LOOKS_MAX: usize = 4;

/// What a recount found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// Every chain with versions, live or in the trash; of those that share blocks one for all.
    pub chains: Vec<ChainAudit>,
    /// Chains that could not be counted, and why; a check says more.
    pub unreadable: Vec<(ChainRef, String)>,
}

/// What was counted in one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainAudit {
    /// The chain; of those that share blocks the first.
    pub chain: ChainRef,
    /// How many chains were counted together.
    pub chains: u64,
    /// Their versions that are not gone for good.
    pub versions: u64,
    /// Sealed bytes of all slots that the maps point to.
    pub counted_bytes: u64,
    /// The same by births and deaths.
    pub booked_bytes: u64,
}

impl AuditReport {
    /// Whether everything could be counted and agrees.
    pub fn is_right(&self) -> bool {
        self.unreadable.is_empty() && self.chains.iter().all(ChainAudit::is_right)
    }
}

impl ChainAudit {
    /// Whether both counts agree.
    pub const fn is_right(&self) -> bool {
        self.counted_bytes == self.booked_bytes
    }
}

impl Repository {
    /// Recounts what all versions need, those in the trash too. Changes nothing.
    ///
    /// # Errors
    /// If the backend does not answer, or [`crate::Error::Cancelled`].
    pub fn audit(&self, job: &Job) -> Result<AuditReport> {
        let mut report = AuditReport::default();
        let chains = self.chains()?;
        let meter = Meter::new(job, chains.len() as u64);
        let mut domains = BTreeSet::new();
        for chain in chains {
            meter.check_cancelled()?;
            if domains.insert(chain.domain()) {
                let log = self.log(&chain);
                match log
                    .and_then(|log| log.map_or(Ok(None), |log| self.audit_domain(&log, &meter)))
                {
                    Ok(one) => report.chains.extend(one),
                    // Of a tenant whose keys were destroyed there is nothing to count.
                    Err(Error::Shredded { .. }) => {}
                    Err(error) if error.is_damage() => {
                        report.unreadable.push((chain, error.to_string()));
                    }
                    Err(error) => return Err(error),
                }
            }
            meter.add(1, 0);
        }
        Ok(report)
    }

    /// Counts again where something was wrong while versions came or went under our eyes.
    fn audit_domain(&self, log: &ChainLog, meter: &Meter<'_>) -> Result<Option<ChainAudit>> {
        let mut looks = 1;
        loop {
            let books = Books::read(log, ChainLog::read)?;
            let kept = kept(&books);
            if kept.is_empty() {
                return Ok(None);
            }
            let counted = self.count(log, &books, &kept, meter);
            let is_right = counted.as_ref().is_ok_and(|one| one.counted_bytes == one.booked_bytes);
            let is_still =
                || -> Result<bool> { Ok(self::kept(&Books::read(log, ChainLog::read)?) == kept) };
            if is_right || looks == LOOKS_MAX || is_still()? {
                return counted.map(Some);
            }
            looks += 1;
        }
    }

    fn count(
        &self,
        log: &ChainLog,
        books: &Books,
        kept: &Chosen,
        meter: &Meter<'_>,
    ) -> Result<ChainAudit> {
        let mut count = Count::default();
        let mut scratch = Scratch::reading_ahead()?;
        let packs = self.packs(log);
        let mut seen = HashSet::new();
        let commits = books.histories.iter().flat_map(|history| {
            let kept = kept.get(&history.chain).into_iter().flatten();
            kept.filter_map(|seq| Some(&history.committed(*seq)?.commit))
        });
        for commit in commits {
            let map = MapReader::new(Arc::clone(&packs), commit.root, commit.disk_bytes);
            map.walk_unseen(&(0..u64::MAX), &mut scratch, Some(&mut seen), &mut |visit| {
                meter.check_cancelled()?;
                count.visit(visit)
            })?;
        }
        Ok(ChainAudit {
            chain: kept.keys().next().copied().unwrap_or(log.chain),
            chains: kept.len() as u64,
            versions: kept.values().map(|seqs| seqs.len() as u64).sum(),
            counted_bytes: count.bytes,
            booked_bytes: Foresight::of(books, &packs, &Chosen::new())?.booked_bytes()?,
        })
    }
}

/// The versions that are not gone, of the chains that have any.
fn kept(books: &Books) -> Chosen {
    let kept = books.histories.iter().map(|history| (history.chain, history.kept()));
    kept.filter(|(_, kept)| !kept.is_empty()).collect::<BTreeMap<_, _>>()
}

#[derive(Default)]
struct Count {
    slots: HashSet<(PackKind, PackId, u32)>,
    bytes: u64,
}

impl Count {
    fn visit(&mut self, visit: Visit<'_>) -> Result<()> {
        match visit {
            Visit::Leaf { child, leaf, .. } => {
                self.slot(PackKind::Meta, &child.slot);
                for extent in &leaf.extents {
                    if let Content::Data { slot, .. } = extent.content {
                        self.slot(PackKind::Data, &slot);
                    }
                }
                Ok(())
            }
            Visit::Inner { child, .. } => {
                self.slot(PackKind::Meta, &child.slot);
                Ok(())
            }
            Visit::Unreadable { error, .. } => Err(error),
        }
    }

    fn slot(&mut self, kind: PackKind, slot: &SlotRef) {
        if self.slots.insert((kind, slot.pack, slot.slot)) {
            self.bytes += u64::from(slot.stored_bytes);
        }
    }
}
