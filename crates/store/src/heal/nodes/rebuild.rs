//! Putting lost nodes together.

use std::collections::HashMap;
use std::sync::Arc;

use super::around::{Around, Beside, known, named};
use super::lost::LostNode;
use super::puzzle::{Known, Puzzle};
use super::rebuilt::Rebuilt;
use super::source::{LeafIds, Source};
use crate::chain::History;
use crate::crypto::BlockId;
use crate::error::Result;
use crate::format::id::PackKind;
use crate::format::node::{Child, Inner, Node, node_hash};
use crate::map::cells::{Cell, gather, spread};
use crate::map::geometry::{FANOUT, LEAF_BLOCKS, leaf_blocks};
use crate::packs::{Packs, Scratch, find};
use crate::size::to_usize;

/// The children of a node, by their place.
type Children<'a> = &'a [Option<Child>];

/// Rebuilds nodes of one chain.
pub(crate) struct Rebuilder<'a> {
    around: Around<'a>,
    source: Option<&'a Source>,
    scratch: Scratch,
}

impl<'a> Rebuilder<'a> {
    /// With what lies on the disk now, if anybody is reading it.
    pub(crate) fn new(
        history: &'a History,
        packs: &'a Arc<Packs>,
        source: Option<&'a Source>,
    ) -> Result<Self> {
        Ok(Self { around: Around::new(history, packs), source, scratch: Scratch::new()? })
    }

    /// What the node was, if that can be found out; then it is certain.
    pub(crate) fn rebuild(&mut self, lost: &LostNode) -> Result<Option<Rebuilt>> {
        let content = if lost.is_leaf() { self.leaf(lost)? } else { self.inner(lost)? };
        if content.is_some() {
            tracing::warn!(pack = %lost.child.slot.pack, slot = lost.child.slot.slot, "a lost map node is rebuilt");
        }
        Ok(content.map(|content| Rebuilt::of(&lost.child.slot, content)))
    }

    fn leaf(&mut self, lost: &LostNode) -> Result<Option<Vec<u8>>> {
        let birth = lost.child.slot.birth;
        let Some(committed) = self.around.history.committed(birth) else { return Ok(None) };
        let width = to_usize(leaf_blocks(lost.index, committed.commit.disk_bytes));
        let Beside { before, after } = self.around.cells_around(lost, &mut self.scratch)?;
        let mut new = self.around.stray_cells(lost, &mut self.scratch)?;
        let is_older = |cell: &Cell| matches!(cell, Cell::Data { slot, .. } if slot.birth <= birth);
        // A block that is there later and was written by then has been there all the time.
        let after = after.unwrap_or_default();
        let there = |at: usize| after.get(at).copied().filter(is_older);
        let known: Vec<Known<Cell>> =
            (0..width).map(|at| there(at).map_or(Known::Not, Known::This)).collect();
        new.retain(|cell| !known.contains(&Known::This(*cell)));
        let before = before.unwrap_or_else(|| vec![Cell::Hole; to_usize(LEAF_BLOCKS)]);
        let before = before.into_iter().take(width).map(some).collect();
        let puzzle = Puzzle { known, before, new };
        let mut is_it = |cells: &[Option<Cell>]| encoded(cells, &lost.child).is_some();
        let ids = self.source.map(|source| source.leaf(lost.index)).unwrap_or_default();
        let mut puzzles = vec![puzzle.clone()];
        if !ids.is_empty() {
            let borrowed = self.around.borrowed_cells(lost, &ids, &mut self.scratch)?;
            let seen = self.as_on_disk(&puzzle, &ids, &borrowed)?;
            // Only what lies here now, too: more than one leaf of the version may be lost.
            let this = |known: &Known<Cell>| match known {
                Known::This(cell) => Some(*cell),
                Known::Not | Known::Nothing => None,
            };
            let mine: Vec<Cell> = seen.known.iter().filter_map(this).collect();
            let is_mine = |cell: &Cell| mine.iter().any(|other| is_same_slot(cell, other));
            let new = seen.new.iter().copied().filter(is_mine).collect();
            puzzles = vec![Puzzle { new, ..seen.clone() }, seen, puzzle];
        }
        let solved = puzzles.iter().find_map(|puzzle| puzzle.solve(&mut is_it));
        Ok(solved.and_then(|cells| encoded(&cells, &lost.child)))
    }

    /// The puzzle if nothing has changed where the disk has what the leaf may have had: what its version wrote, what
    /// was there before, or what it borrowed.
    fn as_on_disk(
        &self,
        puzzle: &Puzzle<Cell>,
        ids: &LeafIds,
        borrowed: &HashMap<BlockId, Vec<Cell>>,
    ) -> Result<Puzzle<Cell>> {
        let mut new: Vec<(Cell, Option<BlockId>)> = Vec::with_capacity(puzzle.new.len());
        for cell in &puzzle.new {
            new.push((*cell, self.id(cell)?));
        }
        let mut known = puzzle.known.clone();
        let mut last = None;
        for (at, place) in (0_u8..=u8::MAX).zip(&mut known) {
            let behind = last.replace(*place).and_then(follower);
            if *place != Known::Not {
                continue;
            }
            let before = puzzle.before.get(usize::from(at)).copied().flatten();
            let Some(id) = ids.get(&at) else {
                // Zero now; so it was then, unless there was something and it was not replaced.
                if before.is_none() {
                    *place = Known::Nothing;
                }
                continue;
            };
            if let Some(found) = new.iter().position(|(_, other)| other.as_ref() == Some(id)) {
                *place = Known::This(new.remove(found).0);
            } else if let Some(cell) = before
                && self.id(&cell)?.as_ref() == Some(id)
            {
                *place = Known::This(cell);
            } else if let Some(cells) = borrowed.get(id) {
                // Runs are borrowed: the block behind the last one, if it is one of them.
                let cell = behind.filter(|cell| cells.contains(cell)).or(cells.first().copied());
                *place = cell.map_or(Known::Not, Known::This);
            }
            last = Some(*place);
        }
        let new = new.into_iter().map(|(cell, _)| cell).collect();
        Ok(Puzzle { known, before: puzzle.before.clone(), new })
    }

    fn id(&self, cell: &Cell) -> Result<Option<BlockId>> {
        let Cell::Data { slot, index } = cell else { return Ok(None) };
        let Some(tables) = known(self.around.packs.index(PackKind::Data, slot.pack))? else {
            return Ok(None);
        };
        let entry = find(&tables, slot).ok();
        Ok(entry.and_then(|entry| tables.ids(entry).get(usize::from(*index)).copied()))
    }

    fn inner(&mut self, lost: &LostNode) -> Result<Option<Vec<u8>>> {
        let birth = lost.child.slot.birth;
        let Beside { before, after } = self.around.children_around(lost, &mut self.scratch)?;
        let width = to_usize(FANOUT);
        let place = |children: Option<Vec<(u8, Child)>>| {
            let mut places: Vec<Option<Child>> = vec![None; width];
            for (at, child) in children.into_iter().flatten() {
                places[usize::from(at)] = Some(child);
            }
            places
        };
        let (before, after) = (place(before), place(after));
        let there = |child: &Option<Child>| child.filter(|child| child.slot.birth <= birth);
        let mut known: Vec<Known<Child>> =
            after.iter().map(|child| there(child).map_or(Known::Not, Known::This)).collect();
        let mut new = Vec::new();
        for stray in self.around.stray_nodes(lost, &mut self.scratch)? {
            if known.contains(&Known::This(stray.child)) {
                continue;
            }
            match self.place_of(lost, &stray.node, (&known, [&before, &after]))? {
                Some(at) => known[at] = Known::This(stray.child),
                None => new.push(stray.child),
            }
        }
        let puzzle = Puzzle { known, before, new };
        let encode = |children: &[Option<Child>]| {
            let children = (0_u8..=u8::MAX).zip(children);
            let children = children.filter_map(|(at, child)| Some((at, (*child)?))).collect();
            Inner { level: lost.level, children }.encode()
        };
        let solved = puzzle.solve(&mut |it| node_hash(&encode(it)) == lost.child.hash);
        Ok(solved.map(|children| encode(&children)))
    }

    /// Where below the lost node `node` belongs: where a version before or after has something that
    /// shares slots with it, or where its blocks lie on the disk now.
    fn place_of(
        &mut self,
        lost: &LostNode,
        node: &Node,
        (known, around): (&[Known<Child>], [Children<'_>; 2]),
    ) -> Result<Option<usize>> {
        let mine = named(node);
        for at in (0..known.len()).filter(|at| known[*at] == Known::Not) {
            for child in around.iter().filter_map(|children| children[at]) {
                let other = self.around.node(&child, &mut self.scratch)?;
                if other.is_some_and(|other| !named(&other).is_disjoint(&mine)) {
                    return Ok(Some(at));
                }
            }
            if let (Some(source), Node::Leaf(leaf), 1) = (self.source, node, lost.level) {
                let cells = spread(leaf, to_usize(LEAF_BLOCKS));
                for (place, id) in source.leaf(lost.leaves().start + at as u64) {
                    if self.id(&cells[usize::from(place)])? == Some(id) {
                        return Ok(Some(at));
                    }
                }
            }
        }
        Ok(None)
    }
}

/// The block behind it in its slot.
fn follower(place: Known<Cell>) -> Option<Cell> {
    match place {
        Known::This(Cell::Data { slot, index }) => {
            Some(Cell::Data { slot, index: index.checked_add(1)? })
        }
        Known::This(_) | Known::Not | Known::Nothing => None,
    }
}

fn some(cell: Cell) -> Option<Cell> {
    (cell != Cell::Hole).then_some(cell)
}

fn is_same_slot(a: &Cell, b: &Cell) -> bool {
    matches!((a, b), (Cell::Data { slot: a, .. }, Cell::Data { slot: b, .. }) if a == b)
}

/// The leaf of these cells, if it is the one that is pointed to.
fn encoded(cells: &[Option<Cell>], child: &Child) -> Option<Vec<u8>> {
    let cells: Vec<Cell> = cells.iter().map(|cell| cell.unwrap_or(Cell::Hole)).collect();
    let encoded = gather(&cells)?.encode();
    (node_hash(&encoded) == child.hash).then_some(encoded)
}
