//! What of one pack any map still points to. Asked where the pack's own tables are lost.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::plan::PackName;
use super::shared::Books;
use crate::chain::History;
use crate::error::Result;
use crate::format::id::{PackKind, SlotRef};
use crate::format::node::Content;
use crate::map::MapReader;
use crate::map::reader::Visit;
use crate::packs::{Packs, Scratch};

/// The slots of `name` that a version of any chain of the domain needs, in its map or as a list. `None`: a
/// map cannot be read, so it may be any.
pub(super) fn needed_slots(
    books: &Books,
    packs: &Arc<Packs>,
    name: PackName,
) -> Result<Option<BTreeSet<u32>>> {
    let (mut needed, mut is_whole) = (BTreeSet::new(), true);
    for history in &books.histories {
        is_whole &= add_needed(history, packs, name, &mut needed)?;
    }
    Ok(is_whole.then_some(needed))
}

/// Adds what one chain needs; false if a map of it cannot be read.
fn add_needed(
    history: &History,
    packs: &Arc<Packs>,
    name: PackName,
    needed: &mut BTreeSet<u32>,
) -> Result<bool> {
    let live = history.needed();
    let mut add = |kind: PackKind, slot: &SlotRef| {
        if (kind, slot.pack) == name {
            needed.insert(slot.slot);
        }
    };
    for seq in history.lineage(live.clone())?.members() {
        let lists = history.committed(seq).map(|committed| committed.commit.lists());
        lists.into_iter().flatten().for_each(|list| add(PackKind::Meta, list));
    }
    let (mut scratch, mut seen, mut is_whole) = (Scratch::new()?, HashSet::new(), true);
    for seq in live {
        let Some(committed) = history.committed(seq) else { continue };
        let commit = &committed.commit;
        let map = MapReader::new(Arc::clone(packs), commit.root, commit.disk_bytes);
        map.walk_unseen(&(0..u64::MAX), &mut scratch, Some(&mut seen), &mut |visit| {
            match visit {
                Visit::Leaf { child, leaf, .. } => {
                    add(PackKind::Meta, &child.slot);
                    for extent in &leaf.extents {
                        if let Content::Data { slot, .. } = extent.content {
                            add(PackKind::Data, &slot);
                        }
                    }
                }
                Visit::Inner { child, .. } => add(PackKind::Meta, &child.slot),
                Visit::Unreadable { error, .. } if error.is_damage() => is_whole = false,
                Visit::Unreadable { error, .. } => return Err(error),
            }
            Ok(())
        })?;
    }
    Ok(is_whole)
}
