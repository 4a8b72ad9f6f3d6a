//! A round of collection: find, retire, wait, look again, remove or rewrite.

use crate::rules::{Broken, Rules};
use crate::state::{
    BORROWER, CONTESTED, Chain, Collector, CollectorStep as Step, Fate, GENERATIONS, Look, Outcome,
    Part, State,
};

/// Whether the round can go on; only an open older claim holds it up.
pub(crate) fn is_ready(state: &State, rules: &Rules, n: usize) -> bool {
    let collector = &state.collectors[n];
    match collector.at {
        Step::Ended => false,
        Step::Wait(chain) => !is_held_up(state, rules, collector, chain),
        _ => true,
    }
}

pub(crate) fn step(state: &mut State, rules: &Rules, n: usize) {
    let at = state.collectors[n].at;
    let next = match at {
        Step::Idle => {
            state.collectors[n].listed = state.listing();
            first_part(rules, Look::First, Chain::A)
        }
        Step::Read(look, chain, Part::Deletions) => {
            read_deletions(state, rules, n, chain);
            Step::Read(look, chain, Part::Sessions)
        }
        Step::Read(look, chain, Part::Sessions) => {
            if rules.tenant_scope {
                read_deletions(state, rules, n, chain);
            }
            let is_needed = is_needed(state, rules, &state.collectors[n], chain);
            state.collectors[n].purged = [false; 4];
            if is_needed { Step::Ended } else { after_chain(rules, look, chain) }
        }
        Step::Retire => {
            state.retired += 1;
            state.collectors[n].number = state.retired;
            Step::Wait(Chain::A)
        }
        Step::Wait(Chain::A) => Step::Wait(Chain::B),
        Step::Wait(Chain::B) if rules.breaks(Broken::NoSecondLook) => Step::Remove,
        Step::Wait(Chain::B) => first_part(rules, Look::Second, Chain::A),
        Step::Remove => remove(state, n),
        Step::Rewrite => rewrite(state, n),
        Step::Replace => {
            let newest = State::newest(state.collectors[n].listed);
            state.generations[newest] = None;
            Step::Ended
        }
        Step::Ended => Step::Ended,
    };
    state.collectors[n].at = next;
    if next == Step::Ended {
        // Where it has been does not matter any more.
        state.collectors[n] = Collector { at: Step::Ended, ..Collector::default() };
    }
}

fn first_part(rules: &Rules, look: Look, chain: Chain) -> Step {
    let part = if rules.tenant_scope { Part::Sessions } else { Part::Deletions };
    Step::Read(look, chain, part)
}

fn after_chain(rules: &Rules, look: Look, chain: Chain) -> Step {
    match (chain, look) {
        (Chain::A, _) if rules.tenant_scope => first_part(rules, look, Chain::B),
        (_, Look::First) if rules.tenant_scope => Step::Retire,
        _ => Step::Remove,
    }
}

fn read_deletions(state: &mut State, rules: &Rules, n: usize, chain: Chain) {
    let is_gone = |fate: Fate| match fate {
        Fate::Live => false,
        Fate::Trashed => rules.breaks(Broken::PurgesWithoutRecord),
        Fate::Purged => true,
    };
    let fates =
        [state.base, state.sessions[0].fate, state.sessions[1].fate, state.sessions[2].fate];
    let of_chain = if chain == Chain::A { 0..3 } else { 3..4 };
    for version in of_chain {
        state.collectors[n].purged[version] = is_gone(fates[version]);
    }
}

/// Whether the log of a chain says that the contested slot is needed.
fn is_needed(state: &State, rules: &Rules, collector: &Collector, chain: Chain) -> bool {
    let purged = &collector.purged;
    let of_chain = if chain == Chain::A { 0..BORROWER } else { BORROWER..BORROWER + 1 };
    let by_session = of_chain.into_iter().any(|n| {
        let session = &state.sessions[n];
        let pins = session.is_open()
            && !rules.breaks(Broken::SilentIsDead)
            && state.has_contested(session.parent);
        pins || session.is_version() && session.needs && !purged[n + 1]
    });
    by_session || chain == Chain::A && !purged[0]
}

fn is_held_up(state: &State, rules: &Rules, collector: &Collector, chain: Chain) -> bool {
    if rules.breaks(Broken::IgnoresOlderClaims) || rules.breaks(Broken::SilentIsDead) {
        return false;
    }
    let of_chain = if chain == Chain::A { 0..BORROWER } else { BORROWER..BORROWER + 1 };
    state.sessions[of_chain]
        .iter()
        .any(|session| session.is_open() && session.seen < collector.number)
}

/// Older generations go when the newest has everything; then the contested slot.
fn remove(state: &mut State, n: usize) -> Step {
    let listed = state.collectors[n].listed;
    if listed == 0 {
        return Step::Ended;
    }
    let newest = State::newest(listed);
    // Somebody rewrote or removed it since: the next round sees more.
    let Some(slots) = state.generations[newest] else { return Step::Ended };
    let lacks = |older: &Option<u8>| older.is_some_and(|older| older & !slots & !CONTESTED != 0);
    if state.generations[..newest].iter().any(lacks) {
        return Step::Ended;
    }
    for generation in 0..newest {
        if listed & 1 << generation != 0 {
            state.generations[generation] = None;
        }
    }
    if slots & CONTESTED == 0 {
        Step::Ended
    } else if slots == CONTESTED {
        Step::Replace
    } else {
        Step::Rewrite
    }
}

fn rewrite(state: &mut State, n: usize) -> Step {
    let newest = State::newest(state.collectors[n].listed);
    let Some(slots) = state.generations[newest] else { return Step::Ended };
    assert!(newest + 1 < GENERATIONS, "the model needs more generations");
    let next = &mut state.generations[newest + 1];
    if next.is_some() {
        return Step::Ended;
    }
    *next = Some(slots & !CONTESTED);
    Step::Replace
}

/// What aborted sessions left behind: the packs; where records are not kept, then the claim, then
/// the outcome.
pub(crate) fn may_clean(state: &State, rules: &Rules, n: usize) -> bool {
    let session = &state.sessions[n];
    let is_dead = session.outcome == Some(Outcome::Abort)
        || session.is_open() && rules.breaks(Broken::SilentIsDead);
    session.pack && is_dead
}

pub(crate) fn may_forget(state: &State, rules: &Rules, n: usize) -> bool {
    let session = &state.sessions[n];
    rules.forgets_aborted && session.outcome == Some(Outcome::Abort) && !session.pack
}

pub(crate) fn forget(state: &mut State, n: usize) {
    let session = &mut state.sessions[n];
    if session.claim {
        session.claim = false;
    } else {
        session.outcome = None;
    }
}
