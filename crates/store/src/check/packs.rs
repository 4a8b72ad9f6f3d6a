//! Checking the packs of one domain: tables always, every byte and every slot if asked to.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use super::affected::about_the_object;
use super::found::Found;
use crate::backend::Key;
use crate::crypto::BlockHasher;
use crate::error::{Error, Result};
use crate::format::id::PackRef;
use crate::format::pack::{PackIndex, SlotEntry};
use crate::format::place;
use crate::heal::{Spot, lost_blocks, reference};
use crate::job::Meter;
use crate::packs::{Packs, Scratch};
use crate::size::to_usize;
use crate::version::CheckDepth;
use crate::write::packer::has_ids;
use crate::write::stop::{Stop, Stopped};

/// One object of a pack, as listed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed {
    pub(super) pack: PackRef,
    pub(super) generation: u32,
    pub(super) object_bytes: u64,
    /// What the version that wrote it recorded, for first generations of committed packs.
    pub(super) expected_bytes: Option<u64>,
    /// There is a newer generation.
    pub(super) has_newer: bool,
}

/// What became of the slots of one object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum SlotsSeen {
    Sound,
    /// Some are damaged, and can be read elsewhere.
    Healed,
    /// Some are damaged, and something is lost.
    Damaged,
}

/// The packs of one domain under check.
pub(super) struct PackCheck<'a> {
    pub(super) packs: &'a Packs,
    pub(super) hasher: &'a BlockHasher,
    pub(super) depth: CheckDepth,
    pub(super) found: &'a Found,
    pub(super) meter: &'a Meter<'a>,
    pub(super) read_bytes: &'a AtomicU64,
}

impl PackCheck<'_> {
    /// Checks all of `listed` on `threads` threads; on none: in the caller's.
    pub(super) fn run(&self, listed: &[Listed], threads: usize) -> Result<()> {
        let (stop, next) = (Stop::default(), AtomicUsize::new(0));
        if threads == 0 {
            self.work(listed, &next, &stop).unwrap_or_default();
            return stop.finish();
        }
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| self.work(listed, &next, &stop));
            }
        });
        stop.finish()
    }

    fn work(&self, listed: &[Listed], next: &AtomicUsize, stop: &Stop) -> Result<(), Stopped> {
        let mut scratch = stop.check(Scratch::new())?;
        while let Some(one) = listed.get(next.fetch_add(1, Ordering::Relaxed)) {
            stop.check(self.meter.check_cancelled())?;
            stop.check(self.object(one, &mut scratch))?;
            self.meter.add(one.object_bytes, 0);
        }
        Ok(())
    }

    pub(super) fn object(&self, one: &Listed, scratch: &mut Scratch) -> Result<()> {
        let key = place::pack(&one.pack, one.generation);
        if let Some(expected) = one.expected_bytes
            && expected != one.object_bytes
        {
            let what = format!("it has {} bytes instead of {expected}", one.object_bytes);
            self.damaged(one, &key, &Error::damaged(&key, what))?;
        }
        let checked = match self.depth {
            CheckDepth::Structure => self.tables(one).map(drop),
            CheckDepth::ReadData => self.whole(one, &key, scratch),
        };
        match checked {
            Err(error) => self.damaged(one, &key, &about_the_object(error)?),
            Ok(()) => Ok(()),
        }
    }

    fn tables(&self, one: &Listed) -> Result<Option<PackIndex>> {
        let (backend, keys) = (self.packs.backend(), self.packs.keys());
        // An object that is gone since it was listed was compacted; its slots are looked for by
        // the walk through the maps.
        PackIndex::read(backend, &one.pack, one.generation, keys)
    }

    fn whole(&self, one: &Listed, key: &Key, scratch: &mut Scratch) -> Result<()> {
        let Some(object) = self.packs.backend().get(key)? else { return Ok(()) };
        self.read_bytes.fetch_add(object.len() as u64, Ordering::Relaxed);
        match PackIndex::open(&object, &one.pack, one.generation, self.packs.keys()) {
            Ok(index) => drop(self.slots(&index, &object, key, scratch)?),
            Err(error) => {
                // The object is damaged somewhere. If its tables are not, they tell where.
                let index = match self.tables(one) {
                    Ok(Some(index)) => index,
                    Err(again) => return about_the_object(again).and(Err(error)),
                    Ok(None) => return Err(error),
                };
                let seen = self.slots(&index, &object, key, scratch)?;
                // A newer generation with all of its slots is what a repair leaves.
                let is_replaced = one.has_newer && seen == SlotsSeen::Sound;
                if seen == SlotsSeen::Healed || is_replaced {
                    self.found.healed();
                } else {
                    self.found.record(key, &error);
                }
            }
        }
        Ok(())
    }

    fn slots(
        &self,
        index: &PackIndex,
        object: &[u8],
        key: &Key,
        scratch: &mut Scratch,
    ) -> Result<SlotsSeen> {
        let (pack, mut seen) = (index.pack(), SlotsSeen::Sound);
        for entry in index.slots() {
            let has = u16::MAX >> (16 - entry.blocks.clamp(1, 16));
            let (error, lost) = match self.slot(index, entry, object, scratch) {
                Ok(true) => continue,
                Ok(false) => {
                    let what = format!("slot {} is not what its id says", entry.head.slot);
                    (Error::damaged(key, what), has)
                }
                Err(error) => {
                    let wanted = reference(pack.id, entry);
                    (error, has & lost_blocks(self.packs, pack.kind, &wanted, scratch)?)
                }
            };
            if lost == 0 {
                seen = seen.max(SlotsSeen::Healed);
                continue;
            }
            seen = SlotsSeen::Damaged;
            let slot = Some(entry.head.slot);
            let spot = Spot { kind: pack.kind, pack: pack.id, slot };
            self.found.partly(spot, key, &error, lost);
        }
        Ok(seen)
    }

    /// Whether a slot that opens is what its id says.
    fn slot(
        &self,
        index: &PackIndex,
        entry: &SlotEntry,
        object: &[u8],
        scratch: &mut Scratch,
    ) -> Result<bool> {
        let start = to_usize(entry.offset);
        let wrong =
            |what: &str| Error::damaged(index.key(), format!("slot {} {what}", entry.head.slot));
        let sealed = object.get(start..start + entry.stored_bytes as usize);
        scratch.open(index, entry, sealed.ok_or_else(|| wrong("is cut off"))?)?;
        Ok(has_ids(&scratch.plain, index.ids(entry), self.hasher, index.pack().kind))
    }

    fn damaged(&self, one: &Listed, key: &Key, error: &Error) -> Result<()> {
        let (kind, pack) = (one.pack.kind, one.pack.id);
        if !one.has_newer {
            self.found.spot(Spot { kind, pack, slot: None }, key, error);
            return Ok(());
        }
        // The other one is read instead; if it lacks something, following the maps tells.
        match self.packs.index(kind, pack) {
            Ok(_) => self.found.healed(),
            Err(other) if other.is_no_verdict() => return Err(other),
            Err(_) => self.found.record(key, error),
        }
        Ok(())
    }
}
