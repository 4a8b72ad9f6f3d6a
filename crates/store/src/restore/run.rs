//! Restoring a whole disk: in the order of the packs, on all threads.
//!
//! What cannot be read does not stop the rest: at the end the call fails and names the byte
//! ranges that were not restored (P1). What cannot be written stops everything.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::fetch::{Fetch, Wanted, merge};
use super::layout::{Layout, Piece, WINDOW_LEAVES};
use crate::error::{Error, Result};
use crate::format::BLOCK_BYTES;
use crate::format::id::{PackId, PackKind, SlotRef};
use crate::job::Meter;
use crate::map::MapReader;
use crate::map::geometry::leaves;
use crate::packs::{Packs, Scratch, find};
use crate::planted::{self, Bug};
use crate::size::to_usize;
use crate::target::BlockTarget;
use crate::version::RestoreStats;
use crate::write::stop::{Stop, Stopped};

/// Workers for each thread that was asked for: while some decode, others wait for the target.
const WORKERS_PER_THREAD: usize = 2;
/// How much is written before the target is told to flush it.
const FLUSH_BYTES: u64 = 128 << 20;

/// What could not be read.
#[derive(Debug, Default)]
struct Lost {
    ranges: Vec<Range<u64>>,
    first: Option<Error>,
}

impl Lost {
    fn add(&mut self, ranges: impl IntoIterator<Item = Range<u64>>, error: Error) {
        let before = self.ranges.len();
        self.ranges.extend(ranges);
        // A reason that may be gone the next time comes before damage: only then it is certain
        // what is lost for good.
        let is_first =
            self.first.as_ref().is_none_or(|first| error.is_no_verdict() && !first.is_no_verdict());
        if self.ranges.len() > before && is_first {
            self.first = Some(error);
        }
    }
}

/// One restore.
pub(crate) struct Restore<'a> {
    packs: &'a Packs,
    map: &'a MapReader,
    target: &'a dyn BlockTarget,
    meter: &'a Meter<'a>,
    threads: usize,
    lost: Mutex<Lost>,
    written_bytes: AtomicU64,
    fetched_bytes: AtomicU64,
    /// What had been written when the last flush was asked for.
    flushed_bytes: AtomicU64,
}

impl<'a> Restore<'a> {
    pub(crate) fn new(
        packs: &'a Packs,
        map: &'a MapReader,
        target: &'a dyn BlockTarget,
        meter: &'a Meter<'a>,
        threads: usize,
    ) -> Self {
        Self {
            packs,
            map,
            target,
            meter,
            threads,
            lost: Mutex::default(),
            written_bytes: AtomicU64::new(0),
            fetched_bytes: AtomicU64::new(0),
            flushed_bytes: AtomicU64::new(0),
        }
    }

    /// Restores everything that can be restored.
    pub(crate) fn run(self) -> Result<RestoreStats> {
        let mut scratch = Scratch::new()?;
        let end = leaves(self.map.disk_bytes());
        let mut start = 0;
        while start < end {
            self.meter.check_cancelled()?;
            let window = start..(start + WINDOW_LEAVES).min(end);
            start = window.end;
            let layout = Layout::of(self.map, window, &mut scratch)?;
            self.window(layout, &mut scratch)?;
        }
        self.target.flush().map_err(|source| Error::Target { offset: 0, source })?;
        let mut lost = self.lost.into_inner().unwrap_or_else(PoisonError::into_inner);
        if planted::has(Bug::LossForgotten) {
            lost.first = None;
        }
        if let Some(first) = lost.first {
            lost.ranges.sort_unstable_by_key(|range| range.start);
            return Err(Error::Incomplete { ranges: merged(lost.ranges), first: Box::new(first) });
        }
        Ok(RestoreStats {
            written_bytes: self.written_bytes.into_inner(),
            fetched_bytes: self.fetched_bytes.into_inner(),
        })
    }

    fn window(&self, layout: Layout, scratch: &mut Scratch) -> Result<()> {
        for (range, error) in layout.lost {
            self.lock().add([range], error);
        }
        if !self.target.is_known_zero() && !planted::has(Bug::HolesNotZeroed) {
            for hole in layout.holes {
                self.meter.check_cancelled()?;
                let offset = hole.start;
                self.target.zero(hole).map_err(|source| Error::Target { offset, source })?;
            }
        }
        let fetches = self.fetches(layout.pieces, scratch)?;
        let (stop, next) = (Stop::default(), AtomicUsize::new(0));
        let (wake, woken) = bounded(1);
        if self.threads == 0 {
            // Nobody flushes on the way; at the end of the restore everything is.
            drop(woken);
            self.work(&fetches, &next, &wake, &stop).unwrap_or_default();
            return stop.finish();
        }
        thread::scope(|scope| {
            scope.spawn(|| self.flush(woken, &stop));
            for _ in 0..self.threads * WORKERS_PER_THREAD {
                let wake = wake.clone();
                let (fetches, next, stop) = (&fetches, &next, &stop);
                scope.spawn(move || self.work(fetches, next, &wake, stop));
            }
            drop(wake);
        });
        stop.finish()
    }

    /// Sends what is written on its way to the disk while the rest is decoded, instead of all of
    /// it at the end.
    fn flush(&self, woken: Receiver<()>, stop: &Stop) -> Result<(), Stopped> {
        for () in woken {
            let flushed = self.target.flush();
            stop.check(flushed.map_err(|source| Error::Target { offset: 0, source }))?;
        }
        Ok(())
    }

    /// The fetches of a window, pack by pack. Slots that are not in their pack are dealt with.
    fn fetches(
        &self,
        pieces: BTreeMap<SlotRef, Vec<Piece>>,
        scratch: &mut Scratch,
    ) -> Result<Vec<Fetch>> {
        let mut by_pack: BTreeMap<PackId, Vec<(SlotRef, Vec<Piece>)>> = BTreeMap::new();
        for (slot, pieces) in pieces {
            by_pack.entry(slot.pack).or_default().push((slot, pieces));
        }
        let mut fetches = Vec::new();
        for (pack, slots) in by_pack {
            self.meter.check_cancelled()?;
            let index = self.packs.index(PackKind::Data, pack);
            let mut wanted = Vec::with_capacity(slots.len());
            for (slot, pieces) in slots {
                match index.as_ref().map(|index| find(index, &slot)) {
                    Ok(Ok(entry)) => wanted.push(Wanted { entry: *entry, pieces }),
                    // Not where it should be; perhaps somewhere else.
                    _ => self.write_opened(
                        self.packs.read_blocks(PackKind::Data, &slot, scratch),
                        &pieces,
                        scratch,
                    )?,
                }
            }
            fetches.extend(merge(pack, wanted));
        }
        Ok(fetches)
    }

    fn work(
        &self,
        fetches: &[Fetch],
        next: &AtomicUsize,
        wake: &Sender<()>,
        stop: &Stop,
    ) -> Result<(), Stopped> {
        let mut scratch = stop.check(Scratch::new())?;
        let mut buffer = Vec::new();
        while let Some(fetch) = fetches.get(next.fetch_add(1, Ordering::Relaxed)) {
            stop.check(self.meter.check_cancelled())?;
            stop.check(self.fetch(fetch, &mut buffer, &mut scratch))?;
            let written = self.written_bytes.load(Ordering::Relaxed);
            let flushed = self.flushed_bytes.load(Ordering::Relaxed);
            if written.saturating_sub(flushed) > FLUSH_BYTES && wake.try_send(()).is_ok() {
                self.flushed_bytes.store(written, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn fetch(&self, fetch: &Fetch, buffer: &mut Vec<u8>, scratch: &mut Scratch) -> Result<()> {
        let index = self.packs.index(PackKind::Data, fetch.pack);
        let read = match &index {
            Ok(index) => self.packs.read_range(index, fetch.offset, fetch.length, buffer),
            Err(_) => Ok(None),
        };
        let is_read = matches!(read, Ok(Some(())));
        if is_read {
            self.fetched_bytes.fetch_add(fetch.length, Ordering::Relaxed);
        } else {
            // Moved by a compaction, or a bad spot somewhere in the range: slot by slot then.
            self.packs.forget(PackKind::Data, fetch.pack);
        }
        for wanted in &fetch.slots {
            let opened = match &index {
                Ok(index) if is_read => {
                    let start = to_usize(wanted.entry.offset - fetch.offset);
                    let length = wanted.entry.stored_bytes as usize;
                    // Another generation may have come in between and have other offsets.
                    match index.slot(wanted.entry.head.slot) {
                        Some(entry)
                            if *entry == wanted.entry
                                && scratch
                                    .open(index, entry, &buffer[start..start + length])
                                    .is_ok() =>
                        {
                            Ok(())
                        }
                        _ => self.single(fetch.pack, wanted, scratch),
                    }
                }
                _ => self.single(fetch.pack, wanted, scratch),
            };
            self.write_opened(opened, &wanted.pieces, scratch)?;
        }
        let bytes: u64 = fetch.slots.iter().map(|wanted| self.bytes_of(&wanted.pieces)).sum();
        self.meter.add(bytes, fetch.length);
        Ok(())
    }

    fn single(&self, pack: PackId, wanted: &Wanted, scratch: &mut Scratch) -> Result<()> {
        let slot = SlotRef {
            pack,
            slot: wanted.entry.head.slot,
            birth: 0,
            stored_bytes: wanted.entry.stored_bytes,
        };
        self.fetched_bytes.fetch_add(u64::from(slot.stored_bytes), Ordering::Relaxed);
        self.packs.read_blocks(PackKind::Data, &slot, scratch)
    }

    /// Writes what could be opened, notes what could not.
    fn write_opened(&self, opened: Result<()>, pieces: &[Piece], scratch: &Scratch) -> Result<()> {
        // It may have been read for long, and the disk be somebody else's by now.
        self.meter.check_cancelled()?;
        match opened {
            Ok(()) if scratch.lost == 0 => self.write(pieces, &scratch.plain),
            Ok(()) => {
                let blocks: Vec<Piece> = pieces.iter().flat_map(Piece::blocks).collect();
                let is_lost = |piece: &Piece| scratch.lost >> piece.first & 1 == 1;
                let (lost, there): (Vec<Piece>, Vec<Piece>) =
                    blocks.iter().partition(|p| is_lost(p));
                self.lose(&lost, Error::damaged("a pack", "blocks of a slot are lost"));
                self.write(&there, &scratch.plain)
            }
            Err(error) => {
                self.lose(pieces, error);
                Ok(())
            }
        }
    }

    fn write(&self, pieces: &[Piece], plain: &[u8]) -> Result<()> {
        for piece in pieces {
            let bytes = piece.bytes(self.map.disk_bytes());
            let start = usize::from(piece.first) * BLOCK_BYTES;
            let length = to_usize(bytes.end - bytes.start);
            let Some(data) = plain.get(start..start + length) else {
                self.lose([piece], Error::damaged("the map", "it points beyond a slot"));
                continue;
            };
            self.target
                .write_at(bytes.start, data)
                .map_err(|source| Error::Target { offset: bytes.start, source })?;
            self.written_bytes.fetch_add(length as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    fn lose<'p>(&self, pieces: impl IntoIterator<Item = &'p Piece>, error: Error) {
        let disk_bytes = self.map.disk_bytes();
        self.lock().add(pieces.into_iter().map(|piece| piece.bytes(disk_bytes)), error);
    }

    fn bytes_of(&self, pieces: &[Piece]) -> u64 {
        let disk_bytes = self.map.disk_bytes();
        let bytes = pieces.iter().map(|piece| piece.bytes(disk_bytes));
        bytes.map(|range| range.end - range.start).sum()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Lost> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sorted ranges, joined where they touch.
fn merged(ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}
