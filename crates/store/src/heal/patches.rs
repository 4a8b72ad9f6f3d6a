//! Writing patches: what was recovered of slots, gathered by pack, proven and put.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use cbr_env::Random;

use crate::backend::{BackendExt, Decided};
use crate::crypto::BlockHasher;
use crate::error::{Error, Result};
use crate::format::BLOCK_BYTES;
use crate::format::id::{PackId, PackKind, PackRef};
use crate::format::pack::{Patch, PatchBuilder, Present};
use crate::format::place;
use crate::format::slot::open_slot;
use crate::packs::{Packs, Scratch};
use crate::write::encoder::ProvingEncoder;

/// What is gathered before it is written.
const GATHERED_BYTES_MAX: usize = 16 << 20;
/// How many numbers are tried when others write patches of the same pack.
const NUMBERS_MAX: u32 = 64;
/// Damaged things are few and small; space matters little.
const ZSTD_LEVEL: i32 = 3;

/// A slot of a pack.
type Name = (PackKind, PackId, u32);

/// Recovered content on its way into patches.
pub(crate) struct Patches<'a> {
    packs: &'a Packs,
    hasher: &'a BlockHasher,
    random: &'a dyn Random,
    /// Who writes; what an undo goes by.
    by: String,
    gathered: Mutex<Gathered>,
}

#[derive(Default)]
struct Gathered {
    slots: BTreeMap<Name, Slot>,
    bytes: usize,
    healed_blocks: u64,
    patches: u64,
}

/// Blocks of one slot, by their place in it, or one node.
#[derive(Default)]
struct Slot {
    of: u8,
    blocks: BTreeMap<u8, Vec<u8>>,
}

/// What was written.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Healed {
    pub(crate) blocks: u64,
    pub(crate) patches: u64,
}

impl<'a> Patches<'a> {
    pub(crate) fn new(
        packs: &'a Packs,
        hasher: &'a BlockHasher,
        random: &'a dyn Random,
        by: String,
    ) -> Self {
        Self { packs, hasher, random, by, gathered: Mutex::default() }
    }

    /// Takes block `index` of a slot of `of` blocks. Whoever calls has compared it with its id.
    pub(crate) fn add(&self, slot: Name, index: u8, of: u8, block: &[u8]) -> Result<()> {
        let mut gathered = self.lock();
        let entry = gathered.slots.entry(slot).or_default();
        entry.of = of;
        if entry.blocks.insert(index, block.to_vec()).is_none() {
            gathered.bytes += block.len();
            gathered.healed_blocks += 1;
        }
        if gathered.bytes < GATHERED_BYTES_MAX {
            return Ok(());
        }
        self.flush(&mut gathered)
    }

    /// Writes what is left; says what was written in all.
    pub(crate) fn finish(&self) -> Result<Healed> {
        let mut gathered = self.lock();
        self.flush(&mut gathered)?;
        Ok(Healed { blocks: gathered.healed_blocks, patches: gathered.patches })
    }

    fn flush(&self, gathered: &mut Gathered) -> Result<()> {
        let mut by_pack: BTreeMap<(PackKind, PackId), BTreeMap<u32, Slot>> = BTreeMap::new();
        for ((kind, pack, slot), found) in std::mem::take(&mut gathered.slots) {
            by_pack.entry((kind, pack)).or_default().insert(slot, found);
        }
        gathered.bytes = 0;
        for ((kind, pack), slots) in by_pack {
            self.write(kind, pack, &slots)?;
            gathered.patches += 1;
        }
        self.packs.look_again();
        Ok(())
    }

    fn write(&self, kind: PackKind, id: PackId, slots: &BTreeMap<u32, Slot>) -> Result<()> {
        let pack = self.packs.pack(kind, id);
        let first = self.packs.patches(&pack)?.last().map_or(0, |last| last.saturating_add(1));
        for number in first..first.saturating_add(NUMBERS_MAX) {
            let sealed = self.seal(kind, id, slots, number)?;
            match self.packs.backend().put_decided(&sealed.key, &sealed.parts())? {
                Decided::Ours => {
                    tracing::warn!(patch = %sealed.key, by = self.by, "damaged blocks are healed");
                    return Ok(());
                }
                // Somebody else heals the same pack; both patches are right.
                Decided::Other(_) => {}
            }
        }
        Err(Error::ChainBusy { owner: "others who heal the same pack".to_owned() })
    }

    fn seal(
        &self,
        kind: PackKind,
        id: PackId,
        slots: &BTreeMap<u32, Slot>,
        number: u32,
    ) -> Result<crate::format::pack::SealedPack> {
        let (pack, keys) = (self.packs.pack(kind, id), self.packs.keys());
        let mut builder = PatchBuilder::new(pack, &self.by, keys, self.random);
        let mut encoder = ProvingEncoder::new(ZSTD_LEVEL)?;
        let mut expected = Vec::with_capacity(slots.len());
        for (slot, Slot { of, blocks }) in slots {
            let ids: Vec<_> = blocks.values().map(|block| self.hasher.id(block)).collect();
            let present =
                Present { blocks: blocks.keys().fold(0, |bits, at| bits | 1 << at), of: *of };
            let plain = blocks.values().flatten().copied().collect::<Vec<u8>>();
            let plain_len = u32::try_from(plain.len())
                .map_err(|_| Error::Invalid { what: "a slot that is too long".to_owned() })?;
            let proven = encoder.encode(&plain)?;
            let content = (plain_len, proven.encoded);
            builder.append((*slot, present), proven.codec, content, &ids)?;
            expected.push(proven.encoded.to_vec());
        }
        let sealed = builder.finish(number, keys);
        // P6: what is uploaded opens again to what went in.
        let mut opened = Vec::new();
        for (entry, expected) in sealed.index.slots().iter().zip(&expected) {
            let wrong = || Error::SelfCheck { what: format!("{} is sealed wrongly", sealed.key) };
            let bytes = sealed.sealed_slot(entry).ok_or_else(wrong)?;
            open_slot(sealed.index.dek(), sealed.index.pack(), entry.head, bytes, &mut opened)
                .map_err(|_| wrong())?;
            if opened != *expected {
                return Err(wrong());
            }
        }
        Ok(sealed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a patch anew under the newest key of the tenant, and removes it; false if it is damaged.
pub(crate) fn reseal_patch(
    packs: &Packs,
    (hasher, random): (&BlockHasher, &dyn Random),
    (pack, number): (&PackRef, u32),
) -> Result<bool> {
    let Some(patch) = Patch::read(packs.backend(), pack, number, packs.keys())? else {
        return Ok(true);
    };
    let patches = Patches::new(packs, hasher, random, patch.by().to_owned());
    let (mut scratch, mut sealed) = (Scratch::new()?, Vec::new());
    for entry in patch.index().slots() {
        let slot = entry.head.slot;
        let Some((_, present)) = patch.slot(slot) else { continue };
        let length = u64::from(entry.stored_bytes);
        if packs.read_range(patch.index(), entry.offset, length, &mut sealed)?.is_none() {
            return Ok(true);
        }
        match scratch.open(patch.index(), entry, &sealed) {
            Err(error) if error.is_damage() => return Ok(false),
            opened => opened?,
        }
        let name = (pack.kind, pack.id, slot);
        if pack.kind == PackKind::Meta {
            patches.add(name, 0, present.of, &scratch.plain)?;
            continue;
        }
        let places = (0..present.of).filter(|at| present.blocks >> at & 1 == 1);
        for (at, block) in places.zip(scratch.plain.chunks_exact(BLOCK_BYTES)) {
            patches.add(name, at, present.of, block)?;
        }
    }
    patches.finish()?;
    packs.backend().delete(&place::patch(pack, number))?;
    Ok(true)
}

/// The number of blocks of a slot, as a patch counts them.
pub(super) fn slot_blocks(kind: PackKind, plain_len: u32) -> u8 {
    match kind {
        PackKind::Data => u8::try_from(plain_len as usize / BLOCK_BYTES).unwrap_or(u8::MAX),
        PackKind::Meta => 1,
    }
}
