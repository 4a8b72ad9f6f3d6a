//! Packs that are damaged around their slots: what is sound is moved to the next generation (R6).
//!
//! The damaged object stays. Which generation a repair wrote is told by a *marker*, a patch
//! without slots, so that it can be undone; the marker is put first.

use zeroize::Zeroizing;

use super::spot::Spot;
use crate::backend::{BackendExt, Decided, Key};
use crate::crypto::{BlockHasher, PackDek, SealingAs};
use crate::error::{Error, Result};
use crate::format::envelope::hash128_of;
use crate::format::id::PackRef;
use crate::format::pack::{PackBuilder, PackIndex, Patch, PatchBuilder, SealedPack, salvage};
use crate::format::place;
use crate::packs::{Packs, Scratch};
use crate::size::to_usize;
use cbr_env::Random;

/// How many numbers are tried for a marker.
const NUMBERS_MAX: u32 = 64;

/// A pack of which a new generation can be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rewrite {
    pub(super) pack: PackRef,
    /// The damaged generation.
    generation: u32,
    /// How many of its slots are sound.
    slots: usize,
}

/// What a damaged object still has.
struct Remains {
    object: Vec<u8>,
    index: PackIndex,
    sound: Vec<u32>,
}

impl Rewrite {
    /// Whether the newest generation of a pack is damaged around its slots, and some are sound.
    pub(super) fn of(
        packs: &Packs,
        hasher: &BlockHasher,
        pack: &PackRef,
        scratch: &mut Scratch,
    ) -> Result<Option<Self>> {
        let Some(generation) = packs.generations(pack)?.last().copied() else { return Ok(None) };
        let remains = remains(packs, hasher, (pack, generation), scratch)?;
        let rewrite = |remains: Remains| {
            let slots = remains.sound.len();
            Self { pack: *pack, generation, slots }
        };
        Ok(remains.map(rewrite))
    }

    pub(super) const fn spot(&self) -> Spot {
        Spot { kind: self.pack.kind, pack: self.pack.id, slot: None }
    }

    /// Writes the next generation; the number of objects written.
    pub(super) fn carry_out(
        &self,
        packs: &Packs,
        (hasher, random): (&BlockHasher, &dyn Random),
        by: &str,
    ) -> Result<u64> {
        let mut scratch = Scratch::new()?;
        let (pack, generation) = (&self.pack, self.generation);
        // Somebody else was faster, or it is not there any more.
        if packs.generations(pack)?.last() != Some(&generation) {
            return Ok(0);
        }
        let Some(remains) = remains(packs, hasher, (pack, generation), &mut scratch)? else {
            return Ok(0);
        };
        let sealed = seal(packs, random, &remains)?;
        prove(&sealed, &remains.sound, &mut scratch)?;
        let by = Marker::of(&sealed).text(by);
        let marker = put_marker(packs, random, pack, &by)?;
        match packs.backend().put_decided(&sealed.key, &sealed.parts())? {
            Decided::Ours => {
                tracing::warn!(pack = %sealed.key, "a damaged pack has a new generation");
                packs.forget(pack.kind, pack.id);
                packs.look_again();
                Ok(2)
            }
            // It says nothing about the object of somebody else; there it must not stay.
            Decided::Other(_) => {
                packs.backend().delete(&marker)?;
                Ok(0)
            }
        }
    }
}

/// What is left of an object, if it is damaged and not only in its slots.
fn remains(
    packs: &Packs,
    hasher: &BlockHasher,
    (pack, generation): (&PackRef, u32),
    scratch: &mut Scratch,
) -> Result<Option<Remains>> {
    let object = match packs.backend().get(&place::pack(pack, generation)) {
        Ok(Some(object)) => object,
        Ok(None) => return Ok(None),
        Err(error) if error.is_damage() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match PackIndex::open(&object, pack, generation, packs.keys()) {
        Ok(_) => return Ok(None),
        Err(error) if error.is_damage() => {}
        Err(error) => return Err(error),
    }
    let readable = match PackIndex::read(packs.backend(), pack, generation, packs.keys()) {
        Ok(index) => index,
        Err(error) if error.is_damage() => None,
        Err(error) => return Err(error),
    };
    let has_tables = readable.is_some();
    let index = match readable {
        Some(index) => index,
        None => match salvage(&object, pack, generation, (packs.keys(), hasher))? {
            Some(index) => index,
            None => return Ok(None),
        },
    };
    let mut sound = Vec::new();
    for entry in index.slots() {
        let start = to_usize(entry.offset);
        let sealed = object.get(start..start.saturating_add(entry.stored_bytes as usize));
        if sealed.is_some_and(|sealed| scratch.open(&index, entry, sealed).is_ok()) {
            sound.push(entry.head.slot);
        }
    }
    // If its tables can be read, damaged slots are all that is wrong: patches mend them.
    let is_only_slots = has_tables && sound.len() < index.slots().len();
    Ok((!sound.is_empty() && !is_only_slots).then_some(Remains { object, index, sound }))
}

/// The next generation: every slot as it lies there, under its number. A damaged one comes along
/// because its identity does, by which it can be healed later.
fn seal(packs: &Packs, random: &dyn Random, remains: &Remains) -> Result<SealedPack> {
    let Remains { object, index, .. } = remains;
    let dek = PackDek::from_bytes(Zeroizing::new(*index.dek().as_bytes()));
    // A data key that was sealed with an older key of the tenant stays with that one.
    let keys = SealingAs { keys: packs.keys(), id: index.sealed_by() };
    let mut builder = PackBuilder::with_dek(*index.pack(), dek, &keys, random);
    for entry in index.slots() {
        let start = to_usize(entry.offset);
        let sealed = object.get(start..start.saturating_add(entry.stored_bytes as usize));
        if let Some(sealed) = sealed {
            builder.append_sealed(entry.head, sealed, index.ids(entry))?;
        }
    }
    let next = index.generation().checked_add(1).ok_or_else(|| Error::Invalid {
        what: format!("{} was rewritten too often", index.key()),
    })?;
    Ok(builder.finish(next, &keys))
}

/// P6: what is uploaded opens as it did.
fn prove(sealed: &SealedPack, sound: &[u32], scratch: &mut Scratch) -> Result<()> {
    let wrong = || Error::SelfCheck { what: format!("{} is sealed wrongly", sealed.key) };
    for slot in sound {
        let entry = sealed.index.slot(*slot).ok_or_else(wrong)?;
        let bytes = sealed.sealed_slot(entry).ok_or_else(wrong)?;
        scratch.open(&sealed.index, entry, bytes).map_err(|_| wrong())?;
    }
    Ok(())
}

/// Whether `patch` tells that a repair wrote this generation of its pack.
pub(crate) fn is_by_repair(patch: &Patch, generation: u32) -> bool {
    Marker::parse(patch).is_some_and(|(marker, _)| marker.generation == generation)
}

fn put_marker(packs: &Packs, random: &dyn Random, pack: &PackRef, by: &str) -> Result<Key> {
    let first = packs.patches(pack)?.last().map_or(0, |last| last.saturating_add(1));
    for number in first..first.saturating_add(NUMBERS_MAX) {
        let marker = PatchBuilder::new(*pack, by, packs.keys(), random);
        let marker = marker.finish(number, packs.keys());
        if let Decided::Ours = packs.backend().put_decided(&marker.key, &marker.parts())? {
            return Ok(marker.key);
        }
    }
    Err(Error::ChainBusy { owner: "others who heal the same pack".to_owned() })
}

/// Which object a marker means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Marker {
    generation: u32,
    /// Of the object's bytes, so that no other object of that name is taken for it.
    hash: String,
}

impl Marker {
    fn of(sealed: &SealedPack) -> Self {
        let hash = hex::encode(hash128_of(&sealed.parts()));
        Self { generation: sealed.index.generation(), hash }
    }

    fn text(&self, by: &str) -> String {
        format!("generation {:08x} {} by {by}", self.generation, self.hash)
    }

    /// What the text of a patch says, if it is a marker: also who wrote it.
    pub(super) fn parse(patch: &Patch) -> Option<(Self, &str)> {
        let (generation, rest) = patch.by().strip_prefix("generation ")?.split_once(' ')?;
        let (hash, by) = rest.split_once(" by ")?;
        let generation = u32::from_str_radix(generation, 16).ok()?;
        Some((Self { generation, hash: hash.to_owned() }, by))
    }

    /// The generation's key if it is there, is the one that was written, and is not all there is
    /// of the pack.
    pub(super) fn object(&self, packs: &Packs, pack: &PackRef) -> Result<Option<Key>> {
        let key = place::pack(pack, self.generation);
        let generations = packs.generations(pack)?;
        if generations.len() < 2 || !generations.contains(&self.generation) {
            return Ok(None);
        }
        let object = match packs.backend().get(&key) {
            Ok(object) => object,
            Err(error) if error.is_damage() => None,
            Err(error) => return Err(error.into()),
        };
        let is_it = object.is_some_and(|object| hex::encode(hash128_of(&[&object])) == self.hash);
        Ok(is_it.then_some(key))
    }
}
