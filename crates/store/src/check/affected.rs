//! Following the maps of live versions: does every pointer lead somewhere, and who is hurt by what
//! is damaged?

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::found::Found;
use crate::error::{Error, Result};
use crate::format::id::{PackKind, SlotRef};
use crate::format::node::{Child, Content, Extent, Leaf};
use crate::format::place;
use crate::heal::{Spot, lost_blocks};
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
    pub(super) elsewhere: Elsewhere,
}

/// What can be had of slots whose pack has lost its tables.
pub(super) struct Elsewhere {
    scratch: Scratch,
    known: HashMap<SlotRef, u16>,
}

impl Elsewhere {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { scratch: Scratch::new()?, known: HashMap::new() })
    }

    fn lost(&mut self, packs: &Packs, slot: &SlotRef) -> Result<u16> {
        if let Some(lost) = self.known.get(slot) {
            return Ok(*lost);
        }
        let lost = lost_blocks(packs, PackKind::Data, slot, &mut self.scratch)?;
        self.known.insert(*slot, lost);
        Ok(lost)
    }
}

impl MapCheck<'_> {
    /// Follows every pointer that no version before has.
    pub(super) fn follow(&mut self, map: &MapReader) -> Result<()> {
        let (packs, found, elsewhere) = (self.packs, self.found, &mut self.elsewhere);
        let (scratch, seen) = (&mut self.scratch, Some(&mut self.seen));
        map.walk_unseen(&(0..u64::MAX), scratch, seen, &mut |visit| {
            match visit {
                Visit::Leaf { leaf, .. } => follow_leaf(packs, found, (leaf, elsewhere))?,
                Visit::Inner { .. } => {}
                Visit::Unreadable { child, error, .. } => {
                    let (pack, slot) = (child.slot.pack, Some(child.slot.slot));
                    let error = about_the_object(error)?;
                    let object = place::pack(&packs.pack(PackKind::Meta, pack), 0);
                    found.spot(Spot { kind: PackKind::Meta, pack, slot }, object, &error);
                }
            }
            Ok(())
        })
    }

    /// Notes which bytes of `version` cannot be read.
    pub(super) fn hurt(&mut self, map: &MapReader, version: VersionRef) -> Result<()> {
        let (found, packs, disk_bytes) = (self.found, self.packs, map.disk_bytes());
        let elsewhere = &mut self.elsewhere;
        let cut = |range: Range<u64>| range.start.min(disk_bytes)..range.end.min(disk_bytes);
        map.walk(&(0..u64::MAX), &mut self.scratch, &mut |visit| {
            match visit {
                Visit::Leaf { index, leaf, .. } => {
                    for extent in &leaf.extents {
                        let Content::Data { slot, first } = extent.content else { continue };
                        let name = spot(PackKind::Data, &slot);
                        let Some((spot, lost)) = found.damage(name) else { continue };
                        let lost = match spot.slot {
                            Some(_) => lost,
                            // Of a pack whose tables are lost some slots may be elsewhere too.
                            None => elsewhere.lost(packs, &slot)?,
                        };
                        for range in lost_bytes(index, extent, lost >> first) {
                            found.affects(spot, version, cut(range));
                        }
                    }
                }
                Visit::Inner { .. } => {}
                Visit::Unreadable { child, leaves, error } => {
                    about_the_object(error)?;
                    let start = leaves.start.saturating_mul(LEAF_BYTES);
                    let end = leaves.end.saturating_mul(LEAF_BYTES);
                    if let Some((spot, _)) = found.damage(spot(PackKind::Meta, &child.slot)) {
                        found.affects(spot, version, cut(start..end));
                    }
                }
            }
            Ok(())
        })
    }
}

fn spot(kind: PackKind, slot: &SlotRef) -> Spot {
    Spot { kind, pack: slot.pack, slot: Some(slot.slot) }
}

/// The bytes of an extent of which `lost` has a bit per block.
fn lost_bytes(leaf: u64, extent: &Extent, lost: u16) -> Vec<Range<u64>> {
    let start = (leaf * LEAF_BLOCKS + u64::from(extent.start)) * BLOCK_BYTES;
    let blocks = (0..extent.run).filter(|at| lost.checked_shr((*at).into()).unwrap_or(0) & 1 == 1);
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for block in blocks {
        let from = start + u64::from(block) * BLOCK_BYTES;
        match ranges.last_mut() {
            Some(last) if last.end == from => last.end = from + BLOCK_BYTES,
            _ => ranges.push(from..from + BLOCK_BYTES),
        }
    }
    ranges
}

fn follow_leaf(
    packs: &Packs,
    found: &Found,
    (leaf, elsewhere): (&Leaf, &mut Elsewhere),
) -> Result<()> {
    for extent in &leaf.extents {
        let Content::Data { slot, first } = extent.content else { continue };
        let object = || place::pack(&packs.pack(PackKind::Data, slot.pack), 0);
        let index = match packs.index(PackKind::Data, slot.pack) {
            Ok(index) => index,
            Err(error) => {
                let error = about_the_object(error)?;
                let spot = Spot { slot: None, ..spot(PackKind::Data, &slot) };
                found.spot(spot, object(), &error);
                continue;
            }
        };
        let entry = find(&index, &slot).and_then(|entry| {
            let end = u16::from(first) + extent.run;
            let beyond = || Error::damaged(index.key(), "the map points beyond a slot");
            (end <= entry.blocks).then_some(()).ok_or_else(beyond)
        });
        if let Err(error) = entry {
            // A pack that was rewritten leaves to its patches what they have healed.
            let lost = match index.slot(slot.slot) {
                None => elsewhere.lost(packs, &slot)?,
                Some(_) => u16::MAX,
            };
            if lost != 0 {
                found.partly(spot(PackKind::Data, &slot), object(), &error, lost);
            }
        }
    }
    Ok(())
}

/// A backend that does not answer, or refuses to, ends the check: it says nothing about the objects.
pub(super) fn about_the_object(error: Error) -> Result<Error> {
    if error.is_no_verdict() { Err(error) } else { Ok(error) }
}
