//! Which bytes of which pack are fetched in one go. Pure.

use crate::format::id::PackId;
use crate::format::pack::SlotEntry;

use super::layout::Piece;

/// Neighbouring slots with at most this much between them are fetched together.
const GAP_BYTES_MAX: u64 = 256 << 10;
/// Unless the fetch becomes longer than this.
const FETCH_BYTES_MAX: u64 = 4 << 20;

/// A slot that is needed, and where its blocks go.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) entry: SlotEntry,
    pub(super) pieces: Vec<Piece>,
}

/// One range of one pack.
#[derive(Clone, Debug)]
pub(super) struct Fetch {
    pub(super) pack: PackId,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) slots: Vec<Wanted>,
}

/// The fetches that get all of `wanted`, in the order of the pack.
pub(super) fn merge(pack: PackId, mut wanted: Vec<Wanted>) -> Vec<Fetch> {
    wanted.sort_unstable_by_key(|slot| slot.entry.offset);
    let mut fetches: Vec<Fetch> = Vec::new();
    for slot in wanted {
        let (start, length) = (slot.entry.offset, u64::from(slot.entry.stored_bytes));
        let end = start + length;
        if let Some(last) = fetches.last_mut()
            && start <= last.offset + last.length + GAP_BYTES_MAX
            && end <= last.offset + FETCH_BYTES_MAX
        {
            last.length = end - last.offset;
            last.slots.push(slot);
            continue;
        }
        fetches.push(Fetch { pack, offset: start, length, slots: vec![slot] });
    }
    fetches
}
