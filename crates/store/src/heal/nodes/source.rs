//! What lies on the disk now where a map is lost: ids of blocks, noted as a backup comes by them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::lost::LostNode;
use crate::crypto::BlockId;

/// Of a leaf below a lost node so many blocks are noted: enough to know it again.
const SAMPLES_MAX: usize = 4;

/// Of so many leaves anything is noted: what a lost root of a larger disk has below it is not all known
/// again.
const LEAVES_MAX: usize = 1 << 16;

/// The blocks of one leaf, by their place; where there is none it is zero or was not noted.
pub(super) type LeafIds = BTreeMap<u8, BlockId>;

/// Collects ids.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// Of these leaves everything is noted.
    lost: Vec<u64>,
    /// Of these a few blocks.
    below: Vec<Range<u64>>,
    noted: Mutex<BTreeMap<u64, LeafIds>>,
}

impl Source {
    pub(crate) fn of(lost: &[LostNode]) -> Self {
        let (leaves, inners): (Vec<&LostNode>, Vec<&LostNode>) =
            lost.iter().partition(|node| node.is_leaf());
        let mut lost: Vec<u64> = leaves.iter().map(|node| node.leaves().start).collect();
        lost.sort_unstable();
        let below = inners.iter().map(|node| node.leaves()).collect();
        Self { lost, below, noted: Mutex::default() }
    }

    /// Block `at` of leaf `leaf` has this id.
    pub(crate) fn note(&self, leaf: u64, at: usize, id: &BlockId) {
        let is_lost = self.lost.binary_search(&leaf).is_ok();
        if !is_lost && !self.below.iter().any(|leaves| leaves.contains(&leaf)) {
            return;
        }
        let Ok(at) = u8::try_from(at) else { return };
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() >= LEAVES_MAX && !noted.contains_key(&leaf) {
            return;
        }
        let ids = noted.entry(leaf).or_default();
        if is_lost || ids.len() < SAMPLES_MAX {
            ids.insert(at, *id);
        }
    }

    /// What was noted of a leaf.
    pub(super) fn leaf(&self, leaf: u64) -> LeafIds {
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.get(&leaf).cloned().unwrap_or_default()
    }
}
