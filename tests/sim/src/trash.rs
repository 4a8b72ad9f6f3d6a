//! Into the trash, out of it, and out of the world.
//!
//! Several actors may move the same version at once; then the records decide, and at some moment between
//! question and answer they must have said what was answered.

use cbr_store::{Error, Repository, Result};

use crate::actor::Actor;
use crate::oracle::Fate;
use crate::upkeep::index;

impl Actor {
    pub(crate) fn trash(&mut self, number: usize, choice: u64) {
        let live = self.live(number);
        if live.is_empty() {
            return;
        }
        let seq = live[index(choice, live.len())];
        if let Some(known) = self.world.lock().model.versions.get_mut(&(number, seq)) {
            known.is_moved = true;
        }
        let chain = self.chain(number);
        let wanted = [Fate::Trashed, Fate::Gone];
        let moving = |r: &Repository| r.trash(&chain, &[seq], None, "somebody");
        if self.moved((number, seq), &wanted, moving) {
            self.world.lock().saw("a version was put into the trash");
        }
    }

    pub(crate) fn undelete(&mut self, number: usize, choice: u64) {
        let Some(seq) = self.moved_one(number, choice) else { return };
        let chain = self.chain(number);
        let moving = |r: &Repository| r.undelete(&chain, &[seq], None, "somebody");
        if self.moved((number, seq), &[Fate::Live], moving) {
            self.world.lock().saw("a version was taken out of the trash");
        }
    }

    pub(crate) fn purge(&mut self, number: usize, choice: u64) {
        let Some(seq) = self.moved_one(number, choice) else { return };
        let chain = self.chain(number);
        let was_trashed = self.world.lock().oracle.fate(chain, seq) == Fate::Trashed;
        let moving = |r: &Repository| r.purge(&chain, &[seq], None, "somebody").map(drop);
        // One that was live stays.
        let wanted: &[Fate] = if was_trashed {
            &[Fate::Gone, Fate::Live]
        } else {
            &[Fate::Live, Fate::Gone, Fate::Trashed]
        };
        if self.moved((number, seq), wanted, moving) && was_trashed {
            self.world.lock().saw("a version in the trash was purged");
        }
    }

    /// A version that was in the trash at some time.
    fn moved_one(&self, number: usize, choice: u64) -> Option<u64> {
        let inner = self.world.lock();
        let of_chain = inner.model.versions.range((number, 0)..=(number, u64::MAX));
        let moved: Vec<u64> =
            of_chain.filter(|(_, known)| known.is_moved).map(|((_, seq), _)| *seq).collect();
        (!moved.is_empty()).then(|| moved[index(choice, moved.len())])
    }

    /// Moves a version; whether that was acknowledged. Then it was one of `wanted` meanwhile.
    fn moved(
        &mut self,
        (number, seq): (usize, u64),
        wanted: &[Fate],
        moving: impl Fn(&Repository) -> Result<()>,
    ) -> bool {
        let chain = self.chain(number);
        let before = self.world.lock().oracle.fates(chain, seq).len() - 1;
        let world = std::sync::Arc::clone(&self.world);
        let refused = std::cell::Cell::new(false);
        let is_done = self.repeat("delete", Some(number), |repository| match moving(repository) {
            // It is gone, or somebody deleted it again.
            Err(Error::NoSuchVersion { .. } | Error::InTrash { .. }) => {
                world.lock().saw("a version that is gone was not taken back");
                refused.set(true);
                Ok(())
            }
            moved => moved,
        });
        let wanted = if refused.get() { &[Fate::Trashed, Fate::Gone] } else { wanted };
        let mut inner = self.world.lock();
        let fates = inner.oracle.fates(chain, seq);
        let meanwhile = &fates[before..];
        if is_done && !meanwhile.iter().any(|fate| wanted.contains(fate)) {
            let what = format!("version {seq} was to be one of {wanted:?}, and was {meanwhile:?}");
            inner.violation(what);
        }
        if is_done && meanwhile.len() > 2 {
            inner.saw("a version was moved by several at once");
        }
        is_done
    }
}
