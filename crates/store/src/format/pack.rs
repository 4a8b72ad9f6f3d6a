//! Packs: many sealed slots in one object, with tables at its end.

use cbr_env::{Random, RandomExt};
use zeroize::Zeroizing;

use super::codec::{Decoded, Decoder, Encoder, Malformed};
use super::envelope::{Assembly, FOOTER_BYTES_MAX, ObjectKind, Reader, SectionType, Tail};
use super::frame::Codec;
use super::id::{PackKind, PackRef};
use super::slot::{SLOT_OVERHEAD_BYTES, SlotHead, seal_slot};
use super::{
    BLOCK_BYTES, FRAME_BLOCKS_MAX, PACK_BLOCKS_MAX, PACK_BYTES_MAX, PACK_SLOTS_MAX,
    SLOT_PLAIN_BYTES_MAX, place,
};
use crate::backend::{Backend, Key};
use crate::crypto::{BlockId, KeyRing, PackDek};
use crate::error::{Error, Result};

/// How much of a pack's end is read first: its tables are rarely longer.
const TAIL_READ_BYTES: u64 = 128 * 1024;

impl PackKind {
    const fn object_kind(self) -> ObjectKind {
        match self {
            Self::Data => ObjectKind::DataPack,
            Self::Meta => ObjectKind::MetaPack,
        }
    }
}

/// A slot as the tables of its pack describe it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotEntry {
    /// Number, codec and plain length.
    pub head: SlotHead,
    /// Where the sealed bytes begin in the object.
    pub offset: u64,
    /// How many sealed bytes there are.
    pub stored_bytes: u32,
    /// Where the ids of its blocks begin in the pack's list.
    first_id: u32,
    /// How many blocks (1 in metadata packs).
    pub blocks: u16,
}

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
        let head = SlotHead { slot: self.next_slot(), codec, plain_len };
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
    pub fn finish(mut self, generation: u32, keys: &dyn KeyRing) -> SealedPack {
        let key = place::pack(&self.pack, generation);
        let header = *self.assembly.header_bytes();
        self.assembly.close(SectionType::Slots);
        let tables = [
            (SectionType::Layout, encode_layout(&self.slots)),
            (SectionType::Identity, encode_identity(&self.slots, &self.ids)),
            (SectionType::Dek, self.dek.as_bytes().to_vec()),
        ];
        let mut tail = Vec::new();
        for (section, plain) in tables {
            let stored = self.assembly.protect(section, plain, &key, keys);
            self.assembly.add(section, &stored);
            tail.extend_from_slice(&stored);
        }
        tail.extend_from_slice(&self.assembly.finish());
        let index = PackIndex {
            pack: self.pack,
            generation,
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
        let offset = (super::header::HEADER_BYTES + self.body.len()) as u64;
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
    header: [u8; super::header::HEADER_BYTES],
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

/// The tables of one materialisation of a pack.
#[derive(Debug)]
pub struct PackIndex {
    pack: PackRef,
    generation: u32,
    dek: PackDek,
    slots: Vec<SlotEntry>,
    ids: Vec<BlockId>,
}

impl PackIndex {
    /// Reads the end of a pack; `None` if that generation is not there.
    pub fn read(
        backend: &dyn Backend,
        pack: &PackRef,
        generation: u32,
        keys: &dyn KeyRing,
    ) -> Result<Option<Self>> {
        let key = place::pack(pack, generation);
        let Some(object_bytes) = backend.size(&key)? else { return Ok(None) };
        let mut suffix = Suffix { backend, key: &key, object_bytes, bytes: Vec::new() };
        if !suffix
            .extend(object_bytes.saturating_sub(TAIL_READ_BYTES.max(FOOTER_BYTES_MAX as u64)))?
        {
            return Ok(None);
        }
        let tail = Tail::read(object_bytes, &suffix.bytes, pack.kind.object_kind(), &key, keys)?;
        let layout = tail.find(SectionType::Layout).map_err(|e| Error::damaged(&key, e.0))?;
        if !suffix.extend(layout.offset)? {
            return Ok(None);
        }
        let section = |section| {
            let listed = tail.find(section).map_err(|e| Error::damaged(&key, e.0))?;
            let stored = suffix.section(listed.offset, listed.length);
            let stored = stored.ok_or_else(|| Error::damaged(&key, "a table is misplaced"))?;
            tail.open_section(section, stored, &key, keys)
        };
        let tables = Tables {
            layout: section(SectionType::Layout)?,
            identity: section(SectionType::Identity)?,
            dek: section(SectionType::Dek)?,
        };
        let slots = tail.find(SectionType::Slots).map_err(|e| Error::damaged(&key, e.0))?;
        tables
            .decode(pack, generation, slots.length)
            .map(Some)
            .map_err(|e| Error::damaged(&key, e.0))
    }

    /// Reads and checks a whole object; the slots' own seals are the caller's to open.
    pub fn open(
        object: &[u8],
        pack: &PackRef,
        generation: u32,
        keys: &dyn KeyRing,
    ) -> Result<Self> {
        let key = place::pack(pack, generation);
        let reader = Reader::open(object, pack.kind.object_kind(), &key, keys)?;
        let tables = Tables {
            layout: reader.section(SectionType::Layout, &key, keys)?,
            identity: reader.section(SectionType::Identity, &key, keys)?,
            dek: reader.section(SectionType::Dek, &key, keys)?,
        };
        let slots = reader.stored(SectionType::Slots).map_err(|e| Error::damaged(&key, e.0))?;
        tables.decode(pack, generation, slots.len() as u64).map_err(|e| Error::damaged(&key, e.0))
    }

    /// Which pack this is.
    pub const fn pack(&self) -> &PackRef {
        &self.pack
    }

    /// Which materialisation.
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// The object's key.
    pub fn key(&self) -> Key {
        place::pack(&self.pack, self.generation)
    }

    /// The key of the slots.
    pub const fn dek(&self) -> &PackDek {
        &self.dek
    }

    /// All slots that this materialisation has, by number.
    pub fn slots(&self) -> &[SlotEntry] {
        &self.slots
    }

    /// A slot by its number.
    pub fn slot(&self, number: u32) -> Option<&SlotEntry> {
        let at = self.slots.binary_search_by_key(&number, |entry| entry.head.slot).ok()?;
        self.slots.get(at)
    }

    /// The ids of a slot's blocks, in order.
    pub fn ids(&self, entry: &SlotEntry) -> &[BlockId] {
        let start = entry.first_id as usize;
        self.ids.get(start..start + usize::from(entry.blocks)).unwrap_or_default()
    }
}

/// The end of an object, read piece by piece towards its beginning.
struct Suffix<'a> {
    backend: &'a dyn Backend,
    key: &'a Key,
    object_bytes: u64,
    bytes: Vec<u8>,
}

impl Suffix<'_> {
    /// Makes the suffix begin at `start` or before; false if the object has vanished.
    fn extend(&mut self, start: u64) -> Result<bool> {
        let have = self.object_bytes - self.bytes.len() as u64;
        let Some(more) = have.checked_sub(start) else { return Ok(true) };
        let more = usize::try_from(more).ok().filter(|more| *more <= TABLES_BYTES_MAX);
        let more = more.ok_or_else(|| Error::damaged(self.key, "its tables are too long"))?;
        let mut bytes = vec![0; more];
        if self.backend.get_range(self.key, start, &mut bytes)?.is_none() {
            return Ok(false);
        }
        bytes.extend_from_slice(&self.bytes);
        self.bytes = bytes;
        Ok(true)
    }

    fn section(&self, offset: u64, length: u64) -> Option<&[u8]> {
        let skipped = self.object_bytes - self.bytes.len() as u64;
        let start = usize::try_from(offset.checked_sub(skipped)?).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        self.bytes.get(start..end)
    }
}

/// No tables within the format's limits are longer, all together.
const TABLES_BYTES_MAX: usize = PACK_SLOTS_MAX * 24 + PACK_BLOCKS_MAX * 32 + 64 * 1024;

/// The opened tables, not yet decoded.
struct Tables {
    layout: Vec<u8>,
    identity: Vec<u8>,
    dek: Vec<u8>,
}

impl Tables {
    fn decode(self, pack: &PackRef, generation: u32, slots_bytes: u64) -> Decoded<PackIndex> {
        let dek = Zeroizing::new(self.dek);
        let dek: [u8; 32] =
            dek.as_slice().try_into().map_err(|_| Malformed("the data key's length is wrong"))?;
        let dek = PackDek::from_bytes(Zeroizing::new(dek));
        let mut slots = decode_layout(&self.layout)?;
        let ids = decode_identity(&self.identity, &mut slots)?;
        for entry in &slots {
            check_slot(pack.kind, entry)?;
        }
        let end = slots.last().map_or(0, |e| e.offset + u64::from(e.stored_bytes) - HEADER);
        if end != slots_bytes {
            return Err(Malformed("the slots do not fill their section"));
        }
        Ok(PackIndex { pack: *pack, generation, dek, slots, ids })
    }
}

const HEADER: u64 = super::header::HEADER_BYTES as u64;

fn encode_layout(slots: &[SlotEntry]) -> Vec<u8> {
    let mut to = Encoder::new();
    to.count(slots.len());
    let mut next = 0;
    for entry in slots {
        to.varint(u64::from(entry.head.slot - next));
        to.varint(entry.stored_bytes.into());
        to.varint(entry.blocks.into());
        next = entry.head.slot + 1;
    }
    to.into_bytes()
}

fn decode_layout(bytes: &[u8]) -> Decoded<Vec<SlotEntry>> {
    let mut from = Decoder::new(bytes);
    let count = from.count(PACK_SLOTS_MAX, 3)?;
    let mut slots = Vec::with_capacity(count);
    let (mut next, mut offset, mut first_id) = (0u32, HEADER, 0u32);
    for _ in 0..count {
        let slot =
            from.varint_u32()?.checked_add(next).ok_or(Malformed("slot number too large"))?;
        let stored_bytes = from.varint_u32()?;
        let blocks = u16::try_from(from.varint()?).map_err(|_| Malformed("too many blocks"))?;
        let head = SlotHead { slot, codec: Codec::None, plain_len: 0 };
        slots.push(SlotEntry { head, offset, stored_bytes, first_id, blocks });
        if slot as usize >= PACK_SLOTS_MAX {
            return Err(Malformed("a slot's number is too large"));
        }
        next = slot + 1;
        offset += u64::from(stored_bytes);
        first_id += u32::from(blocks);
        if first_id as usize > PACK_BLOCKS_MAX || offset > HEADER + PACK_BYTES_MAX {
            return Err(Malformed("the pack is too large"));
        }
    }
    from.finish()?;
    Ok(slots)
}

fn encode_identity(slots: &[SlotEntry], ids: &[BlockId]) -> Vec<u8> {
    let mut to = Encoder::onto(Vec::with_capacity(slots.len() * 5 + ids.len() * 32 + 8));
    for entry in slots {
        to.u8(entry.head.codec as u8);
        to.varint(entry.head.plain_len.into());
    }
    for id in ids {
        to.raw(&id.0);
    }
    to.into_bytes()
}

fn decode_identity(bytes: &[u8], slots: &mut [SlotEntry]) -> Decoded<Vec<BlockId>> {
    let mut from = Decoder::new(bytes);
    let mut blocks = 0;
    for entry in &mut *slots {
        entry.head.codec = Codec::from_tag(from.u8()?)?;
        entry.head.plain_len = from.varint_u32()?;
        blocks += usize::from(entry.blocks);
    }
    let ids = from.raw(blocks * 32)?;
    from.finish()?;
    Ok(ids.as_chunks::<32>().0.iter().map(|id| BlockId(*id)).collect())
}

/// The rules a slot of a pack of this kind keeps.
fn check_slot(kind: PackKind, entry: &SlotEntry) -> Decoded<()> {
    let (blocks, plain) = (usize::from(entry.blocks), entry.head.plain_len as usize);
    let is_sane = match kind {
        PackKind::Data => (1..=FRAME_BLOCKS_MAX).contains(&blocks) && plain == blocks * BLOCK_BYTES,
        PackKind::Meta => blocks == 1 && (1..=SLOT_PLAIN_BYTES_MAX).contains(&plain),
    };
    if !is_sane || entry.head.slot as usize >= PACK_SLOTS_MAX {
        return Err(Malformed("a slot is outside the limits"));
    }
    let stored = entry.stored_bytes as usize;
    let fits = match entry.head.codec {
        Codec::None => stored == plain + SLOT_OVERHEAD_BYTES,
        Codec::Zstd => (SLOT_OVERHEAD_BYTES + 1..plain + SLOT_OVERHEAD_BYTES).contains(&stored),
    };
    if fits { Ok(()) } else { Err(Malformed("a slot's stored size cannot be")) }
}
