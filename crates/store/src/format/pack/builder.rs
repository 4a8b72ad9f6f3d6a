//! Filling a pack.

use cbr_env::{Random, RandomExt};

use super::index::PackIndex;
use super::tables::{SlotEntry, check_slot, encode_identity, encode_layout};
use crate::backend::Key;
use crate::crypto::{BlockId, KeyRing, PackDek};
use crate::error::{Error, Result};
use crate::format::envelope::{Assembly, HEADER_BYTES, SectionType};
use crate::format::frame::Codec;
use crate::format::id::PackRef;
use crate::format::slot::{SLOT_OVERHEAD_BYTES, SlotHead, seal_slot};
use crate::format::{PACK_BLOCKS_MAX, PACK_BYTES_MAX, PACK_SLOTS_MAX, place};

/// Fills one materialisation of one logical pack.
pub struct PackBuilder {
    pack: PackRef,
    dek: PackDek,
    assembly: Assembly,
    body: Vec<u8>,
    slots: Vec<SlotEntry>,
    ids: Vec<BlockId>,
}

impl PackBuilder {
    /// A new logical pack with a key of its own.
    pub fn new(pack: PackRef, keys: &dyn KeyRing, random: &dyn Random) -> Self {
        Self::with_dek(pack, PackDek::generate(random), keys, random)
    }

    /// Another materialisation of a pack: slots are moved into it with [`PackBuilder::append_sealed`].
    pub fn with_dek(pack: PackRef, dek: PackDek, keys: &dyn KeyRing, random: &dyn Random) -> Self {
        let assembly = Assembly::new(pack.kind.object_kind(), keys, random.bytes());
        Self { pack, dek, assembly, body: Vec::new(), slots: Vec::new(), ids: Vec::new() }
    }

    /// A patch of a pack. Its slots are sealed anew, so it has a key of its own: two contents
    /// under one key and number would give both away.
    pub(super) fn patch(pack: PackRef, keys: &dyn KeyRing, random: &dyn Random) -> Self {
        let dek = PackDek::generate(random);
        let assembly = Assembly::new(pack.kind.patch_kind(), keys, random.bytes());
        Self { pack, dek, assembly, body: Vec::new(), slots: Vec::new(), ids: Vec::new() }
    }

    /// Uses `buffer` for the slots, so that its memory is reused.
    #[must_use]
    pub fn reusing(mut self, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        self.body = buffer;
        self
    }

    /// Which pack this is.
    pub const fn pack(&self) -> &PackRef {
        &self.pack
    }

    /// The key the slots are sealed with.
    pub const fn dek(&self) -> &PackDek {
        &self.dek
    }

    /// The number the next new slot gets.
    pub fn next_slot(&self) -> u32 {
        self.slots.last().map_or(0, |last| last.head.slot + 1)
    }

    /// Sealed bytes so far.
    pub const fn stored_bytes(&self) -> u64 {
        self.body.len() as u64
    }

    /// Whether there is no slot yet.
    pub const fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether the format allows one more slot of this size.
    pub fn has_room(&self, encoded_bytes: usize, blocks: usize) -> bool {
        let bytes = self.stored_bytes() + (encoded_bytes + SLOT_OVERHEAD_BYTES) as u64;
        self.slots.len() < PACK_SLOTS_MAX
            && self.ids.len() + blocks <= PACK_BLOCKS_MAX
            && bytes <= PACK_BYTES_MAX
    }

    /// Seals `encoded` as the next slot and returns it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the slot breaks the format's limits.
    pub fn append(
        &mut self,
        codec: Codec,
        plain_len: u32,
        encoded: &[u8],
        ids: &[BlockId],
    ) -> Result<SlotEntry> {
        self.append_at(SlotHead { slot: self.next_slot(), codec, plain_len }, encoded, ids)
    }

    /// As [`PackBuilder::append`], under a number above all numbers so far.
    pub(crate) fn append_at(
        &mut self,
        head: SlotHead,
        encoded: &[u8],
        ids: &[BlockId],
    ) -> Result<SlotEntry> {
        let entry = self.entry(head, encoded.len() + SLOT_OVERHEAD_BYTES, ids)?;
        let start = self.body.len();
        seal_slot(&self.dek, &self.pack, head, encoded, &mut self.body);
        self.assembly.absorb(&self.body[start..]);
        self.push(entry, ids);
        Ok(entry)
    }

    /// Takes a slot over as it is, with its number, which is above all numbers so far.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the slot breaks the format's limits.
    pub fn append_sealed(
        &mut self,
        head: SlotHead,
        sealed: &[u8],
        ids: &[BlockId],
    ) -> Result<SlotEntry> {
        let entry = self.entry(head, sealed.len(), ids)?;
        self.body.extend_from_slice(sealed);
        self.assembly.absorb(sealed);
        self.push(entry, ids);
        Ok(entry)
    }

    /// The object, to be put under the key of this generation.
    pub fn finish(self, generation: u32, keys: &dyn KeyRing) -> SealedPack {
        let key = place::pack(&self.pack, generation);
        self.finish_as(key, generation, None, keys)
    }

    /// The object, to be put under `key`; a patch also has the section *healed*.
    pub(super) fn finish_as(
        mut self,
        key: Key,
        generation: u32,
        healed: Option<Vec<u8>>,
        keys: &dyn KeyRing,
    ) -> SealedPack {
        let header = *self.assembly.header_bytes();
        self.assembly.close(SectionType::Slots);
        let tables = [
            (SectionType::Layout, encode_layout(&self.slots)),
            (SectionType::Identity, encode_identity(&self.slots, &self.ids)),
            (SectionType::Dek, self.dek.as_bytes().to_vec()),
        ];
        let healed = healed.map(|healed| (SectionType::Healed, healed));
        let mut tail = Vec::new();
        for (section, plain) in tables.into_iter().chain(healed) {
            let stored = self.assembly.protect(section, plain, &key, keys);
            self.assembly.add(section, &stored);
            tail.extend_from_slice(&stored);
        }
        tail.extend_from_slice(&self.assembly.finish());
        let index = PackIndex {
            pack: self.pack,
            key: key.clone(),
            generation,
            sealed_by: keys.sealing_id(),
            dek: self.dek,
            slots: self.slots,
            ids: self.ids,
        };
        SealedPack { key, header, body: self.body, tail, index }
    }

    fn entry(&self, head: SlotHead, stored: usize, ids: &[BlockId]) -> Result<SlotEntry> {
        let invalid = |what: &str| Error::Invalid { what: format!("slot: {what}") };
        if head.slot < self.next_slot() {
            return Err(invalid("its number is not above the last one"));
        }
        if !self.has_room(stored.saturating_sub(SLOT_OVERHEAD_BYTES), ids.len()) {
            return Err(invalid("the pack is full"));
        }
        let blocks = u16::try_from(ids.len()).map_err(|_| invalid("too many blocks"))?;
        let stored_bytes = u32::try_from(stored).map_err(|_| invalid("too long"))?;
        let first_id = u32::try_from(self.ids.len()).map_err(|_| invalid("the pack is full"))?;
        let offset = (HEADER_BYTES + self.body.len()) as u64;
        let entry = SlotEntry { head, offset, stored_bytes, first_id, blocks };
        check_slot(self.pack.kind, &entry).map_err(|wrong| invalid(wrong.0))?;
        Ok(entry)
    }

    fn push(&mut self, entry: SlotEntry, ids: &[BlockId]) {
        self.slots.push(entry);
        self.ids.extend_from_slice(ids);
    }
}

impl std::fmt::Debug for PackBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PackBuilder").field("pack", &self.pack).finish_non_exhaustive()
    }
}

/// A finished pack, not yet put.
#[derive(Debug)]
pub struct SealedPack {
    /// Where it belongs.
    pub key: Key,
    /// What its tables say.
    pub index: PackIndex,
    header: [u8; HEADER_BYTES],
    body: Vec<u8>,
    tail: Vec<u8>,
}

impl SealedPack {
    /// The object's bytes, in pieces for [`Backend::put_new`].
    pub fn parts(&self) -> [&[u8]; 3] {
        [&self.header, &self.body, &self.tail]
    }

    /// The object's size in bytes.
    pub const fn object_bytes(&self) -> u64 {
        (self.header.len() + self.body.len() + self.tail.len()) as u64
    }

    /// The sealed bytes of one of its slots.
    pub fn sealed_slot(&self, entry: &SlotEntry) -> Option<&[u8]> {
        let start = usize::try_from(entry.offset).ok()?.checked_sub(self.header.len())?;
        self.body.get(start..start + entry.stored_bytes as usize)
    }

    /// The big buffer, for [`PackBuilder::reusing`].
    pub fn into_buffer(self) -> Vec<u8> {
        self.body
    }
}
