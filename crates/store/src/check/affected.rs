//! Following the maps of live versions: does every pointer lead somewhere, and who is hurt by what
//! is damaged?

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::found::Found;
use crate::error::{Error, Result};
use crate::format::id::PackKind;
use crate::format::node::{Child, Content, Extent, Leaf};
use crate::format::place;
use crate::map::MapReader;
use crate::map::geometry::{BLOCK_BYTES, LEAF_BLOCKS, LEAF_BYTES};
use crate::map::reader::Visit;
use crate::packs::{Packs, Scratch, find};
use crate::version::VersionRef;

/// The maps of one domain.
pub(super) struct MapCheck<'a> {
    pub(super) packs: &'a Arc<Packs>,
    pub(super) found: &'a Found,
    pub(super) scratch: Scratch,
    /// Subtrees that were looked at through another version.
    pub(super) seen: HashSet<Child>,
}

impl MapCheck<'_> {
    /// Follows every pointer that no version before has.
    pub(super) fn follow(&mut self, map: &MapReader) -> Result<()> {
        let (packs, found) = (self.packs, self.found);
        let (scratch, seen) = (&mut self.scratch, Some(&mut self.seen));
        map.walk_unseen(&(0..u64::MAX), scratch, seen, &mut |visit| {
            match visit {
                Visit::Leaf { leaf, .. } => follow_leaf(packs, found, leaf)?,
                Visit::Inner { .. } => {}
                Visit::Unreadable { child, error, .. } => {
                    let (pack, slot) = (child.slot.pack, Some(child.slot.slot));
                    give_up_on(&error)?;
                    let object = place::pack(&packs.pack(PackKind::Meta, pack), 0);
                    found.spot((PackKind::Meta, pack, slot), object, &error);
                }
            }
            Ok(())
        })
    }

    /// Notes which bytes of `version` cannot be read.
    pub(super) fn hurt(&mut self, map: &MapReader, version: VersionRef) -> Result<()> {
        let (found, disk_bytes) = (self.found, map.disk_bytes());
        let cut = |range: Range<u64>| range.start.min(disk_bytes)..range.end.min(disk_bytes);
        map.walk(&(0..u64::MAX), &mut self.scratch, &mut |visit| {
            match visit {
                Visit::Leaf { index, leaf, .. } => {
                    for extent in &leaf.extents {
                        if let Content::Data { slot, .. } = extent.content {
                            let range = cut(extent_bytes(index, extent));
                            found.affects((PackKind::Data, slot.pack, slot.slot), version, range);
                        }
                    }
                }
                Visit::Inner { .. } => {}
                Visit::Unreadable { child, leaves, .. } => {
                    let start = leaves.start.saturating_mul(LEAF_BYTES);
                    let end = leaves.end.saturating_mul(LEAF_BYTES);
                    let slot = (PackKind::Meta, child.slot.pack, child.slot.slot);
                    found.affects(slot, version, cut(start..end));
                }
            }
            Ok(())
        })
    }
}

fn extent_bytes(leaf: u64, extent: &Extent) -> Range<u64> {
    let start = (leaf * LEAF_BLOCKS + u64::from(extent.start)) * BLOCK_BYTES;
    start..start + u64::from(extent.run) * BLOCK_BYTES
}

fn follow_leaf(packs: &Packs, found: &Found, leaf: &Leaf) -> Result<()> {
    for extent in &leaf.extents {
        let Content::Data { slot, first } = extent.content else { continue };
        let object = || place::pack(&packs.pack(PackKind::Data, slot.pack), 0);
        let index = match packs.index(PackKind::Data, slot.pack) {
            Ok(index) => index,
            Err(error) => {
                give_up_on(&error)?;
                found.spot((PackKind::Data, slot.pack, None), object(), &error);
                continue;
            }
        };
        let entry = find(&index, &slot).and_then(|entry| {
            let end = u16::from(first) + extent.run;
            let beyond = || Error::damaged(index.key(), "the map points beyond a slot");
            (end <= entry.blocks).then_some(()).ok_or_else(beyond)
        });
        if let Err(error) = entry {
            found.spot((PackKind::Data, slot.pack, Some(slot.slot)), object(), &error);
        }
    }
    Ok(())
}

/// A backend that does not answer ends the check: it says nothing about the objects.
fn give_up_on(error: &Error) -> Result<()> {
    match error {
        Error::Backend(inner) if error.is_transient() => {
            Err(Error::Implausible { what: format!("the backend does not answer: {inner}") })
        }
        _ => Ok(()),
    }
}
