//! Another sweep, which rewrites the pack for the sake of a slot that has long been dead.

use crate::rules::{Broken, Rules};
use crate::state::{Compactor, GENERATIONS, State};

pub(crate) fn step(state: &mut State, rules: &Rules) {
    state.compactor = match state.compactor {
        Compactor::Idle => match state.listing() {
            0 => Compactor::Ended,
            listed => Compactor::Listed(State::newest(listed)),
        },
        Compactor::Listed(newest) => match state.generations[newest] {
            Some(slots) => Compactor::Holds(newest, slots),
            None => Compactor::Ended,
        },
        Compactor::Holds(newest, slots) if rules.breaks(Broken::RemovesBeforeRewrite) => {
            state.generations[newest] = None;
            Compactor::Removed(newest, slots)
        }
        Compactor::Holds(newest, slots) | Compactor::Removed(newest, slots) => {
            let next = newest + 1;
            assert!(next < GENERATIONS, "the model needs more generations");
            if state.generations[next].is_some() {
                Compactor::Ended
            } else {
                state.generations[next] = Some(slots);
                Compactor::Put(newest)
            }
        }
        Compactor::Put(newest) => {
            state.generations[newest] = None;
            Compactor::Ended
        }
        Compactor::Ended => Compactor::Ended,
    };
}
