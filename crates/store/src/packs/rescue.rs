//! Where else a slot can be read that its pack has lost: another generation, or patches.
//!
//! Looked for only after the pack itself has failed, so a sound repository pays nothing for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::read::{ATTEMPTS_MAX, Packs, Scratch, find};
use crate::backend::BackendExt;
use crate::error::{Error, Result};
use crate::format::BLOCK_BYTES;
use crate::format::id::{PackId, PackKind, PackRef, SlotRef};
use crate::format::pack::{PackIndex, Patch, SlotEntry};
use crate::format::place::{self, Place};

/// How many damaged packs are remembered.
const PACKS_MAX: usize = 64;

/// What there is besides the damaged object, by pack.
#[derive(Debug, Default)]
pub(super) struct Rescues(Mutex<HashMap<(PackKind, PackId), Arc<Rescue>>>);

#[derive(Debug)]
struct Rescue {
    /// The newest first.
    generations: Vec<PackIndex>,
    patches: Vec<Patch>,
}

/// What patches have of a slot.
struct Found {
    /// Which of its blocks are still lost; none if nothing was found.
    lost: Option<u16>,
    /// A patch that was known is gone: removed, or sealed anew under another number.
    is_stale: bool,
}

impl Packs {
    /// What can be had of a slot, in `scratch`; or else `damage`.
    pub(super) fn rescue(
        &self,
        kind: PackKind,
        slot: &SlotRef,
        damage: Error,
        scratch: &mut Scratch,
    ) -> Result<()> {
        for _ in 1..ATTEMPTS_MAX {
            let rescue = self.look_around(kind, slot.pack)?;
            let mut is_stale = false;
            for index in &rescue.generations {
                let Ok(entry) = find(index, slot) else { continue };
                match self.read_entry(index, entry, usize::MAX, scratch) {
                    Ok(true) => return Ok(()),
                    Ok(false) => is_stale = true,
                    Err(error) if error.is_damage() => {}
                    Err(error) => return Err(error),
                }
            }
            let found = self.put_together(&rescue.patches, slot.slot, scratch)?;
            is_stale |= found.is_stale;
            match found.lost {
                // Whatever was there and is gone has moved elsewhere.
                None | Some(1..) if is_stale => self.forget_around(kind, slot.pack),
                None => return Err(damage),
                Some(lost) => {
                    scratch.lost = lost;
                    return Ok(());
                }
            }
        }
        Err(damage)
    }

    /// Whether patches have all of a slot, and all of it opens.
    pub(crate) fn is_in_patches(
        &self,
        pack: &PackRef,
        entry: &SlotEntry,
        scratch: &mut Scratch,
    ) -> Result<bool> {
        for _ in 1..ATTEMPTS_MAX {
            let rescue = self.look_around(pack.kind, pack.id)?;
            let found = self.put_together(&rescue.patches, entry.head.slot, scratch)?;
            if found.lost == Some(0) || !found.is_stale {
                return Ok(found.lost == Some(0));
            }
            self.forget_around(pack.kind, pack.id);
        }
        Ok(false)
    }

    /// The blocks of a slot that patches have, in `scratch.plain`.
    fn put_together(&self, patches: &[Patch], slot: u32, scratch: &mut Scratch) -> Result<Found> {
        let mut is_stale = false;
        let mut whole: Option<(Vec<u8>, u16)> = None;
        for patch in patches {
            let Some((entry, present)) = patch.slot(slot) else { continue };
            match self.read_entry(patch.index(), entry, usize::MAX, scratch) {
                Ok(true) => {}
                Ok(false) => {
                    is_stale = true;
                    continue;
                }
                Err(error) if error.is_damage() => continue,
                Err(error) => return Err(error),
            }
            if patch.index().pack().kind == PackKind::Meta {
                return Ok(Found { lost: Some(0), is_stale });
            }
            let of = usize::from(present.of);
            let all = u16::MAX >> (16 - of.clamp(1, 16));
            let (plain, lost) = whole.get_or_insert_with(|| (vec![0; of * BLOCK_BYTES], all));
            let places = (0..of).filter(|at| present.blocks >> at & 1 == 1);
            for (at, block) in places.zip(scratch.plain.chunks_exact(BLOCK_BYTES)) {
                if let Some(into) = plain.get_mut(at * BLOCK_BYTES..(at + 1) * BLOCK_BYTES) {
                    into.copy_from_slice(block);
                    *lost &= !(1 << at);
                }
            }
        }
        let lost = whole.map(|(plain, lost)| {
            scratch.plain.set_len(plain.len());
            scratch.plain.copy_from_slice(&plain);
            lost
        });
        Ok(Found { lost, is_stale })
    }

    /// The other generations and the patches of a pack that are sound.
    fn look_around(&self, kind: PackKind, id: PackId) -> Result<Arc<Rescue>> {
        let lock = || self.rescues.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&(kind, id)) {
            return Ok(Arc::clone(known));
        }
        let pack = self.pack(kind, id);
        let generations = self.generations(&pack)?.into_iter().rev();
        let generations =
            generations.map(|n| PackIndex::read(self.backend(), &pack, n, self.keys()));
        let patches = self.patches(&pack)?.into_iter();
        let patches = patches.map(|n| Patch::read(self.backend(), &pack, n, self.keys()));
        let rescue =
            Arc::new(Rescue { generations: sound(generations)?, patches: sound(patches)? });
        let mut rescues = lock();
        if rescues.len() >= PACKS_MAX {
            rescues.clear();
        }
        rescues.insert((kind, id), Arc::clone(&rescue));
        Ok(rescue)
    }

    /// The numbers of a pack's patches, in order.
    pub(crate) fn patches(&self, pack: &PackRef) -> Result<Vec<u32>> {
        let entries = self.backend().list_all(&place::patches(pack))?;
        let number = |key| match Place::parse(key) {
            Some(Place::Patch(found, number)) if found == *pack => Some(number),
            _ => None,
        };
        Ok(entries.iter().filter_map(|entry| number(&entry.key)).collect())
    }

    /// Forgets what was found around one damaged pack, because some of it is gone.
    fn forget_around(&self, kind: PackKind, id: PackId) {
        self.rescues.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(kind, id));
    }

    /// Forgets what was found around damaged packs, because there may be more now.
    pub(crate) fn look_again(&self) {
        self.rescues.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Those that are there and not damaged.
fn sound<T>(read: impl Iterator<Item = Result<Option<T>>>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    for one in read {
        match one {
            Ok(Some(one)) => all.push(one),
            Ok(None) => {}
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}
