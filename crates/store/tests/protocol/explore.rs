//! The model as a whole, what must hold in every state, and the tests.

use std::io::Write;

use stateright::{Checker, Model, Property};

use crate::rules::{Broken, Rules};
use crate::state::{
    Action, CONTESTED, CollectorStep, Compactor, Fate, OTHER, Outcome, Purger, SESSIONS, State,
    WriterStep,
};
use crate::{collector, compactor, writer};

/// The promises, in the words of the reports.
const SLOT_KEPT: &str = "no version that can be restored loses a slot";
const ONE_VERDICT: &str = "what was acknowledged is a version";
const STAYS_BACK: &str = "what was taken back stays";

impl Model for Rules {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let writers = (0..SESSIONS).filter(|n| writer::is_ready(state, self, *n));
        actions.extend(writers.map(Action::Write));
        let collectors = (0..2).filter(|n| collector::is_ready(state, self, *n));
        actions.extend(collectors.map(Action::Collect));
        let is_compacted = self.shared_pack || !self.tenant_scope;
        if is_compacted && state.compactor != Compactor::Ended {
            actions.push(Action::Compact);
        }
        let of_session = |n: usize| (state.sessions[n].is_version(), Some(n));
        let versions = std::iter::once((true, None)).chain((0..SESSIONS).map(of_session));
        for (_, version) in versions.filter(|(exists, _)| *exists) {
            match *state.clone().fate_mut(version) {
                // The way through the trash is explored for the base only.
                Fate::Live if self.tenant_scope || version.is_some() => {
                    actions.push(Action::Purge(version));
                }
                // At last nobody deletes it any more, so that there is an end.
                Fate::Live if state.moves < self.moves_max => actions.push(Action::Trash(version)),
                Fate::Trashed => actions.push(Action::Restore(version)),
                Fate::Live | Fate::Purged => {}
            }
        }
        let may_purge = match state.purger {
            Purger::Idle => state.base == Fate::Trashed,
            Purger::Looked(_) => true,
            Purger::Ended => false,
        };
        if may_purge {
            actions.push(Action::PurgeBase);
        }
        for n in 0..SESSIONS {
            let session = &state.sessions[n];
            let was_open = match self.broken {
                Some(Broken::SilentIsDead) => false,
                // It was seen open some time ago.
                Some(Broken::RemovesClaimFirst) => session.claim,
                _ => session.is_open(),
            };
            if was_open {
                actions.push(Action::Arbitrate(n));
            }
            if collector::may_clean(state, self, n) {
                actions.push(Action::Clean(n));
            }
            if collector::may_forget(state, self, n) {
                actions.push(Action::Forget(n));
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Write(n) => writer::step(&mut state, self, n),
            Action::Collect(n) => collector::step(&mut state, self, n),
            Action::Compact => compactor::step(&mut state, self),
            Action::Trash(_) => {
                (state.base, state.taken_back) = (Fate::Trashed, false);
                state.moves += 1;
            }
            Action::Restore(_) => {
                (state.base, state.taken_back) = (Fate::Live, true);
                state.moves += 1;
            }
            Action::PurgeBase => purge_base(&mut state, self),
            Action::Purge(version) => *state.fate_mut(version) = Fate::Purged,
            Action::Arbitrate(n) if self.breaks(Broken::RemovesClaimFirst) => {
                state.sessions[n].claim = false;
            }
            Action::Arbitrate(n) => state.sessions[n].outcome = Some(Outcome::Abort),
            Action::Clean(n) => state.sessions[n].pack = false,
            Action::Forget(n) => collector::forget(&mut state, n),
        }
        // Two collectors are alike: which is which does not matter.
        state.collectors.sort_unstable();
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(SLOT_KEPT, keeps_slots),
            Property::always(ONE_VERDICT, |_, state: &State| {
                state.sessions.iter().all(|session| !session.acknowledged || session.is_version())
            }),
            Property::always(STAYS_BACK, |_, state: &State| {
                !(state.taken_back && state.base == Fate::Purged)
            }),
            Property::sometimes("the slot is freed", |_, state: &State| is_freed(state)),
            Property::sometimes(
                "it is freed after a collector died half-way",
                |_, state: &State| {
                    let died = |at| !matches!(at, CollectorStep::Idle | CollectorStep::Ended);
                    is_freed(state)
                        && state.collectors.iter().any(|collector| died(collector.at))
                        && state.collectors.iter().any(|one| one.at == CollectorStep::Ended)
                },
            ),
            Property::sometimes("everything a dead writer left is freed", |_, state: &State| {
                let is_zombie = |n: usize| {
                    let session = &state.sessions[n];
                    session.at == WriterStep::Uploaded && session.outcome == Some(Outcome::Abort)
                };
                is_freed(state) && is_zombie(0) && !state.sessions[0].pack
            }),
            Property::sometimes("a zombie's commit is refused", |_, state: &State| {
                let session = &state.sessions[0];
                session.pack
                    && session.at == WriterStep::Ended
                    && session.outcome == Some(Outcome::Abort)
            }),
            Property::sometimes(
                "a version built on one that is gone lives on",
                |_, state: &State| {
                    let session = &state.sessions[0];
                    session.acknowledged && session.needs && state.base == Fate::Purged
                },
            ),
            Property::sometimes(
                "a deleted version is purged and another taken back",
                |_, state: &State| {
                    let session = &state.sessions[0];
                    session.acknowledged && session.fate == Fate::Purged && state.base == Fate::Live
                },
            ),
        ]
    }
}

/// The record is put under the number that follows those by which it was decided, or not at all;
/// then the purger looks again.
fn purge_base(state: &mut State, rules: &Rules) {
    state.purger = match state.purger {
        Purger::Idle => Purger::Looked(state.moves),
        Purger::Looked(moves) if moves == state.moves => {
            state.base = Fate::Purged;
            Purger::Ended
        }
        Purger::Looked(_) if rules.breaks(Broken::PurgesByOldDecision) => {
            state.base = Fate::Purged;
            Purger::Ended
        }
        Purger::Looked(_) | Purger::Ended => Purger::Idle,
    };
}

fn keeps_slots(rules: &Rules, state: &State) -> bool {
    let readable = state.readable();
    // The other slot of a shared pack belongs to a version that nobody deletes.
    let keeps_other = !rules.shared_pack || readable & OTHER != 0;
    let of_base = state.base == Fate::Purged || readable & CONTESTED != 0;
    let of_session = state.sessions.iter().all(|session| {
        let is_kept = session.is_version() && session.fate != Fate::Purged;
        !is_kept || session.pack && (!session.needs || readable & CONTESTED != 0)
    });
    keeps_other && of_base && of_session
}

fn is_freed(state: &State) -> bool {
    state.generations.iter().flatten().all(|slots| slots & CONTESTED == 0)
}

fn say(line: &str) {
    // Not by a macro: the harness would keep it to itself.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Explores everything and asserts that all properties hold.
fn holds(name: &str, rules: Rules) {
    let checker = rules.checker().spawn_bfs().join();
    say(&format!("{name}: {} states, depth {}", checker.unique_state_count(), checker.max_depth()));
    checker.assert_properties();
    assert!(checker.is_done(), "not everything was explored");
}

/// Asserts that leaving out `broken` costs data, and says how.
fn fails(rules: Rules, broken: Broken, property: &'static str) {
    let checker = Rules { broken: Some(broken), ..rules }.checker().spawn_bfs().join();
    let found = checker.discovery(property);
    let found = found.unwrap_or_else(|| panic!("{broken:?} does no harm: {property}"));
    let steps = found.into_actions();
    say(&format!("{broken:?}: \"{property}\" fails, for example after {} steps", steps.len()));
}

#[test]
fn within_a_chain_no_interleaving_loses_a_slot_or_an_acknowledged_version() {
    holds("volume, whole pack", Rules::VOLUME);
    holds("volume, compaction", Rules { shared_pack: true, ..Rules::VOLUME });
}

#[test]
fn between_chains_no_interleaving_loses_a_slot_or_an_acknowledged_version() {
    holds("tenant, whole pack", Rules::TENANT);
}

#[test]
fn between_chains_no_compaction_loses_a_slot() {
    holds("tenant, compaction", Rules { shared_pack: true, ..Rules::TENANT });
}

#[test]
fn records_of_aborted_sessions_could_be_removed_after_their_packs() {
    holds("volume, records removed", Rules { forgets_aborted: true, ..Rules::VOLUME });
}

/// A model in which nothing can go wrong proves nothing: each rule is needed.
#[test]
fn every_rule_that_is_left_out_costs_data() {
    let forgets = Rules { forgets_aborted: true, ..Rules::VOLUME };
    let shared = Rules { shared_pack: true, ..Rules::VOLUME };
    let cases = [
        (Rules::TENANT, Broken::RetireLogBeforeClaim, SLOT_KEPT),
        (forgets, Broken::NoLookAfterCommit, ONE_VERDICT),
        (Rules::VOLUME, Broken::SilentIsDead, SLOT_KEPT),
        (Rules::TENANT, Broken::IgnoresOlderClaims, SLOT_KEPT),
        (Rules::VOLUME, Broken::RemovesClaimFirst, ONE_VERDICT),
        (Rules::TENANT, Broken::NoSecondLook, SLOT_KEPT),
        (Rules::VOLUME, Broken::NoLookAtDeletions, SLOT_KEPT),
        (Rules::VOLUME, Broken::PurgesWithoutRecord, SLOT_KEPT),
        (shared, Broken::RemovesBeforeRewrite, SLOT_KEPT),
        (Rules::VOLUME, Broken::PurgesByOldDecision, STAYS_BACK),
    ];
    for (rules, broken, property) in cases {
        fails(rules, broken, property);
    }
}
