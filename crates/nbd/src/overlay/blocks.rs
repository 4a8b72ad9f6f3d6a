//! A set of blocks, as bits.

use std::ops::Range;

/// Which of a fixed number of blocks are in the set.
#[derive(Debug)]
pub(super) struct Blocks {
    words: Vec<u64>,
    count: u64,
}

impl Blocks {
    /// An empty set among `count` blocks; none if they do not fit into memory.
    pub(super) fn new(count: u64) -> Option<Self> {
        let words = usize::try_from(count.div_ceil(64)).ok()?;
        // Zeroed memory of the system: costs nothing before it is touched.
        (words <= isize::MAX as usize / 8).then(|| Self { words: vec![0; words], count })
    }

    pub(super) fn has(&self, block: u64) -> bool {
        let word = usize::try_from(block / 64).ok().and_then(|at| self.words.get(at));
        word.is_some_and(|word| word >> (block % 64) & 1 == 1)
    }

    /// How many blocks are in the set.
    pub(super) fn held(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Adds a block; one out of bounds is ignored.
    pub(super) fn add(&mut self, block: u64) {
        let word = usize::try_from(block / 64).ok().and_then(|at| self.words.get_mut(at));
        if let Some(word) = word.filter(|_| block < self.count) {
            *word |= 1 << (block % 64);
        }
    }

    /// The run of blocks from the range's start on that are all in the set or all not in it,
    /// within the range; and which of both. The range must not be empty.
    pub(super) fn run(&self, range: Range<u64>) -> (Range<u64>, bool) {
        let inside = self.has(range.start);
        let same = if inside { u64::MAX } else { 0 };
        let mut end = range.start + 1;
        while end < range.end {
            let whole_word = end.is_multiple_of(64) && end + 64 <= range.end;
            let at = usize::try_from(end / 64).unwrap_or(usize::MAX);
            if whole_word && self.words.get(at) == Some(&same) {
                end += 64;
            } else if self.has(end) == inside {
                end += 1;
            } else {
                break;
            }
        }
        (range.start..end, inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_cross_words_and_stop_where_membership_changes() {
        let mut blocks = Blocks::new(1000).unwrap();
        (60..300).for_each(|block| blocks.add(block));
        blocks.add(1000);
        assert_eq!(blocks.run(0..1000), (0..60, false));
        assert_eq!(blocks.run(60..1000), (60..300, true));
        assert_eq!(blocks.run(70..200), (70..200, true));
        assert_eq!(blocks.run(300..1000), (300..1000, false));
        assert!(!blocks.has(1000));
        assert_eq!(blocks.held(), 240);
    }
}
