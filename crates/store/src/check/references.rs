//! The audit of shared blocks (I6): does every pointer of the newest maps stand in the books?
//!
//! Deletions count references from lists alone. A pointer that no list accounts for would one day
//! point to nothing, so it is reported while everything is still there. The other way round – a
//! reference that has no pointer – keeps a slot too long and hurts nobody.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::found::Found;
use crate::chain::{ChainLog, History};
use crate::delete::shared::{Books, Shares};
use crate::error::{Error, Result};
use crate::format::id::{PackKind, SlotRef};
use crate::format::node::Content;
use crate::format::place;
use crate::map::MapReader;
use crate::map::reader::Visit;
use crate::packs::{Packs, Scratch};

/// Audits the domain that the chain of `log` belongs to. What cannot be read is named elsewhere.
pub(super) fn audit(log: &ChainLog, packs: &Arc<Packs>, found: &Found) -> Result<()> {
    let retire_log = log.retire_log();
    match retire_log.wrong_folds() {
        Ok(wrong) => wrong.into_iter().for_each(|(key, error)| found.record(key, error)),
        Err(error) => {
            give_up_on(error, |error| found.record(place::retires(&retire_log.domain), error))?;
        }
    }
    match audit_chains(log, packs, found) {
        Err(error) => give_up_on(error, |_| {}),
        done => done,
    }
}

/// A backend that does not answer ends the check.
fn give_up_on(error: Error, note: impl FnOnce(&Error)) -> Result<()> {
    if error.is_no_verdict() {
        return Err(error);
    }
    note(&error);
    Ok(())
}

fn audit_chains(log: &ChainLog, packs: &Arc<Packs>, found: &Found) -> Result<()> {
    let books = Books::read(log, ChainLog::read)?;
    let line = |history: &History| history.lineage(history.kept());
    let lineages = books.histories.iter().map(line).collect::<Result<Vec<_>>>()?;
    let mut ended = BTreeSet::new();
    let shares = books.shares(packs, &lineages, &|_, _, _| true, &mut |end| {
        if end.kind == PackKind::Data {
            ended.insert((end.chain, end.slot));
        }
    })?;
    let Shares { ledger, .. } = &shares;
    for (chain, history) in books.histories.iter().enumerate() {
        let Some(head) = history.head() else { continue };
        for (slot, pointers) in pointers(history, head, packs)? {
            let references = if ledger.knows(&slot) {
                ledger.current(chain, &slot, &lineages[chain])
            } else {
                let is_own = books.author(&slot.pack) == Some((chain, slot.birth));
                u64::from(is_own && !ended.contains(&(chain, slot)))
            };
            if pointers > references {
                let SlotRef { pack, slot, birth, .. } = slot;
                found.record(
                    place::outcome(&history.chain, head),
                    format!(
                        "its map points {pointers} times to slot {slot} of pack {pack} since \
                         version {birth}, its lists say {references}"
                    ),
                );
            }
        }
    }
    Ok(())
}

/// How many leaves of a version point to each slot.
fn pointers(history: &History, seq: u64, packs: &Arc<Packs>) -> Result<HashMap<SlotRef, u64>> {
    let mut pointers = HashMap::new();
    let Some(committed) = history.committed(seq) else { return Ok(pointers) };
    let (root, disk_bytes) = (committed.commit.root, committed.commit.disk_bytes);
    let map = MapReader::new(Arc::clone(packs), root, disk_bytes);
    map.walk(&(0..u64::MAX), &mut Scratch::new()?, &mut |visit| {
        if let Visit::Leaf { leaf, .. } = visit {
            let slots: BTreeSet<SlotRef> = leaf
                .extents
                .iter()
                .filter_map(|extent| match extent.content {
                    Content::Data { slot, .. } => Some(slot),
                    Content::Bad => None,
                })
                .collect();
            for slot in slots {
                *pointers.entry(slot).or_default() += 1;
            }
        }
        Ok(())
    })?;
    Ok(pointers)
}
