//! Extents: a disk described as runs with the same flags.

use std::ops::Range;

/// A run of bytes with the same flags in one context.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// Bytes; never 0.
    pub length: u64,
    /// The flags as the protocol has them; their meaning depends on the context.
    pub flags: u64,
}

impl Extent {
    /// `base:allocation`: the range takes no space.
    pub const HOLE: u64 = 1;
    /// `base:allocation`: the range reads as zeroes.
    pub const ZERO: u64 = 2;
    /// `qemu:dirty-bitmap:*`: the range was changed.
    pub const DIRTY: u64 = 1;

    /// A run that holds data, or that did not change.
    pub const fn plain(length: u64) -> Self {
        Self { length, flags: 0 }
    }

    /// A run that takes no space and reads as zeroes.
    pub const fn hole(length: u64) -> Self {
        Self { length, flags: Self::HOLE | Self::ZERO }
    }

    /// A run that was changed.
    pub const fn dirty(length: u64) -> Self {
        Self { length, flags: Self::DIRTY }
    }

    /// In `base:allocation`: whether the run reads as zeroes.
    pub const fn is_zero(self) -> bool {
        self.flags & Self::ZERO != 0
    }

    /// In a dirty bitmap's context: whether the run was changed.
    pub const fn is_dirty(self) -> bool {
        self.flags & Self::DIRTY != 0
    }
}

/// Extents under construction: neighbours with the same flags become one.
#[derive(Debug, Default)]
pub struct Extents(Vec<Extent>);

impl Extents {
    /// Adds a run after the last one. An empty one is dropped.
    pub fn push(&mut self, extent: Extent) {
        match self.0.last_mut() {
            _ if extent.length == 0 => {}
            Some(last) if last.flags == extent.flags => {
                last.length = last.length.saturating_add(extent.length);
            }
            _ => self.0.push(extent),
        }
    }

    /// How many runs there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The runs.
    pub fn into_vec(self) -> Vec<Extent> {
        self.0
    }
}

/// What others say of `range`, made fit for an answer: merged, cut at the range's end, at
/// most `most` runs. Empty if they say nothing.
pub(crate) fn fitted(found: &[Extent], range: &Range<u64>, most: usize) -> Vec<Extent> {
    let mut left = range.end.saturating_sub(range.start);
    let mut extents = Extents::default();
    for extent in found {
        let length = extent.length.min(left);
        left -= length;
        extents.push(Extent { length, flags: extent.flags });
        if left == 0 || extents.count() > most {
            break;
        }
    }
    let mut extents = extents.into_vec();
    extents.truncate(most);
    extents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_merged_and_stays_within_the_range() {
        let found = [Extent::plain(10), Extent::plain(0), Extent::plain(5), Extent::hole(u64::MAX)];
        assert_eq!(fitted(&found, &(100..120), 9), [Extent::plain(15), Extent::hole(5)]);
        assert_eq!(fitted(&found, &(100..120), 1), [Extent::plain(15)]);
        assert_eq!(fitted(&found, &(100..104), 9), [Extent::plain(4)]);
        assert!(fitted(&[], &(0..9), 9).is_empty());
    }
}
