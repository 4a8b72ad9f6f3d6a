//! Patches: what was lost of a pack's slots, stored again beside it.
//!
//! A patch is named by the pack it belongs to and has slots under the numbers of that pack's
//! slots, each with some or all of the slot's blocks. Its bytes are new, so it has a key of its
//! own; never are two contents sealed under one key and slot number. A pack may have many patches;
//! what is whole in the pack itself is read there (P5).
//!
//! Not here: what is put into a patch (`heal`), and when it is read (`packs`).

use cbr_env::Random;

use super::builder::{PackBuilder, SealedPack};
use super::index::{PackIndex, open_whole, read_end};
use super::tables::{SlotEntry, What};
use crate::backend::{Backend, Key};
use crate::crypto::{BlockId, KeyRing};
use crate::error::{Error, Result};
use crate::format::codec::{Decoded, Decoder, Encoder, Malformed};
use crate::format::frame::Codec;
use crate::format::id::{PackKind, PackRef};
use crate::format::record::TEXT_BYTES_MAX;
use crate::format::slot::SlotHead;
use crate::format::{FRAME_BLOCKS_MAX, place};

/// Which blocks of a slot a patch has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Present {
    /// Bit `i`: block `i` of the slot is here.
    pub blocks: u16,
    /// How many blocks the slot has.
    pub of: u8,
}

impl Present {
    fn is_sane(self, kind: PackKind, here: u16) -> bool {
        let of = usize::from(self.of);
        let max = if kind == PackKind::Data { FRAME_BLOCKS_MAX } else { 1 };
        (1..=max).contains(&of)
            && u32::from(self.blocks) >> of == 0
            && self.blocks.count_ones() == u32::from(here)
    }
}

/// The tables of a patch.
#[derive(Debug)]
pub struct Patch {
    index: PackIndex,
    by: String,
    present: Vec<Present>,
}

impl Patch {
    /// Reads the end of patch `number` of `pack`; `None` if it is not there.
    pub fn read(
        backend: &dyn Backend,
        pack: &PackRef,
        number: u32,
        keys: &dyn KeyRing,
    ) -> Result<Option<Self>> {
        let (key, kind) = (place::patch(pack, number), pack.kind.patch_kind());
        let what = What { pack, number, key: &key, kind };
        let Some((index, healed)) = read_end(backend, what, keys)? else { return Ok(None) };
        Self::decode(index, healed.as_deref().unwrap_or_default(), &key).map(Some)
    }

    /// Reads and checks a whole patch; the slots' own seals are the caller's to open.
    pub fn open(object: &[u8], pack: &PackRef, number: u32, keys: &dyn KeyRing) -> Result<Self> {
        let (key, kind) = (place::patch(pack, number), pack.kind.patch_kind());
        let what = What { pack, number, key: &key, kind };
        let (index, healed) = open_whole(object, what, keys)?;
        Self::decode(index, healed.as_deref().unwrap_or_default(), &key)
    }

    fn decode(index: PackIndex, healed: &[u8], key: &Key) -> Result<Self> {
        let (by, present) = decode(&index, healed).map_err(|e| Error::damaged(key, e.0))?;
        Ok(Self { index, by, present })
    }

    /// The tables a pack has too.
    pub const fn index(&self) -> &PackIndex {
        &self.index
    }

    /// Who wrote it.
    pub fn by(&self) -> &str {
        &self.by
    }

    /// What it has of a slot.
    pub fn slot(&self, number: u32) -> Option<(&SlotEntry, Present)> {
        let slots = self.index.slots();
        let at = slots.binary_search_by_key(&number, |entry| entry.head.slot).ok()?;
        Some((slots.get(at)?, *self.present.get(at)?))
    }
}

fn decode(index: &PackIndex, healed: &[u8]) -> Decoded<(String, Vec<Present>)> {
    let mut from = Decoder::new(healed);
    let by = from.text(TEXT_BYTES_MAX)?.to_owned();
    let mut present = Vec::with_capacity(index.slots().len());
    for entry in index.slots() {
        let one = Present { blocks: from.u16()?, of: from.u8()? };
        if !one.is_sane(index.pack().kind, entry.blocks) {
            return Err(Malformed("a healed slot has other blocks than it says"));
        }
        present.push(one);
    }
    from.finish()?;
    Ok((by, present))
}

/// Fills one patch of one pack.
#[derive(Debug)]
pub struct PatchBuilder {
    inner: PackBuilder,
    by: String,
    present: Vec<Present>,
}

impl PatchBuilder {
    /// An empty patch of `pack`, written by `by`.
    pub fn new(pack: PackRef, by: &str, keys: &dyn KeyRing, random: &dyn Random) -> Self {
        let inner = PackBuilder::patch(pack, keys, random);
        Self { inner, by: by.to_owned(), present: Vec::new() }
    }

    /// Sealed bytes so far.
    pub const fn stored_bytes(&self) -> u64 {
        self.inner.stored_bytes()
    }

    /// Seals `encoded`, the blocks `present` of slot `slot`, which is above all slots so far.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it breaks the format's limits.
    pub fn append(
        &mut self,
        (slot, present): (u32, Present),
        codec: Codec,
        (plain_len, encoded): (u32, &[u8]),
        ids: &[BlockId],
    ) -> Result<SlotEntry> {
        let here = u16::try_from(ids.len()).unwrap_or(u16::MAX);
        if !present.is_sane(self.inner.pack().kind, here) {
            return Err(Error::Invalid { what: "a patch of blocks a slot has not".to_owned() });
        }
        let entry = self.inner.append_at(SlotHead { slot, codec, plain_len }, encoded, ids)?;
        self.present.push(present);
        Ok(entry)
    }

    /// The object, to be put under the key of this number.
    pub fn finish(self, number: u32, keys: &dyn KeyRing) -> SealedPack {
        let mut healed = Encoder::new();
        healed.bytes(self.by.as_bytes());
        for present in &self.present {
            healed.u16(present.blocks);
            healed.u8(present.of);
        }
        let key = place::patch(self.inner.pack(), number);
        self.inner.finish_as(key, number, Some(healed.into_bytes()), keys)
    }
}
