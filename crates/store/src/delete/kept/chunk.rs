//! One chunk: what some nodes say, as bytes. It names packs and nodes by numbers of its own.
//!
//! ```text
//! part  u8: 0 the file was made with it, 1 it was added
//! packs      count, 16 bytes each
//! nodes      count, each: pack, slot, birth, stored bytes, 16 bytes of hash
//! said       count, each: node, level u8; of a leaf its runs: pack, first, further; of others its children: node
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use super::super::memory::{Below, MapMemory, NodeId, Run};
use crate::format::codec::{Decoded, Decoder, Encoder, Malformed};
use crate::format::id::{PackId, SlotRef};
use crate::format::node::Child;
use crate::format::{MAP_HEIGHT_MAX, NODE_FANOUT};

/// About how large a chunk becomes, in bytes: what is in it is counted at its largest.
const CHUNK_BYTES: usize = 1 << 20;
/// What one node takes at most, in bytes: 256 children, or runs in as many packs, that nothing else names.
const SAID_BYTES_MAX: usize = 16 + (NODE_FANOUT + 1) * (16 + 64);
/// How large a chunk may be, in bytes.
pub(super) const PLAIN_BYTES_MAX: usize = CHUNK_BYTES + SAID_BYTES_MAX;
/// How many packs, nodes, or nodes with what they say a chunk may name.
const COUNT_MAX: usize = PLAIN_BYTES_MAX;

/// How a chunk came into its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Part {
    /// The file was made with it.
    Made = 0,
    /// It was added.
    Added = 1,
}

/// A chunk that is being filled.
pub(super) struct Chunk {
    part: Part,
    packs: Numbered<PackId>,
    nodes: Numbered<Child>,
    said: Encoder,
    count: usize,
    /// What all of it takes at most.
    bytes: usize,
}

/// Things in the order in which they were first named.
struct Numbered<T> {
    numbers: HashMap<T, u64>,
    all: Vec<T>,
}

impl<T: Copy + Eq + std::hash::Hash> Numbered<T> {
    fn number(&mut self, thing: T) -> u64 {
        let next = self.all.len() as u64;
        *self.numbers.entry(thing).or_insert_with(|| {
            self.all.push(thing);
            next
        })
    }
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), all: Vec::new() }
    }
}

impl Chunk {
    pub(super) fn new(part: Part) -> Self {
        let (packs, nodes) = (Numbered::default(), Numbered::default());
        Self { part, packs, nodes, said: Encoder::new(), count: 0, bytes: 0 }
    }

    /// Adds what is known of a node; `false` if the chunk is full.
    pub(super) fn add(&mut self, memory: &MapMemory, id: NodeId) -> bool {
        if self.bytes > CHUNK_BYTES {
            return false;
        }
        let Some(below) = memory.said(id) else { return true };
        let named = (self.packs.all.len(), self.nodes.all.len());
        let node = self.node(memory.child(id));
        self.said.varint(node);
        let entries = match below {
            Below::Leaf(runs) => {
                self.said.u8(0);
                self.said.count(runs.len());
                for run in runs.iter() {
                    let pack = self.packs.number(run.pack);
                    self.said.varint(pack);
                    self.said.varint(run.first.into());
                    self.said.varint((run.last - run.first).into());
                }
                runs.len()
            }
            Below::Inner(level, children) => {
                self.said.u8(*level);
                self.said.count(children.len());
                for child in children.iter() {
                    let node = self.node(memory.child(*child));
                    self.said.varint(node);
                }
                children.len()
            }
        };
        self.count += 1;
        let named = (self.packs.all.len() - named.0, self.nodes.all.len() - named.1);
        self.bytes += 16 * named.0 + 40 * named.1 + 10 + 15 * entries;
        true
    }

    fn node(&mut self, child: Child) -> u64 {
        self.packs.number(child.slot.pack);
        self.nodes.number(child)
    }

    pub(super) fn into_plain(mut self) -> Vec<u8> {
        let mut to = Encoder::new();
        to.u8(self.part as u8);
        to.count(self.packs.all.len());
        self.packs.all.iter().for_each(|pack| to.raw(&pack.0));
        to.count(self.nodes.all.len());
        for Child { slot, hash } in &self.nodes.all {
            to.varint(self.packs.number(slot.pack));
            to.varint(slot.slot.into());
            to.varint(slot.birth);
            to.varint(slot.stored_bytes.into());
            to.raw(hash);
        }
        to.count(self.count);
        to.raw(&self.said.into_bytes());
        to.into_bytes()
    }
}

/// What a node says, by the numbers of its chunk.
enum Said {
    Leaf(Arc<[Run]>),
    Inner(u8, Vec<Child>),
}

/// Enters what a chunk says into memory, as far as there is room: all of it is read first.
pub(super) fn enter(plain: &[u8], memory: &mut MapMemory) -> Decoded<Part> {
    let mut from = Decoder::new(plain);
    let part = match from.u8()? {
        0 => Part::Made,
        1 => Part::Added,
        _ => return Err(Malformed("unknown part")),
    };
    let count = from.count(COUNT_MAX, 16)?;
    let packs = (0..count).map(|_| from.array().map(PackId)).collect::<Decoded<Vec<_>>>()?;
    let count = from.count(COUNT_MAX, 20)?;
    let nodes = (0..count).map(|_| node(&mut from, &packs)).collect::<Decoded<Vec<_>>>()?;
    let count = from.count(COUNT_MAX, 3)?;
    let all = (0..count)
        .map(|_| Ok((*one_of(&nodes, &mut from)?, said(&mut from, &packs, &nodes)?)))
        .collect::<Decoded<Vec<_>>>()?;
    from.finish()?;
    for (child, said) in all {
        let Some(id) = memory.place(&child) else { break };
        match said {
            Said::Leaf(runs) => memory.put_leaf(id, runs),
            Said::Inner(level, children) => drop(memory.put_inner(id, level, children.iter())),
        }
    }
    Ok(part)
}

fn node(from: &mut Decoder<'_>, packs: &[PackId]) -> Decoded<Child> {
    let slot = SlotRef {
        pack: *one_of(packs, from)?,
        slot: from.varint_u32()?,
        birth: from.varint()?,
        stored_bytes: from.varint_u32()?,
    };
    Ok(Child { slot, hash: from.array()? })
}

fn said(from: &mut Decoder<'_>, packs: &[PackId], nodes: &[Child]) -> Decoded<Said> {
    let level = from.u8()?;
    if level > MAP_HEIGHT_MAX {
        return Err(Malformed("a node of an impossible level"));
    }
    if level > 0 {
        let count = from.count(NODE_FANOUT, 1)?;
        let children = (0..count).map(|_| one_of(nodes, from).copied());
        return Ok(Said::Inner(level, children.collect::<Decoded<_>>()?));
    }
    let count = from.count(NODE_FANOUT, 3)?;
    let runs = (0..count).map(|_| {
        let (pack, first) = (*one_of(packs, from)?, from.varint_u32()?);
        let last = first.checked_add(from.varint_u32()?).ok_or(Malformed("number too large"))?;
        Ok(Run { pack, first, last })
    });
    Ok(Said::Leaf(runs.collect::<Decoded<_>>()?))
}

fn one_of<'a, T>(all: &'a [T], from: &mut Decoder<'_>) -> Decoded<&'a T> {
    let number = usize::try_from(from.varint()?).ok().and_then(|number| all.get(number));
    number.ok_or(Malformed("it names what it does not have"))
}
