//! Verifying one version now: everything a restore of it would read is read and authenticated.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::affected::about_the_object;
use super::found::Found;
use super::report::Problem;
use crate::error::{Error, Result};
use crate::format::id::{DomainId, PackKind};
use crate::format::node::Content;
use crate::format::place;
use crate::heal::{Spot, lost_blocks, reference};
use crate::job::{Job, Meter};
use crate::map::MapReader;
use crate::map::geometry::{BLOCK_BYTES, LEAF_BLOCKS, LEAF_BYTES};
use crate::map::reader::Visit;
use crate::packs::{Packs, Scratch};
use crate::repository::Repository;
use crate::restore::Restore;
use crate::target::BlockTarget;
use crate::version::VersionRef;

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Bytes fetched from the backend.
    pub read_bytes: u64,
    /// The byte ranges of the disk that cannot be restored, sorted; none: all can.
    pub lost: Vec<Range<u64>>,
    /// What is wrong, with all versions that are hurt by it.
    pub problems: Vec<Problem>,
}

impl Repository {
    /// Reads every slot the version needs, without writing anything anywhere.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`]; [`Error::Damaged`] or [`Error::Missing`] if the version's own
    /// records are, so that nothing of it can be restored.
    pub fn verify(&self, version: &VersionRef, job: &Job) -> Result<Verified> {
        let (packs, commit) = self.live_version(version)?;
        let meter = Meter::new(job, commit.used_bytes);
        meter.add(0, 0);
        let map = MapReader::new(Arc::clone(&packs), commit.root, commit.disk_bytes);
        let nowhere = Nowhere(commit.disk_bytes);
        match Restore::new(&packs, &map, &nowhere, &meter, self.options.threads).run() {
            Ok(stats) => Ok(Verified { read_bytes: stats.fetched_bytes, ..Verified::default() }),
            Err(Error::Incomplete { first, .. }) if first.is_no_verdict() => Err(*first),
            Err(Error::Incomplete { ranges: lost, .. }) => {
                let spots = spots_in(&map, &lost)?;
                let problems = self.recheck(&version.chain.domain(), &spots, job)?;
                Ok(Verified { read_bytes: 0, lost, problems })
            }
            Err(error) => Err(error),
        }
    }

    /// What is wrong in a domain now: which of `spots` still are lost, what else its listing, logs
    /// and maps show, and which versions are hurt by it.
    ///
    /// If the tenant's key cannot be read, or was destroyed, that is the one problem: its object is the
    /// tenant's prefix, and nothing of the tenant can be restored.
    ///
    /// # Errors
    /// Only if the backend does not answer.
    pub fn recheck(&self, domain: &DomainId, spots: &[Spot], job: &Job) -> Result<Vec<Problem>> {
        let found = Found::default();
        let keys = match self.tenant(domain.tenant) {
            Ok(keys) => keys,
            Err(error) if error.is_no_verdict() => return Err(error),
            Err(error) => {
                found.record(place::tenant(domain.tenant), error);
                return Ok(found.into_problems(*domain));
            }
        };
        if let Some(keys) = keys {
            let packs = Packs::new(Arc::clone(&self.backend), keys, *domain);
            let mut scratch = Scratch::new()?;
            for spot in spots {
                match look_again(&packs, spot, &found, &mut scratch) {
                    Err(error) if error.is_no_verdict() => return Err(error),
                    Err(error) => {
                        found.spot(
                            *spot,
                            place::pack(&packs.pack(spot.kind, spot.pack), 0),
                            &error,
                        );
                    }
                    Ok(()) => {}
                }
            }
        }
        self.settle(domain, &found, job)
    }
}

fn look_again(packs: &Packs, spot: &Spot, found: &Found, scratch: &mut Scratch) -> Result<()> {
    let object = place::pack(&packs.pack(spot.kind, spot.pack), 0);
    let index = match packs.index(spot.kind, spot.pack) {
        Ok(index) => index,
        Err(error) if error.is_damage() => {
            found.spot(Spot { slot: None, ..*spot }, object, &error);
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let Some(number) = spot.slot else { return Ok(()) };
    // Not there any more: nobody needed it.
    let Some(entry) = index.slot(number) else { return Ok(()) };
    let lost = lost_blocks(packs, spot.kind, &reference(spot.pack, entry), scratch)?;
    let lost = lost & (u16::MAX >> (16 - entry.blocks.clamp(1, 16)));
    if lost != 0 {
        let error = Error::damaged(index.key(), format!("slot {number}: a slot does not open"));
        found.partly(*spot, index.key(), &error, lost);
    }
    Ok(())
}

/// The slots and nodes behind these bytes.
fn spots_in(map: &MapReader, lost: &[Range<u64>]) -> Result<Vec<Spot>> {
    let is_lost = |bytes: Range<u64>| {
        lost.iter().any(|range| range.start < bytes.end && bytes.start < range.end)
    };
    let mut spots = Vec::new();
    let mut scratch = Scratch::new()?;
    map.walk(&(0..u64::MAX), &mut scratch, &mut |visit| {
        match visit {
            Visit::Leaf { index, leaf, .. } if is_lost(leaf_bytes(index)) => {
                for extent in &leaf.extents {
                    let Content::Data { slot, .. } = extent.content else { continue };
                    let start = (index * LEAF_BLOCKS + u64::from(extent.start)) * BLOCK_BYTES;
                    if is_lost(start..start + u64::from(extent.run) * BLOCK_BYTES) {
                        let (kind, pack, slot) = (PackKind::Data, slot.pack, Some(slot.slot));
                        spots.push(Spot { kind, pack, slot });
                    }
                }
            }
            Visit::Leaf { .. } | Visit::Inner { .. } => {}
            Visit::Unreadable { child, error, .. } => {
                about_the_object(error)?;
                let (pack, slot) = (child.slot.pack, Some(child.slot.slot));
                spots.push(Spot { kind: PackKind::Meta, pack, slot });
            }
        }
        Ok(())
    })?;
    spots.sort_unstable();
    spots.dedup();
    Ok(spots)
}

const fn leaf_bytes(index: u64) -> Range<u64> {
    index * LEAF_BYTES..(index + 1) * LEAF_BYTES
}

/// A target that keeps nothing.
struct Nowhere(u64);

impl BlockTarget for Nowhere {
    fn size_bytes(&self) -> u64 {
        self.0
    }

    fn is_known_zero(&self) -> bool {
        true
    }

    fn write_at(&self, _offset: u64, _data: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn zero(&self, _range: Range<u64>) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}
