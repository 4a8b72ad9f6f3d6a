//! Death lists that are lost: what a version's map no longer points to and its parent's does.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::around::known;
use super::rebuilt::Rebuilt;
use crate::chain::History;
use crate::crypto::BlockHasher;
use crate::error::Result;
use crate::format::deaths::Deaths;
use crate::format::id::{PackKind, Scope, SlotRef};
use crate::format::node::Content;
use crate::map::MapReader;
use crate::map::reader::Visit;
use crate::packs::{Packs, Scratch};

/// The lists that cannot be read and can be told from the maps: a version's only list, while the
/// map of its parent is there.
pub(in crate::heal) fn lost_lists(
    history: &History,
    packs: &Arc<Packs>,
    (hasher, scratch): (&BlockHasher, &mut Scratch),
) -> Result<Vec<Rebuilt>> {
    let mut rebuilt = Vec::new();
    if history.chain.scope != Scope::Volume {
        return Ok(rebuilt);
    }
    // One that contradicts itself is a problem of its own, which a check names.
    let Ok(lineage) = history.lineage(history.needed()) else { return Ok(rebuilt) };
    for seq in lineage.members() {
        let Some(committed) = history.committed(seq) else { continue };
        let [list] = committed.commit.deaths.as_slice() else { continue };
        if known(packs.read_slot(PackKind::Meta, list, scratch))?.is_some() {
            continue;
        }
        let Some((parent, _)) = committed.commit.parent else { continue };
        let Some(before) = slots(history, packs, parent, scratch)? else { continue };
        let Some(after) = slots(history, packs, seq, scratch)? else { continue };
        let dead = before.difference(&after).copied().collect();
        let content = Deaths { dead }.encode();
        let Some(index) = known(packs.index(PackKind::Meta, list.pack))? else { continue };
        let id = index.slot(list.slot).and_then(|entry| index.ids(entry).first());
        if id == Some(&hasher.id(&content)) {
            rebuilt.push(Rebuilt::of(list, content));
        }
    }
    Ok(rebuilt)
}

/// All that a version's map points to; none if not all of it can be read.
fn slots(
    history: &History,
    packs: &Arc<Packs>,
    seq: u64,
    scratch: &mut Scratch,
) -> Result<Option<BTreeSet<(PackKind, SlotRef)>>> {
    let Some(committed) = history.committed(seq) else { return Ok(None) };
    let map = MapReader::new(Arc::clone(packs), committed.commit.root, committed.commit.disk_bytes);
    let (mut slots, mut is_whole) = (BTreeSet::new(), true);
    map.walk(&(0..u64::MAX), scratch, &mut |visit| {
        match visit {
            Visit::Leaf { child, leaf, .. } => {
                slots.insert((PackKind::Meta, child.slot));
                for extent in &leaf.extents {
                    if let Content::Data { slot, .. } = extent.content {
                        slots.insert((PackKind::Data, slot));
                    }
                }
            }
            Visit::Inner { child, .. } => drop(slots.insert((PackKind::Meta, child.slot))),
            Visit::Unreadable { error, .. } if error.is_damage() => is_whole = false,
            Visit::Unreadable { error, .. } => return Err(error),
        }
        Ok(())
    })?;
    Ok(is_whole.then_some(slots))
}
