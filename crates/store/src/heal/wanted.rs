//! The blocks that damage has taken, by their ids: who comes by one of them gives it back.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::nodes::{Rebuilder, Rebuilt, Source, lost_nodes};
use super::patches::{Healed, Patches, slot_blocks};
use super::spot::Spot;
use crate::chain::History;
use crate::crypto::BlockId;
use crate::error::Result;
use crate::format::MAP_HEIGHT_MAX;
use crate::format::id::{PackId, PackKind, SlotRef};
use crate::format::node::Content;
use crate::format::pack::SlotEntry;
use crate::map::MapReader;
use crate::map::geometry::{BLOCK_BYTES, LEAF_BLOCKS};
use crate::map::reader::Visit;
use crate::packs::{Packs, Scratch};
use crate::planted::{self, Bug};

/// How many lost blocks are looked for at once: 16 GiB of a disk.
const BLOCKS_MAX: usize = 1 << 18;

/// A block of a slot.
pub(super) type Place = (PackKind, PackId, u32, u8, u8);

/// What is looked for.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    by_id: HashMap<BlockId, Vec<Place>>,
    slots: BTreeSet<(PackKind, PackId, u32)>,
    packs: BTreeSet<(PackKind, PackId)>,
}

impl Wanted {
    /// Whatever of `spots` is really lost. What a pack whose tables are unreadable contained
    /// nobody knows.
    pub(crate) fn of(packs: &Packs, spots: &[Spot], scratch: &mut Scratch) -> Result<Self> {
        let mut wanted = Self::default();
        let spots = if planted::has(Bug::DistrustIgnored) { &[] } else { spots };
        for spot in spots {
            match spot.slot {
                Some(slot) => drop(wanted.slots.insert((spot.kind, spot.pack, slot))),
                None => drop(wanted.packs.insert((spot.kind, spot.pack))),
            }
            let index = match packs.index(spot.kind, spot.pack) {
                Ok(index) => index,
                Err(error) if error.is_damage() => continue,
                Err(error) => return Err(error),
            };
            let is_meant =
                |entry: &&SlotEntry| spot.slot.is_none_or(|slot| slot == entry.head.slot);
            for entry in index.slots().iter().filter(is_meant) {
                let lost = lost_blocks(packs, spot.kind, &reference(spot.pack, entry), scratch)?;
                let of = slot_blocks(spot.kind, entry.head.plain_len);
                for (at, id) in (0_u8..).zip(index.ids(entry)) {
                    if lost >> at & 1 == 1 && wanted.by_id.len() < BLOCKS_MAX {
                        let place = (spot.kind, spot.pack, entry.head.slot, at, of);
                        wanted.by_id.entry(*id).or_default().push(place);
                    }
                }
            }
        }
        Ok(wanted)
    }

    /// All that is looked for.
    pub(crate) fn into_places(self) -> HashMap<BlockId, Vec<Place>> {
        self.by_id
    }

    /// Whether the slot is known to be damaged.
    pub(crate) fn distrusts(&self, kind: PackKind, slot: &SlotRef) -> bool {
        self.slots.contains(&(kind, slot.pack, slot.slot))
            || self.packs.contains(&(kind, slot.pack))
    }

    /// Whether nothing is known to be damaged.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.packs.is_empty()
    }

    /// Whether a map node is among what is damaged.
    pub(crate) fn has_nodes(&self) -> bool {
        let kinds = self.slots.iter().map(|(kind, ..)| kind);
        kinds.chain(self.packs.iter().map(|(kind, _)| kind)).any(|kind| *kind == PackKind::Meta)
    }
}

/// The bits of the blocks of a slot that cannot be had from anywhere.
pub(crate) fn lost_blocks(
    packs: &Packs,
    kind: PackKind,
    slot: &SlotRef,
    scratch: &mut Scratch,
) -> Result<u16> {
    match packs.read_blocks(kind, slot, scratch) {
        Ok(()) => Ok(scratch.lost),
        Err(error) if error.is_damage() => Ok(u16::MAX),
        Err(error) => Err(error),
    }
}

/// A slot as a map would name it.
pub(crate) fn reference(pack: PackId, entry: &SlotEntry) -> SlotRef {
    SlotRef { pack, slot: entry.head.slot, birth: 0, stored_bytes: entry.stored_bytes }
}

/// The bytes of the disk that lie in slots known to be damaged; `None`: not all of the map can be
/// read, so it may be any.
pub(crate) fn bad_ranges(
    map: &MapReader,
    wanted: &Wanted,
    scratch: &mut Scratch,
) -> Result<Option<Vec<Range<u64>>>> {
    let (mut ranges, mut is_whole) = (Vec::new(), true);
    map.walk(&(0..u64::MAX), scratch, &mut |visit| {
        match visit {
            Visit::Leaf { index, leaf, .. } => {
                for extent in &leaf.extents {
                    let is_bad = match extent.content {
                        Content::Bad => true,
                        Content::Data { slot, .. } => wanted.distrusts(PackKind::Data, &slot),
                    };
                    let start = (index * LEAF_BLOCKS + u64::from(extent.start)) * BLOCK_BYTES;
                    if is_bad {
                        ranges.push(start..start + u64::from(extent.run) * BLOCK_BYTES);
                    }
                }
            }
            Visit::Inner { .. } => {}
            Visit::Unreadable { error, .. } if error.is_damage() => is_whole = false,
            Visit::Unreadable { error, .. } => return Err(error),
        }
        Ok(())
    })?;
    Ok(is_whole.then_some(ranges))
}

/// Gives lost blocks back as they come by, and lost map nodes afterwards.
pub(crate) struct Healer<'a> {
    wanted: Wanted,
    left: Mutex<HashMap<BlockId, Vec<Place>>>,
    source: Source,
    patches: Patches<'a>,
}

impl<'a> Healer<'a> {
    pub(crate) fn new(mut wanted: Wanted, source: Source, patches: Patches<'a>) -> Self {
        let left = Mutex::new(std::mem::take(&mut wanted.by_id));
        Self { wanted, left, source, patches }
    }

    /// Takes `block` number `at` of leaf `leaf` if it is one of the lost ones.
    pub(crate) fn offer(&self, (leaf, at): (u64, usize), id: &BlockId, block: &[u8]) -> Result<()> {
        self.source.note(leaf, at, id);
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let mut places = left.remove(id);
        if places.is_none() && planted::has(Bug::PatchUnproven) {
            let any = left.keys().min_by_key(|id| id.0).copied();
            places = any.and_then(|id| left.remove(&id));
        }
        drop(left);
        for (kind, pack, slot, at, of) in places.into_iter().flatten() {
            self.patches.add((kind, pack, slot), at, of, block)?;
        }
        Ok(())
    }

    /// Whether a new version must not build on the slot (P5).
    pub(crate) fn distrusts(&self, slot: &SlotRef) -> bool {
        self.wanted.distrusts(PackKind::Data, slot)
    }

    /// Makes what was given back durable, and rebuilds the nodes that can be. Of nodes, which are no
    /// blocks, it says nothing.
    pub(crate) fn finish(&self, history: &History, packs: &Arc<Packs>) -> Result<Healed> {
        let healed = self.patches.finish()?;
        if self.wanted.has_nodes() {
            // What is below a rebuilt node is seen only then.
            for _ in 0..=MAP_HEIGHT_MAX {
                if self.rebuild(history, packs)? == 0 {
                    break;
                }
                self.patches.finish()?;
            }
        }
        Ok(healed)
    }

    fn rebuild(&self, history: &History, packs: &Arc<Packs>) -> Result<u64> {
        let lost = lost_nodes(history, packs, &mut Scratch::new()?)?;
        let mut rebuilder = Rebuilder::new(history, packs, Some(&self.source))?;
        let mut count = 0;
        for node in &lost {
            if let Some(Rebuilt { pack, slot, content }) = rebuilder.rebuild(node)? {
                self.patches.add((PackKind::Meta, pack, slot), 0, 1, &content)?;
                count += 1;
            }
        }
        Ok(count)
    }
}
