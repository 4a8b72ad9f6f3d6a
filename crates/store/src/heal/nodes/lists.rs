//! Lists that are lost: what a version's map no longer points to and its parent's does, and, where blocks are
//! shared, what it points to that was stored for others.
//!
//! What is put together is what was lost only if it has the id that the pack's table has of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::around::known;
use super::rebuilt::Rebuilt;
use crate::chain::History;
use crate::crypto::BlockHasher;
use crate::error::Result;
use crate::format::deaths::Deaths;
use crate::format::id::{PackKind, Scope, SessionNonce, SlotRef};
use crate::format::node::Content;
use crate::format::record::Commit;
use crate::format::references::References;
use crate::map::MapReader;
use crate::map::reader::Visit;
use crate::packs::{Packs, Scratch};

/// Everything a map points to: of a leaf its number with each slot, because where blocks are shared each leaf counts.
/// The number of a node is its parent's business, and none.
type Pointers = BTreeSet<(Option<u64>, PackKind, SlotRef)>;

/// The lists that cannot be read and can be told from the maps: a version's only list of a kind, while
/// its map and, for deaths, the map of its parent are there.
pub(in crate::heal) fn lost_lists(
    history: &History,
    packs: &Arc<Packs>,
    (hasher, scratch): (&BlockHasher, &mut Scratch),
) -> Result<Vec<Rebuilt>> {
    let mut rebuilt = Vec::new();
    // One that contradicts itself is a problem of its own, which a check names.
    let Ok(lineage) = history.lineage(history.needed()) else { return Ok(rebuilt) };
    for seq in lineage.members() {
        let Some(committed) = history.committed(seq) else { continue };
        let commit = &committed.commit;
        let deaths = lost_one(packs, &commit.deaths, scratch)?;
        let borrowed = match &commit.borrowed {
            Some(borrowed) => lost_one(packs, &borrowed.lists, scratch)?,
            None => None,
        };
        if deaths.is_none() && borrowed.is_none() {
            continue;
        }
        let Some(after) = pointers(commit, packs, scratch)? else { continue };
        if let Some(list) = borrowed {
            let content = References::of(borrowings(&after, seq, commit.nonce)).encode();
            rebuilt.extend(proven(packs, &list, content, hasher)?);
        }
        let parent = commit.parent.and_then(|(parent, _)| history.committed(parent));
        let (Some(list), Some(parent)) = (deaths, parent) else { continue };
        let Some(before) = pointers(&parent.commit, packs, scratch)? else { continue };
        let dead = before.difference(&after).map(|(_, kind, slot)| (*kind, *slot));
        let content = match history.chain.scope {
            Scope::Volume => {
                let dead: BTreeSet<(PackKind, SlotRef)> = dead.collect();
                Deaths { dead: dead.into_iter().collect() }.encode()
            }
            Scope::Tenant => References::of(dead.collect()).encode(),
        };
        rebuilt.extend(proven(packs, &list, content, hasher)?);
    }
    Ok(rebuilt)
}

/// The only list of its kind, if it cannot be read.
fn lost_one(packs: &Packs, lists: &[SlotRef], scratch: &mut Scratch) -> Result<Option<SlotRef>> {
    let [list] = lists else { return Ok(None) };
    let read = known(packs.read_slot(PackKind::Meta, list, scratch))?;
    Ok(read.is_none().then_some(*list))
}

/// The list with this content, if it is the one that was lost.
fn proven(
    packs: &Packs,
    list: &SlotRef,
    content: Vec<u8>,
    hasher: &BlockHasher,
) -> Result<Option<Rebuilt>> {
    let Some(index) = known(packs.index(PackKind::Meta, list.pack))? else { return Ok(None) };
    let id = index.slot(list.slot).and_then(|entry| index.ids(entry).first());
    Ok((id == Some(&hasher.id(&content))).then(|| Rebuilt::of(list, content)))
}

/// What the version borrows: what its leaves point to since then, but for the one leaf for which a slot of its own
/// was stored.
fn borrowings(after: &Pointers, seq: u64, nonce: SessionNonce) -> Vec<(PackKind, SlotRef)> {
    let mut own = BTreeSet::new();
    let since = after.iter().filter(|(_, kind, slot)| *kind == PackKind::Data && slot.birth == seq);
    let others = since.filter(|(_, _, slot)| slot.pack.session() != nonce || !own.insert(*slot));
    others.map(|(_, kind, slot)| (*kind, *slot)).collect()
}

/// All that a version's map points to; none if not all of it can be read.
fn pointers(
    commit: &Commit,
    packs: &Arc<Packs>,
    scratch: &mut Scratch,
) -> Result<Option<Pointers>> {
    let map = MapReader::new(Arc::clone(packs), commit.root, commit.disk_bytes);
    let (mut pointers, mut is_whole) = (Pointers::new(), true);
    map.walk(&(0..u64::MAX), scratch, &mut |visit| {
        match visit {
            Visit::Leaf { child, index, leaf, .. } => {
                pointers.insert((None, PackKind::Meta, child.slot));
                for extent in &leaf.extents {
                    if let Content::Data { slot, .. } = extent.content {
                        pointers.insert((Some(index), PackKind::Data, slot));
                    }
                }
            }
            Visit::Inner { child, .. } => {
                pointers.insert((None, PackKind::Meta, child.slot));
            }
            Visit::Unreadable { error, .. } if error.is_damage() => is_whole = false,
            Visit::Unreadable { error, .. } => return Err(error),
        }
        Ok(())
    })?;
    Ok(is_whole.then_some(pointers))
}
