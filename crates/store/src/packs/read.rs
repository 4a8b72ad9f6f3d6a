//! Reading packs: which object holds a logical pack, its tables, its slots.
//!
//! A pointer names a logical pack; compaction moves its slots to a new object (a new generation)
//! and removes the old one. So a reader that finds an object gone looks for another generation
//! and tries again; only when there is none is the pack missing.
//!
//! Tables are kept in a cache of bounded size. What a pack has lost is looked for elsewhere
//! (`rescue.rs`).

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use cbr_directio::PageBuffer;

use super::rescue::Rescues;
use crate::backend::{Backend, BackendExt, Key};
use crate::chain::KnownLists;
use crate::crypto::{KeyRing, TenantKeys};
use crate::error::{Error, Result};
use crate::format::SLOT_PLAIN_BYTES_MAX;
use crate::format::codec::{Decoded, Malformed};
use crate::format::frame::{Codec, FrameDecoder};
use crate::format::id::{DomainId, PackId, PackKind, PackRef, SlotRef};
use crate::format::pack::{PackIndex, SlotEntry};
use crate::format::place::{self, Place};
use crate::format::slot::open_slot;
use crate::planted::{self, Bug};
use crate::size::to_usize;

/// How often a reader looks for another generation before it gives up.
pub(super) const ATTEMPTS_MAX: usize = 4;
/// What the cached tables of one domain may take.
const CACHE_BYTES_MAX: usize = 24 << 20;
/// What zstd decodes in one step at most.
const ZSTD_BLOCK_BYTES: usize = 128 << 10;

/// The packs of one domain.
#[derive(Debug)]
pub(crate) struct Packs {
    backend: Arc<dyn Backend>,
    keys: Arc<TenantKeys>,
    lists: Option<Arc<KnownLists>>,
    domain: DomainId,
    cache: Mutex<Cache>,
    pub(super) rescues: Rescues,
}

#[derive(Debug, Default)]
struct Cache {
    tables: HashMap<(PackKind, PackId), (Arc<PackIndex>, u64)>,
    bytes: usize,
    tick: u64,
}

impl Packs {
    pub(crate) fn new(backend: Arc<dyn Backend>, keys: Arc<TenantKeys>, domain: DomainId) -> Self {
        let (cache, rescues) = (Mutex::default(), Rescues::default());
        Self { backend, keys, lists: None, domain, cache, rescues }
    }

    /// Remembers lists that were read.
    pub(crate) fn remembering(self, lists: Arc<KnownLists>) -> Self {
        Self { lists: Some(lists), ..self }
    }

    pub(crate) fn lists(&self) -> Option<&KnownLists> {
        self.lists.as_deref()
    }

    pub(crate) const fn domain(&self) -> &DomainId {
        &self.domain
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        self.backend.as_ref()
    }

    pub(crate) fn keys(&self) -> &dyn KeyRing {
        self.keys.as_ref()
    }

    /// Whether slots can be read, or only tables.
    pub(crate) fn opens_data(&self) -> bool {
        self.keys.opens_data()
    }

    pub(crate) fn pack(&self, kind: PackKind, id: PackId) -> PackRef {
        PackRef { domain: self.domain, kind, id }
    }

    /// The tables of some generation of a pack.
    pub(crate) fn index(&self, kind: PackKind, id: PackId) -> Result<Arc<PackIndex>> {
        if let Some(index) = self.lock().get(kind, id) {
            return Ok(index);
        }
        let index = Arc::new(self.read_index(kind, id)?);
        self.lock().put(kind, id, Arc::clone(&index));
        Ok(index)
    }

    fn read_index(&self, kind: PackKind, id: PackId) -> Result<PackIndex> {
        let pack = self.pack(kind, id);
        // Nearly every pack was never rewritten: look there before listing.
        match PackIndex::read(self.backend(), &pack, 0, self.keys()) {
            Ok(None) => {}
            Ok(Some(index)) => return Ok(index),
            Err(error) if error.is_damage() => return self.sound_index(&pack, error),
            Err(error) => return Err(error),
        }
        for _ in 0..ATTEMPTS_MAX {
            let Some(generation) = self.generations(&pack)?.last().copied() else {
                return Err(Error::Missing { object: place::pack(&pack, 0).to_string() });
            };
            if let Some(index) = PackIndex::read(self.backend(), &pack, generation, self.keys())? {
                return Ok(index);
            }
        }
        Err(Error::Missing { object: place::pack(&pack, 0).to_string() })
    }

    /// The tables of another generation, if it is there and sound.
    fn sound_index(&self, pack: &PackRef, damage: Error) -> Result<PackIndex> {
        for generation in self.generations(pack)?.into_iter().rev() {
            match PackIndex::read(self.backend(), pack, generation, self.keys()) {
                Ok(Some(index)) => return Ok(index),
                Ok(None) => {}
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
        }
        Err(damage)
    }

    /// The generations of a pack that exist, in order.
    pub(crate) fn generations(&self, pack: &PackRef) -> Result<Vec<u32>> {
        let entries = self.backend().list_all(&place::pack_generations(pack))?;
        let generation = |key| match Place::parse(key) {
            Some(Place::Pack(found, generation)) if found == *pack => Some(generation),
            _ => None,
        };
        Ok(entries.iter().filter_map(|entry| generation(&entry.key)).collect())
    }

    /// Forgets the tables of a pack, so that the next look finds another generation.
    pub(crate) fn forget(&self, kind: PackKind, id: PackId) {
        self.lock().forget(kind, id);
    }

    /// Replaces `into` by `length` bytes from `offset` of the object that `index` describes.
    /// `None`: that object is gone.
    pub(crate) fn read_range(
        &self,
        index: &PackIndex,
        offset: u64,
        length: u64,
        into: &mut Vec<u8>,
    ) -> Result<Option<()>> {
        into.resize(to_usize(length), 0);
        Ok(self.backend().get_range(&index.key(), offset, into)?)
    }

    /// The decoded content of one slot, in `scratch.plain`.
    pub(crate) fn read_slot(
        &self,
        kind: PackKind,
        slot: &SlotRef,
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.read_blocks(kind, slot, scratch)?;
        if scratch.lost == 0 {
            return Ok(());
        }
        let object = place::pack(&self.pack(kind, slot.pack), 0);
        Err(Error::damaged(object, format!("slot {}: some of its blocks are lost", slot.slot)))
    }

    /// The first `bytes` of the decoded content of one slot, or more, in `scratch.plain`; all of it
    /// if it has fewer. What it takes to decode grows with `bytes`.
    pub(crate) fn read_slot_start(
        &self,
        kind: PackKind,
        slot: &SlotRef,
        bytes: usize,
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.read_in_place(kind, slot, bytes, scratch)
    }

    /// As [`Packs::read_slot`], also if only some of its blocks can be had: `scratch.lost` tells.
    pub(crate) fn read_blocks(
        &self,
        kind: PackKind,
        slot: &SlotRef,
        scratch: &mut Scratch,
    ) -> Result<()> {
        match self.read_in_place(kind, slot, usize::MAX, scratch) {
            Err(error) if error.is_damage() && !planted::has(Bug::StaleIndexKept) => {
                self.rescue(kind, slot, error, scratch)
            }
            read => read,
        }
    }

    fn read_in_place(
        &self,
        kind: PackKind,
        slot: &SlotRef,
        bytes: usize,
        scratch: &mut Scratch,
    ) -> Result<()> {
        for _ in 0..ATTEMPTS_MAX {
            let index = self.index(kind, slot.pack)?;
            let entry = *find(&index, slot)?;
            if self.read_entry(&index, &entry, bytes, scratch)? {
                return Ok(());
            }
            if !planted::has(Bug::StaleIndexKept) {
                self.forget(kind, slot.pack);
            }
        }
        Err(Error::Missing { object: place::pack(&self.pack(kind, slot.pack), 0).to_string() })
    }

    /// Reads one slot of the object that `index` describes and opens it up to `bytes`; false if that
    /// is gone.
    pub(super) fn read_entry(
        &self,
        index: &PackIndex,
        entry: &SlotEntry,
        bytes: usize,
        scratch: &mut Scratch,
    ) -> Result<bool> {
        let mut sealed = std::mem::take(&mut scratch.sealed);
        let length = u64::from(entry.stored_bytes);
        let read = match &mut scratch.ahead {
            Some(ahead) => self.read_ahead(index, entry, ahead, &mut sealed),
            None => self.read_range(index, entry.offset, length, &mut sealed),
        };
        let opened =
            read.map(|read| read.map(|()| scratch.open_start(index, entry, &sealed, bytes)));
        scratch.sealed = sealed;
        match opened? {
            Some(result) => result.map(|()| true),
            None => Ok(false),
        }
    }

    /// The sealed bytes of a slot, and in the same call those of its neighbours, which whoever walks a map is
    /// likely to want next.
    fn read_ahead(
        &self,
        index: &PackIndex,
        entry: &SlotEntry,
        ahead: &mut Ahead,
        into: &mut Vec<u8>,
    ) -> Result<Option<()>> {
        let length = u64::from(entry.stored_bytes);
        let end = entry.offset + length;
        if !ahead.covers(index, entry.offset..end) {
            // A parent lies behind its children and is read before them: of a small pack all is wanted.
            let first = index.slots().first().map_or(entry.offset, |slot| slot.offset);
            let is_near = first <= entry.offset && end - first <= AHEAD_BYTES;
            let start = if is_near { first } else { entry.offset };
            let behind =
                index.slots().iter().map(|slot| slot.offset + u64::from(slot.stored_bytes));
            let window = behind.take_while(|behind| *behind <= start + AHEAD_BYTES);
            let to = window.last().unwrap_or(end).max(end);
            // What is gone or cannot be read is in no window.
            ahead.object = None;
            match self.read_range(index, start, to - start, &mut ahead.bytes) {
                Ok(Some(())) => {}
                Ok(None) => return Ok(None),
                // It may be a neighbour that the medium has lost.
                Err(error) if error.is_damage() => {
                    return self.read_range(index, entry.offset, length, into);
                }
                Err(error) => return Err(error),
            }
            (ahead.object, ahead.start) = (Some(index.key()), start);
        }
        let from = to_usize(entry.offset - ahead.start);
        into.clear();
        into.extend_from_slice(&ahead.bytes[from..from + to_usize(length)]);
        Ok(Some(()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry of `slot` in the tables of its pack.
pub(crate) fn find<'a>(index: &'a PackIndex, slot: &SlotRef) -> Result<&'a SlotEntry> {
    let entry = index.slot(slot.slot).ok_or_else(|| {
        Error::damaged(index.key(), format!("slot {} is not in the pack", slot.slot))
    })?;
    if entry.stored_bytes == slot.stored_bytes {
        Ok(entry)
    } else {
        Err(Error::damaged(index.key(), format!("slot {} has another size", slot.slot)))
    }
}

/// Buffers for reading slots, used again and again by one thread.
#[derive(Debug)]
pub(crate) struct Scratch {
    decoder: FrameDecoder,
    sealed: Vec<u8>,
    encoded: Vec<u8>,
    /// What the last opened slot contains; fit to be written past the page cache.
    pub(crate) plain: PageBuffer,
    /// Bit `i`: block `i` of it is lost, and zero in `plain`.
    pub(crate) lost: u16,
    /// For who walks maps.
    ahead: Option<Ahead>,
}

/// How much is read in one call by who walks maps.
const AHEAD_BYTES: u64 = 256 << 10;

/// A part of a pack that was read in one call.
#[derive(Debug, Default)]
struct Ahead {
    object: Option<Key>,
    start: u64,
    bytes: Vec<u8>,
}

impl Ahead {
    fn covers(&self, index: &PackIndex, range: Range<u64>) -> bool {
        let end = self.start + self.bytes.len() as u64;
        self.object.as_ref() == Some(&index.key()) && self.start <= range.start && range.end <= end
    }
}

impl Scratch {
    pub(crate) fn new() -> Result<Self> {
        let (sealed, encoded, plain) = (Vec::new(), Vec::new(), PageBuffer::new());
        Ok(Self { decoder: FrameDecoder::new()?, sealed, encoded, plain, lost: 0, ahead: None })
    }

    /// For who walks maps: nodes lie one behind the other, and are read many in one call.
    pub(crate) fn reading_ahead() -> Result<Self> {
        Ok(Self { ahead: Some(Ahead::default()), ..Self::new()? })
    }

    /// Opens and decodes `sealed` into `plain`.
    pub(crate) fn open(
        &mut self,
        index: &PackIndex,
        entry: &SlotEntry,
        sealed: &[u8],
    ) -> Result<()> {
        self.open_start(index, entry, sealed, usize::MAX)
    }

    /// As [`Scratch::open`], and decodes the first `bytes` at least. Authentic is all of it, always.
    fn open_start(
        &mut self,
        index: &PackIndex,
        entry: &SlotEntry,
        sealed: &[u8],
        bytes: usize,
    ) -> Result<()> {
        self.lost = 0;
        let opened = open_slot(index.dek(), index.pack(), entry.head, sealed, &mut self.encoded)
            .and_then(|()| self.decode(entry.head.codec, entry.head.plain_len as usize, bytes));
        opened.map_err(|wrong| {
            // Of what is not what was sealed nothing is left.
            self.plain.clear();
            Error::damaged(index.key(), format!("slot {}: {}", entry.head.slot, wrong.0))
        })
    }

    fn decode(&mut self, codec: Codec, plain_len: usize, bytes: usize) -> Decoded<()> {
        if plain_len > SLOT_PLAIN_BYTES_MAX {
            return Err(Malformed("a slot is too long"));
        }
        // zstd has decoded to the end of one of its blocks anyway.
        let bytes =
            bytes.saturating_add(ZSTD_BLOCK_BYTES - 1) / ZSTD_BLOCK_BYTES * ZSTD_BLOCK_BYTES;
        if bytes >= plain_len / 4 * 3 {
            self.plain.set_len(plain_len);
            return self.decoder.decode_into(codec, &self.encoded, &mut self.plain);
        }
        self.plain.set_len(bytes);
        self.decoder.decode_start_into(codec, &self.encoded, &mut self.plain)
    }
}

impl Cache {
    fn get(&mut self, kind: PackKind, id: PackId) -> Option<Arc<PackIndex>> {
        self.tick += 1;
        let (index, used) = self.tables.get_mut(&(kind, id))?;
        *used = self.tick;
        Some(Arc::clone(index))
    }

    fn put(&mut self, kind: PackKind, id: PackId, index: Arc<PackIndex>) {
        self.tick += 1;
        self.forget(kind, id);
        self.bytes += table_bytes(&index);
        self.tables.insert((kind, id), (index, self.tick));
        while self.bytes > CACHE_BYTES_MAX && self.tables.len() > 1 {
            let oldest = self.tables.iter().min_by_key(|(_, (_, used))| *used);
            let Some((&(kind, id), _)) = oldest else { return };
            self.forget(kind, id);
        }
    }

    fn forget(&mut self, kind: PackKind, id: PackId) {
        if let Some((index, _)) = self.tables.remove(&(kind, id)) {
            self.bytes -= table_bytes(&index);
        }
    }
}

/// About what the tables take in memory.
fn table_bytes(index: &PackIndex) -> usize {
    let blocks: usize = index.slots().iter().map(|slot| usize::from(slot.blocks)).sum();
    512 + size_of_val(index.slots()) + blocks * 32
}
