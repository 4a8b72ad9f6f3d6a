//! Which bytes of which pack are fetched in one go. Pure.

use std::ops::Range;

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
    let spans: Vec<Range<u64>> = wanted.iter().map(|slot| span(&slot.entry)).collect();
    let mut rest = wanted.into_iter();
    let fetch = |(range, count): (Range<u64>, usize)| Fetch {
        pack,
        offset: range.start,
        length: range.end - range.start,
        slots: rest.by_ref().take(count).collect(),
    };
    join(&spans).into_iter().map(fetch).collect()
}

fn span(entry: &SlotEntry) -> Range<u64> {
    entry.offset..entry.offset + u64::from(entry.stored_bytes)
}

/// Sorted spans joined to ranges worth fetching at once, and how many spans each has.
fn join(spans: &[Range<u64>]) -> Vec<(Range<u64>, usize)> {
    let mut joined: Vec<(Range<u64>, usize)> = Vec::new();
    for span in spans {
        match joined.last_mut() {
            Some((range, count))
                if span.start <= range.end + GAP_BYTES_MAX
                    && span.end <= range.start + FETCH_BYTES_MAX =>
            {
                range.end = span.end;
                *count += 1;
            }
            _ => joined.push((span.clone(), 1)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_fetched_together_unless_far_apart_or_too_long() {
        const MIB: u64 = 1 << 20;
        const GAP: u64 = MIB / 4;
        let apart = GAP + 11;
        assert_eq!(join(&[]), []);
        assert_eq!(join(&[64..100, 100..150]), [(64..150, 2)]);
        assert_eq!(join(&[0..10, apart - 1..apart]), [(0..apart, 2)], "just near enough");
        assert_eq!(join(&[0..10, apart..apart + 1]), [(0..10, 1), (apart..apart + 1, 1)]);
        let spans: Vec<_> = (0..5).map(|at| at * MIB..(at + 1) * MIB).collect();
        assert_eq!(join(&spans), [(0..4 * MIB, 4), (4 * MIB..5 * MIB, 1)]);
    }
}
