//! Which nodes of the maps that are needed cannot be read, and where they belong.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use crate::chain::History;
use crate::error::Result;
use crate::format::node::Child;
use crate::map::MapReader;
use crate::map::geometry::leaves_below;
use crate::map::reader::Visit;
use crate::packs::{Packs, Scratch};

/// How many lost nodes are dealt with at once.
const NODES_MAX: usize = 256;

/// A node that cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LostNode {
    /// The pointer to it.
    pub(super) child: Child,
    pub(super) level: u8,
    /// Which node of its level.
    pub(super) index: u64,
    /// The oldest version that stays and points to it.
    pub(super) holder: u64,
}

impl LostNode {
    /// The leaves it is or covers.
    pub(crate) fn leaves(&self) -> Range<u64> {
        let width = leaves_below(self.level);
        self.index * width..(self.index + 1) * width
    }

    pub(crate) const fn is_leaf(&self) -> bool {
        self.level == 0
    }
}

/// The lost nodes below which nothing can be seen: what else is lost below one is seen later.
pub(crate) fn lost_nodes(
    history: &History,
    packs: &Arc<Packs>,
    scratch: &mut Scratch,
) -> Result<Vec<LostNode>> {
    let (mut lost, mut seen) = (Vec::new(), HashSet::new());
    for holder in history.needed() {
        let Some(committed) = history.committed(holder) else { continue };
        let commit = &committed.commit;
        let map = MapReader::new(Arc::clone(packs), commit.root, commit.disk_bytes);
        map.walk_unseen(&(0..u64::MAX), scratch, Some(&mut seen), &mut |visit| {
            match visit {
                Visit::Unreadable { child, leaves, error } if error.is_damage() => {
                    let width = leaves.end - leaves.start;
                    let level = u8::try_from(width.trailing_zeros() / 8).unwrap_or(u8::MAX);
                    if lost.len() < NODES_MAX {
                        let index = leaves.start / width.max(1);
                        lost.push(LostNode { child: *child, level, index, holder });
                    }
                }
                Visit::Unreadable { error, .. } => return Err(error),
                Visit::Leaf { .. } | Visit::Inner { .. } => {}
            }
            Ok(())
        })?;
    }
    Ok(lost)
}
