//! A session, from its first look to its acknowledgement.

use crate::rules::{Broken, Rules};
use crate::state::{BORROWER, Fate, Outcome, Parent, State, WriterStep};

/// Whether the session's process can do its next step.
pub(crate) fn is_ready(state: &State, rules: &Rules, n: usize) -> bool {
    match state.sessions[n].at {
        // A number is claimed only when all before it have their verdict.
        WriterStep::Idle if n == 1 => state.sessions[0].outcome.is_some() && !rules.tenant_scope,
        WriterStep::Idle => n != BORROWER || rules.tenant_scope,
        WriterStep::Ended => false,
        _ => true,
    }
}

pub(crate) fn step(state: &mut State, rules: &Rules, n: usize) {
    match state.sessions[n].at {
        WriterStep::Idle => look(state, n),
        WriterStep::Looked => {
            state.sessions[n].claim = true;
            state.sessions[n].at = WriterStep::Claimed;
        }
        WriterStep::Claimed => decide(state, rules, n),
        WriterStep::Decided => {
            state.sessions[n].pack = true;
            state.sessions[n].at = WriterStep::Uploaded;
        }
        WriterStep::Uploaded => commit(state, rules, n),
        WriterStep::Committed => {
            state.sessions[n].acknowledged = state.sessions[n].claim;
            state.sessions[n].at = WriterStep::Ended;
        }
        WriterStep::Ended => {}
    }
}

/// (a) Reads the logs: what to build on, and the head of the retire log.
fn look(state: &mut State, n: usize) {
    let first = &state.sessions[0];
    let parent = if n == BORROWER {
        Parent::None
    } else if n == 1 && first.is_version() && first.fate != Fate::Purged {
        Parent::First
    } else if state.base == Fate::Purged {
        Parent::None
    } else {
        Parent::Base
    };
    let seen = state.retired;
    let session = &mut state.sessions[n];
    (session.parent, session.seen, session.at) = (parent, seen, WriterStep::Looked);
}

/// (c) Reads the logs again, now that the claim is durable, and (d) chooses what to share.
fn decide(state: &mut State, rules: &Rules, n: usize) {
    let parent = state.sessions[n].parent;
    let is_gone = state.fate(parent) == Fate::Purged && !rules.breaks(Broken::NoLookAtDeletions);
    let head = if rules.breaks(Broken::RetireLogBeforeClaim) {
        state.sessions[n].seen
    } else {
        state.retired
    };
    let needs = if n == BORROWER { head == 0 } else { state.has_contested(parent) };
    let session = &mut state.sessions[n];
    if is_gone {
        session.outcome = session.outcome.or(Some(Outcome::Abort));
        session.at = WriterStep::Ended;
    } else {
        (session.needs, session.at) = (needs, WriterStep::Decided);
    }
}

/// (e) Puts the commit, which names what is borrowed.
fn commit(state: &mut State, rules: &Rules, n: usize) {
    let session = &mut state.sessions[n];
    if session.outcome.is_some() {
        session.at = WriterStep::Ended;
        return;
    }
    session.outcome = Some(Outcome::Commit);
    session.at = WriterStep::Committed;
    if rules.breaks(Broken::NoLookAfterCommit) {
        (session.acknowledged, session.at) = (true, WriterStep::Ended);
    }
}
