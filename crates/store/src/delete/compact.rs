//! Rewriting a pack without its dead slots.
//!
//! Slots are copied as they are, under their numbers, into the next generation; when that is
//! durable the older generations go. If the tenant has a newer key than the one the pack is sealed
//! with, the pack gets a new data key, and all slots are sealed anew: who knew the older key knew
//! the data key. Every copied slot is opened first: damage is not moved on,
//! and the damaged object stays for a repair.

use std::collections::BTreeSet;

use cbr_env::Random;
use zeroize::Zeroizing;

use crate::backend::{BackendExt, Decided};
use crate::crypto::PackDek;
use crate::error::{Error, Result};
use crate::format::pack::{PackBuilder, PackIndex, SlotEntry};
use crate::format::slot::open_slot;
use crate::packs::{Packs, Scratch};
use crate::planted::{self, Bug};
use crate::write::packer::open_sealed;

/// What remains of a pack when its dead slots are taken away.
#[derive(Debug)]
pub(super) struct Survivors {
    pub(super) slots: Vec<SlotEntry>,
    pub(super) live_bytes: u64,
    pub(super) dead_bytes: u64,
}

impl Survivors {
    pub(super) fn of(index: &PackIndex, dead: &BTreeSet<u32>) -> Self {
        let bytes = |slots: &[SlotEntry]| slots.iter().map(|s| u64::from(s.stored_bytes)).sum();
        let (gone, mut slots): (Vec<_>, Vec<_>) =
            index.slots().iter().partition(|entry| dead.contains(&entry.head.slot));
        if planted::has(Bug::CompactionDropsSlot) && slots.len() > 1 {
            slots.pop();
        }
        let (live_bytes, dead_bytes) = (bytes(&slots), bytes(&gone));
        Self { slots, live_bytes, dead_bytes }
    }

    /// Whether so little is left that rewriting pays.
    pub(super) fn is_worth_it(&self, below_percent: u8) -> bool {
        let total = u128::from(self.live_bytes + self.dead_bytes);
        self.dead_bytes > 0 && u128::from(self.live_bytes) * 100 < total * u128::from(below_percent)
    }
}

/// Writes the next generation with `survivors` only; its size, or `None` if somebody else did.
///
/// A survivor that is damaged and wholly in patches stays in these. It is not sealed again, because two
/// contents are never sealed under one key and number.
pub(super) fn rewrite(
    packs: &Packs,
    random: &dyn Random,
    index: &PackIndex,
    survivors: &Survivors,
) -> Result<Option<u64>> {
    let is_resealed = index.sealed_by() != packs.keys().sealing_id();
    let dek = if is_resealed {
        PackDek::generate(random)
    } else {
        PackDek::from_bytes(Zeroizing::new(*index.dek().as_bytes()))
    };
    let mut builder = PackBuilder::with_dek(*index.pack(), dek, packs.keys(), random);
    let mut scratch = Scratch::new()?;
    let (mut sealed, mut encoded) = (Vec::new(), Vec::new());
    for entry in &survivors.slots {
        let length = u64::from(entry.stored_bytes);
        packs
            .read_range(index, entry.offset, length, &mut sealed)?
            .ok_or_else(|| Error::Missing { object: index.key().to_string() })?;
        match scratch.open(index, entry, &sealed) {
            Ok(()) => {}
            Err(error) if error.is_damage() => {
                if packs.is_in_patches(index.pack(), entry, &mut scratch)? {
                    continue;
                }
                return Err(error);
            }
            Err(error) => return Err(error),
        }
        if is_resealed {
            open_slot(index.dek(), index.pack(), entry.head, &sealed, &mut encoded)
                .map_err(|wrong| Error::damaged(index.key(), wrong.0))?;
            builder.append_at(entry.head, &encoded, index.ids(entry))?;
        } else {
            builder.append_sealed(entry.head, &sealed, index.ids(entry))?;
        }
    }
    let next = index.generation().checked_add(1).ok_or_else(|| Error::Invalid {
        what: format!("{} was rewritten too often", index.key()),
    })?;
    let object = builder.finish(next, packs.keys());
    for entry in object.index.slots() {
        open_sealed(&object, entry, &mut sealed)?;
    }
    match packs.backend().put_decided(&object.key, &object.parts())? {
        Decided::Ours => Ok(Some(object.object_bytes())),
        Decided::Other(_) => Ok(None),
    }
}
