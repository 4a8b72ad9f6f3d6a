//! Map nodes: where the blocks of a disk lie.
//!
//! A leaf covers 256 blocks, an inner node 256 children. What is not listed is
//! zero. The encoding is what lies in a slot of a metadata pack.

use super::codec::{Decoded, Decoder, Encoder, Malformed};
use super::envelope::hash128;
use super::id::{PackId, SlotRef};
use super::{FRAME_BLOCKS_MAX, MAP_HEIGHT_MAX, NODE_FANOUT};

const LEAF: u8 = 1;
const INNER: u8 = 2;
const DATA: u8 = 1;
const BAD: u8 = 2;

/// 256 consecutive blocks.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Leaf {
    /// Sorted by start, without overlap; blocks in no extent are zero.
    pub extents: Vec<Extent>,
}

/// Consecutive blocks of a leaf that lie next to each other in one slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// The first block, counted from the leaf's first.
    pub start: u16,
    /// How many blocks, at least one.
    pub run: u16,
    /// What they are.
    pub content: Content,
}

/// What the blocks of an extent are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    /// They are the blocks `first`, `first + 1` … of a slot of a data pack.
    Data {
        /// The slot.
        slot: SlotRef,
        /// Which block of the slot is the extent's first.
        first: u8,
    },
    /// They were lost to damage and could not be healed.
    Bad,
}

/// A node of the levels above the leaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inner {
    /// 1 above leaves, 2 above those, …
    pub level: u8,
    /// Sorted by position; positions that are not listed are all zero.
    pub children: Vec<(u8, Child)>,
}

/// A pointer to a node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Child {
    /// The slot of a metadata pack.
    pub slot: SlotRef,
    /// [`node_hash`] of the node's encoding.
    pub hash: [u8; 16],
}

/// A node as it comes out of a slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Node {
    /// A leaf.
    Leaf(Leaf),
    /// An inner node.
    Inner(Inner),
}

/// The hash a pointer to the node carries: BLAKE3-128 of its encoding.
pub fn node_hash(encoded: &[u8]) -> [u8; 16] {
    hash128(encoded)
}

impl Leaf {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Encoder::new();
        to.u8(LEAF);
        let slots = SlotTable::of(self.extents.iter().filter_map(|extent| match extent.content {
            Content::Data { slot, .. } => Some(slot),
            Content::Bad => None,
        }));
        slots.encode(&mut to);
        to.count(self.extents.len());
        let mut next = 0;
        for extent in &self.extents {
            to.varint(u64::from(extent.start - next));
            to.varint(extent.run.into());
            match extent.content {
                Content::Data { slot, first } => {
                    to.u8(DATA);
                    to.count(slots.index(&slot));
                    to.u8(first);
                }
                Content::Bad => to.u8(BAD),
            }
            next = extent.start + extent.run;
        }
        to.into_bytes()
    }

    fn decode(from: &mut Decoder<'_>) -> Decoded<Self> {
        let mut slots = SlotTable::decode(from)?;
        let count = from.count(NODE_FANOUT, 3)?;
        let mut extents = Vec::with_capacity(count);
        let mut next = 0u16;
        for _ in 0..count {
            let start = small(from.varint()?)? + next;
            let run = small(from.varint()?)?;
            let content = match from.u8()? {
                DATA => {
                    let slot = slots.get(from.varint()?)?;
                    let first = from.u8()?;
                    if usize::from(first) + usize::from(run) > FRAME_BLOCKS_MAX {
                        return Err(Malformed("an extent is longer than a slot"));
                    }
                    Content::Data { slot, first }
                }
                BAD => Content::Bad,
                _ => return Err(Malformed("unknown kind of extent")),
            };
            next = start + run;
            if run == 0 || usize::from(next) > NODE_FANOUT {
                return Err(Malformed("an extent is outside the leaf"));
            }
            extents.push(Extent { start, run, content });
        }
        slots.check_all_used()?;
        Ok(Self { extents })
    }
}

impl Inner {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Encoder::new();
        to.u8(INNER);
        to.u8(self.level);
        let slots = SlotTable::of(self.children.iter().map(|(_, child)| child.slot));
        slots.encode(&mut to);
        to.count(self.children.len());
        for (position, child) in &self.children {
            to.u8(*position);
            to.count(slots.index(&child.slot));
            to.raw(&child.hash);
        }
        to.into_bytes()
    }

    fn decode(from: &mut Decoder<'_>) -> Decoded<Self> {
        let level = from.u8()?;
        if !(1..=MAP_HEIGHT_MAX).contains(&level) {
            return Err(Malformed("an inner node of an impossible level"));
        }
        let mut slots = SlotTable::decode(from)?;
        let count = from.count(NODE_FANOUT, 18)?;
        let mut children: Vec<(u8, Child)> = Vec::with_capacity(count);
        for _ in 0..count {
            let position = from.u8()?;
            if children.last().is_some_and(|(last, _)| *last >= position) {
                return Err(Malformed("children are not ascending"));
            }
            let slot = slots.get(from.varint()?)?;
            children.push((position, Child { slot, hash: from.array()? }));
        }
        slots.check_all_used()?;
        Ok(Self { level, children })
    }
}

impl Child {
    pub(super) fn encode(&self, to: &mut Encoder) {
        self.slot.encode(to);
        to.raw(&self.hash);
    }

    pub(super) fn decode(from: &mut Decoder<'_>) -> Decoded<Self> {
        Ok(Self { slot: SlotRef::decode(from)?, hash: from.array()? })
    }
}

impl Node {
    /// Reads the stored form; any input gives a node or an error.
    pub fn decode(bytes: &[u8]) -> Decoded<Self> {
        let mut from = Decoder::new(bytes);
        let node = match from.u8()? {
            LEAF => Self::Leaf(Leaf::decode(&mut from)?),
            INNER => Self::Inner(Inner::decode(&mut from)?),
            _ => return Err(Malformed("not a map node")),
        };
        from.finish()?;
        Ok(node)
    }
}

/// The distinct packs and slots a node points to; extents and children name them by position.
struct SlotTable {
    packs: Vec<PackId>,
    slots: Vec<SlotRef>,
    is_used: Vec<bool>,
}

impl SlotTable {
    fn of(slots: impl Iterator<Item = SlotRef>) -> Self {
        let mut slots: Vec<SlotRef> = slots.collect();
        slots.sort_unstable();
        slots.dedup();
        let mut packs: Vec<PackId> = slots.iter().map(|slot| slot.pack).collect();
        packs.dedup();
        Self { is_used: vec![true; slots.len()], packs, slots }
    }

    fn index(&self, slot: &SlotRef) -> usize {
        self.slots.binary_search(slot).expect("the table was made of these slots")
    }

    fn get(&mut self, index: u64) -> Decoded<SlotRef> {
        let missing = Malformed("a node names a slot it does not list");
        let index = usize::try_from(index).map_err(|_| missing)?;
        let slot = self.slots.get(index).copied().ok_or(missing)?;
        self.is_used[index] = true;
        Ok(slot)
    }

    /// One node has one encoding: nothing is listed that is not named.
    fn check_all_used(&self) -> Decoded<()> {
        let packs = self.slots.chunk_by(|a, b| a.pack == b.pack).count();
        let is_exact = packs == self.packs.len() && self.is_used.iter().all(|is_used| *is_used);
        if is_exact { Ok(()) } else { Err(Malformed("a node lists a slot it does not name")) }
    }

    fn encode(&self, to: &mut Encoder) {
        to.count(self.packs.len());
        for pack in &self.packs {
            to.raw(&pack.0);
        }
        to.count(self.slots.len());
        for slot in &self.slots {
            let pack = self.packs.binary_search(&slot.pack);
            to.count(pack.expect("the table was made of these packs"));
            to.varint(slot.slot.into());
            to.varint(slot.birth);
            to.varint(slot.stored_bytes.into());
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Decoded<Self> {
        let count = from.count(NODE_FANOUT, 16)?;
        let packs = (0..count).map(|_| from.array().map(PackId)).collect::<Decoded<Vec<_>>>()?;
        let count = from.count(NODE_FANOUT, 4)?;
        let mut slots = Vec::with_capacity(count);
        for _ in 0..count {
            let pack = usize::try_from(from.varint()?).ok().and_then(|index| packs.get(index));
            slots.push(SlotRef {
                pack: *pack.ok_or(Malformed("a node names a pack it does not list"))?,
                slot: from.varint_u32()?,
                birth: from.varint()?,
                stored_bytes: from.varint_u32()?,
            });
        }
        let is_sorted = packs.is_sorted_by(|a, b| a < b) && slots.is_sorted_by(|a, b| a < b);
        let is_used = vec![false; slots.len()];
        let sorted = is_sorted.then_some(Self { packs, slots, is_used });
        sorted.ok_or(Malformed("slots are not in order"))
    }
}

/// A number of blocks inside a leaf.
fn small(value: u64) -> Decoded<u16> {
    let small = u16::try_from(value).ok().filter(|small| usize::from(*small) <= NODE_FANOUT);
    small.ok_or(Malformed("outside the leaf"))
}
