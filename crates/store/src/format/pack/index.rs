//! Reading the tables of a pack, from its end or from the whole object.

use super::tables::{SlotEntry, TABLES_BYTES_MAX, Tables, What};
use crate::backend::{Backend, Key};
use crate::crypto::{BlockId, KeyRing, PackDek};
use crate::error::{Error, Result};
use crate::format::envelope::{FOOTER_BYTES_MAX, Reader, SectionType, Tail};
use crate::format::id::PackRef;
use crate::format::place;

/// How much of a pack's end is read first: its tables are rarely longer.
const TAIL_READ_BYTES: u64 = 128 * 1024;

/// The tables of one materialisation of a pack.
#[derive(Debug)]
pub struct PackIndex {
    pub(super) pack: PackRef,
    pub(super) key: Key,
    pub(super) generation: u32,
    pub(super) sealed_by: u32,
    pub(super) dek: PackDek,
    pub(super) slots: Vec<SlotEntry>,
    pub(super) ids: Vec<BlockId>,
}

impl PackIndex {
    /// Reads the end of a pack; `None` if that generation is not there.
    pub fn read(
        backend: &dyn Backend,
        pack: &PackRef,
        generation: u32,
        keys: &dyn KeyRing,
    ) -> Result<Option<Self>> {
        let (key, kind) = (place::pack(pack, generation), pack.kind.object_kind());
        let what = What { pack, number: generation, key: &key, kind };
        Ok(read_end(backend, what, keys)?.map(|(index, _)| index))
    }

    /// Reads and checks a whole object; the slots' own seals are the caller's to open.
    pub fn open(
        object: &[u8],
        pack: &PackRef,
        generation: u32,
        keys: &dyn KeyRing,
    ) -> Result<Self> {
        let (key, kind) = (place::pack(pack, generation), pack.kind.object_kind());
        let what = What { pack, number: generation, key: &key, kind };
        open_whole(object, what, keys).map(|(index, _)| index)
    }

    /// Which pack this is.
    pub const fn pack(&self) -> &PackRef {
        &self.pack
    }

    /// Which materialisation.
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// The number of the tenant's key that the object is sealed with.
    ///
    /// Its data key was never sealed with an earlier one: who rewrites a pack under a newer key of the
    /// tenant gives it a new data key.
    pub const fn sealed_by(&self) -> u32 {
        self.sealed_by
    }

    /// The object's key.
    pub fn key(&self) -> Key {
        self.key.clone()
    }

    /// The key of the slots.
    pub const fn dek(&self) -> &PackDek {
        &self.dek
    }

    /// The key of the slots, for [`super::PackBuilder::with_dek`].
    pub fn into_dek(self) -> PackDek {
        self.dek
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

/// The section *healed*, which only patches have.
type Healed = Option<Vec<u8>>;

/// Reads the end of an object; `None` if it is not there.
pub(super) fn read_end(
    backend: &dyn Backend,
    what: What<'_>,
    keys: &dyn KeyRing,
) -> Result<Option<(PackIndex, Healed)>> {
    let key = what.key;
    let Some(object_bytes) = backend.size(key)? else { return Ok(None) };
    let mut suffix = Suffix { backend, key, object_bytes, bytes: Vec::new() };
    if !suffix.extend(object_bytes.saturating_sub(TAIL_READ_BYTES.max(FOOTER_BYTES_MAX as u64)))? {
        return Ok(None);
    }
    let tail = Tail::read(object_bytes, &suffix.bytes, what.kind, key, keys)?;
    let layout = tail.find(SectionType::Layout).map_err(|e| Error::damaged(key, e.0))?;
    if !suffix.extend(layout.offset)? {
        return Ok(None);
    }
    let section = |section| {
        let listed = tail.find(section).map_err(|e| Error::damaged(key, e.0))?;
        let stored = suffix.section(listed.offset, listed.length);
        let stored = stored.ok_or_else(|| Error::damaged(key, "a table is misplaced"))?;
        tail.open_section(section, stored, key, keys)
    };
    let slots = tail.find(SectionType::Slots).map_err(|e| Error::damaged(key, e.0))?;
    decode(what, (slots.length, tail.key_id()), section).map(Some)
}

/// Checks a whole object and decodes its tables.
pub(super) fn open_whole(
    object: &[u8],
    what: What<'_>,
    keys: &dyn KeyRing,
) -> Result<(PackIndex, Healed)> {
    let reader = Reader::open(object, what.kind, what.key, keys)?;
    let slots = reader.stored(SectionType::Slots).map_err(|e| Error::damaged(what.key, e.0))?;
    let slots = (slots.len() as u64, reader.key_id());
    decode(what, slots, |section| reader.section(section, what.key, keys))
}

fn decode(
    what: What<'_>,
    (slots_bytes, sealed_by): (u64, u32),
    section: impl Fn(SectionType) -> Result<Vec<u8>>,
) -> Result<(PackIndex, Healed)> {
    let is_patch = what.kind == what.pack.kind.patch_kind();
    let healed = if is_patch { Some(section(SectionType::Healed)?) } else { None };
    let tables = Tables {
        layout: section(SectionType::Layout)?,
        identity: section(SectionType::Identity)?,
        dek: section(SectionType::Dek)?,
        sealed_by,
    };
    let index = tables.decode(what, slots_bytes).map_err(|e| Error::damaged(what.key, e.0))?;
    Ok((index, healed))
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
