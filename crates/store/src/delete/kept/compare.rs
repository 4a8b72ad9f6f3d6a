//! Compares what is kept with the maps themselves: for simulations, which damage it.

use std::sync::Arc;

use super::super::memory::{Below, KnownMaps, children_of, runs_of};
use super::KeptDomain;
use crate::error::{Error, Result};
use crate::format::record::Root;
use crate::map::MapReader;
use crate::packs::{Packs, Scratch};

impl KeptDomain<'_> {
    /// Of how many nodes that can be read still the file says what they say, and of how many something else.
    pub(super) fn compare(&self, packs: &Arc<Packs>) -> Result<(u64, u64)> {
        let mut memory = KnownMaps::default().take(packs.domain());
        self.load(&mut memory);
        let map = MapReader::new(Arc::clone(packs), Root { height: 0, node: None }, 0);
        let mut scratch = Scratch::new()?;
        let (mut right, mut wrong) = (0, 0);
        for id in memory.known() {
            let child = memory.child(id);
            let is_right = match memory.said(id) {
                Some(Below::Leaf(runs)) => {
                    map.leaf(&child, &mut scratch).map(|leaf| runs_of(&leaf) == *runs)
                }
                Some(Below::Inner(level, children)) => {
                    map.inner(&child, *level, &mut scratch).map(|inner| {
                        children_of(&inner).copied().eq(children.iter().map(|id| memory.child(*id)))
                    })
                }
                None => continue,
            };
            match is_right {
                Ok(true) => right += 1,
                Ok(false) => wrong += 1,
                // It was swept; or it is damaged, and others say so.
                Err(Error::Missing { .. } | Error::Damaged { .. }) => {}
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
        }
        Ok((right, wrong))
    }
}
