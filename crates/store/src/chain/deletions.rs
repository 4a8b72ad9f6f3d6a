//! What a chain's delete records say, applied in their order. Pure.
//!
//! ```text
//!          trash              purge
//!   live ────────▶ in the trash ───▶ gone
//!    │  ◀────────                     ▲
//!    │    restore                     │
//!    └──────────────── delete ────────┘   (also out of the trash)
//! ```
//! What is in the trash is needed as if it were live; only what is gone frees anything. Which of two
//! records wins, a restore or a purge, is decided by their numbers and by nothing else.

use std::collections::{BTreeMap, BTreeSet};

use crate::format::record::{Deed, Delete, FoldedMove};
use crate::planted::{self, Bug};

/// What became of the versions that delete records name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deletions {
    /// Gone for good.
    pub(crate) gone: BTreeSet<u64>,
    /// Versions that are or were in the trash and are not gone.
    moved: BTreeMap<u64, Move>,
}

/// The last time a version went into the trash or came out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Move {
    /// The number of the record.
    record: u64,
    is_trashed: bool,
}

impl Deletions {
    /// Applies record number `record`; all before it have been applied.
    pub(crate) fn apply(&mut self, record: u64, delete: &Delete) {
        for seq in &delete.seqs {
            let is_trashed = self.is_trashed(*seq);
            match delete.deed {
                _ if self.gone.contains(seq) => {}
                Deed::Delete => self.end(*seq),
                Deed::Purge if is_trashed || planted::has(Bug::PurgeOutlivesUndelete) => {
                    self.end(*seq);
                }
                Deed::Trash if !is_trashed => {
                    self.moved.insert(*seq, Move { record, is_trashed: true });
                }
                Deed::Restore if is_trashed => {
                    self.moved.insert(*seq, Move { record, is_trashed: false });
                }
                Deed::Purge | Deed::Trash | Deed::Restore => {}
            }
        }
    }

    fn end(&mut self, seq: u64) {
        self.moved.remove(&seq);
        self.gone.insert(seq);
    }

    pub(crate) fn is_gone(&self, seq: u64) -> bool {
        self.gone.contains(&seq)
    }

    pub(crate) fn is_trashed(&self, seq: u64) -> bool {
        self.moved.get(&seq).is_some_and(|moved| moved.is_trashed)
    }

    /// The record by which the version last went into the trash or came out of it; 0 if it never did.
    pub(crate) fn last_move(&self, seq: u64) -> u64 {
        self.moved.get(&seq).map_or(0, |moved| moved.record)
    }

    /// The last version any record names.
    pub(crate) fn last_named(&self) -> u64 {
        let gone = self.gone.last().copied();
        gone.max(self.moved.keys().last().copied()).unwrap_or(0)
    }

    pub(crate) fn folded_moves(&self) -> Vec<FoldedMove> {
        let fold = |(seq, moved): (&u64, &Move)| FoldedMove {
            seq: *seq,
            record: moved.record,
            is_trashed: moved.is_trashed,
        };
        self.moved.iter().map(fold).collect()
    }

    pub(crate) fn unfolded(deleted: Vec<u64>, moved: &[FoldedMove]) -> Self {
        let unfold =
            |one: &FoldedMove| (one.seq, Move { record: one.record, is_trashed: one.is_trashed });
        Self { gone: deleted.into_iter().collect(), moved: moved.iter().map(unfold).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P7, I4: what is gone stays gone, a purge takes only what is in the trash, and the number of a
    /// record decides.
    #[test]
    fn the_order_of_records_decides_and_what_is_gone_stays_gone() {
        use Deed::{Delete as Gone, Purge, Restore, Trash};
        let cases: [(&[Deed], (bool, bool), u64); 11] = [
            (&[], (false, false), 0),
            (&[Trash], (true, false), 1),
            (&[Trash, Trash], (true, false), 1),
            (&[Trash, Restore], (false, false), 2),
            (&[Restore, Purge], (false, false), 0),
            (&[Trash, Purge], (false, true), 0),
            (&[Trash, Purge, Restore], (false, true), 0),
            (&[Trash, Restore, Purge], (false, false), 2),
            (&[Trash, Restore, Trash], (true, false), 3),
            (&[Trash, Gone], (false, true), 0),
            (&[Gone, Trash, Restore], (false, true), 0),
        ];
        for (deeds, (is_trashed, is_gone), last_move) in cases {
            let mut deletions = Deletions::default();
            for (record, deed) in (1..).zip(deeds) {
                let delete = Delete { seqs: vec![7], by: String::new(), deed: *deed };
                deletions.apply(record, &delete);
            }
            assert_eq!(deletions.is_trashed(7), is_trashed, "{deeds:?}");
            assert_eq!(deletions.is_gone(7), is_gone, "{deeds:?}");
            assert_eq!(deletions.last_move(7), last_move, "{deeds:?}");
            let gone = deletions.gone.iter().copied().collect();
            assert_eq!(Deletions::unfolded(gone, &deletions.folded_moves()), deletions);
        }
    }
}
