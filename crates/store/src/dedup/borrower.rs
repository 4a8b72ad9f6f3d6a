//! Finding a block for one session: among its own, near the last find, in the packs of the hint.
//!
//! A pack is looked into only after its tables were read anew in this session, so it is there, as
//! long as its footer says, and its identity table is authentic. A pack that is not, or of which
//! the slot is retired, lends nothing (P5, P9).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::budget::Budget;
use super::domain::Memory;
use super::local::Local;
use super::retired::Retired;
use super::table::Table;
use crate::crypto::BlockId;
use crate::error::{Error, Result};
use crate::format::id::{PackId, PackKind, SlotRef};
use crate::packs::Packs;
use crate::planted::{self, Bug};

/// How many tables a worker keeps at hand.
const RECENT_MAX: usize = 4;
/// The part of the budget that the tables of a session take at most.
const BUDGET_PART: u64 = 4;

/// Where a block is stored already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    /// The slot, as the borrowing version will name it.
    pub(crate) slot: SlotRef,
    /// Which block of it.
    pub(crate) index: u8,
    /// This session wrote it: it costs a restore nothing.
    pub(crate) is_near: bool,
}

/// The tables a worker found something in lately.
#[derive(Debug, Default)]
pub(crate) struct Recent(VecDeque<Arc<Table>>);

/// What one session finds blocks with.
#[derive(Debug)]
pub(crate) struct Borrower {
    memory: Arc<Memory>,
    packs: Arc<Packs>,
    retired: Arc<Retired>,
    local: Local,
    seq: u64,
    budget: Arc<Budget>,
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    /// `None`: it lends nothing.
    by_pack: HashMap<PackId, Option<Arc<Table>>>,
    order: VecDeque<PackId>,
    bytes: u64,
    max_bytes: u64,
}

impl Borrower {
    pub(super) fn new(
        memory: Arc<Memory>,
        packs: Arc<Packs>,
        retired: Arc<Retired>,
        (budget, cap_bytes): (Arc<Budget>, u64),
        seq: u64,
    ) -> Self {
        let local = Local::new(Arc::clone(&budget), cap_bytes);
        let tables = Tables { max_bytes: cap_bytes / BUDGET_PART, ..Tables::default() };
        Self { memory, packs, retired, local, seq, budget, tables: Mutex::new(tables) }
    }

    /// Remembers the blocks of a slot that this session has just stored.
    pub(crate) fn stored(&self, slot: SlotRef, ids: &[BlockId]) {
        self.local.add(slot, ids);
    }

    /// Where the block is stored, if that is known and it may be borrowed.
    pub(crate) fn find(&self, id: &BlockId, recent: &mut Recent) -> Result<Option<Found>> {
        if let Some(found) = self.local.find(id) {
            return Ok(Some(found));
        }
        for at in 0..recent.0.len() {
            if let Some(found) = self.find_in(&recent.0[at], id) {
                recent.0.swap(0, at);
                return Ok(Some(found));
            }
        }
        let candidates: Vec<PackId> = {
            let hint = self.memory.hint.read().unwrap_or_else(PoisonError::into_inner);
            hint.candidates(id).collect()
        };
        for pack in candidates {
            let Some(table) = self.table(pack)? else { continue };
            if let Some(found) = self.find_in(&table, id) {
                recent.0.retain(|other| other.pack() != pack);
                recent.0.push_front(table);
                recent.0.truncate(RECENT_MAX);
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn find_in(&self, table: &Table, id: &BlockId) -> Option<Found> {
        let pack = table.pack();
        let may_lend =
            |slot| self.retired.since(pack, slot).is_none() || planted::has(Bug::RetireLogIgnored);
        table.find(id).find(|(entry, _)| may_lend(entry.head.slot)).map(|(entry, index)| {
            let (slot, stored_bytes) = (entry.head.slot, entry.stored_bytes);
            let slot = SlotRef { pack, slot, birth: self.seq, stored_bytes };
            Found { slot, index, is_near: false }
        })
    }

    fn table(&self, pack: PackId) -> Result<Option<Arc<Table>>> {
        if let Some(known) = self.lock().by_pack.get(&pack) {
            return Ok(known.clone());
        }
        let table = match self.packs.index(PackKind::Data, pack) {
            Ok(index) => Some(Arc::new(Table::of(index))),
            Err(error) if error.is_damage() || matches!(error, Error::Missing { .. }) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(%pack, error, "nothing is borrowed from an unreadable pack");
                None
            }
            Err(error) => return Err(error),
        };
        self.lock().put(pack, table.clone(), &self.budget);
        Ok(table)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    /// Keeps a table as long as there is room, the latest ones first.
    fn put(&mut self, pack: PackId, table: Option<Arc<Table>>, budget: &Budget) {
        let bytes = entry_bytes(table.as_deref());
        if bytes > self.max_bytes || self.by_pack.contains_key(&pack) {
            return;
        }
        while self.bytes + bytes > self.max_bytes || !budget.take(bytes) {
            let Some(oldest) = self.order.pop_front() else { return };
            if let Some(table) = self.by_pack.remove(&oldest) {
                let bytes = entry_bytes(table.as_deref());
                self.bytes -= bytes;
                budget.give_back(bytes);
            }
        }
        self.bytes += bytes;
        self.order.push_back(pack);
        self.by_pack.insert(pack, table);
    }
}

fn entry_bytes(table: Option<&Table>) -> u64 {
    96 + table.map_or(0, Table::bytes)
}

impl Drop for Borrower {
    fn drop(&mut self) {
        let bytes = self.lock().bytes;
        self.budget.give_back(bytes);
    }
}
