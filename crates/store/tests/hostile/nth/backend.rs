//! Faults of the calls of a backend.

use std::sync::Arc;

use cbr_store::Error;
use cbr_store::backend::layer::{Fault, Faulty};
use cbr_store::backend::{Backend, BackendError, Op};

use super::operations::{HEALING, Operation, changing, reading};
use super::process::Process;
use super::{Case, SEED, every_call, judge};
use crate::world::Seeds;

/// See [`every_call`].
const STEP: u64 = 4;

/// Every operation, with this fault at every call; or, of those that make such calls, at every one of that kind.
fn under(fault: Fault, only: Option<Op>, kind: fn(&Error) -> bool) {
    let operations: Vec<Operation> = all()
        .into_iter()
        // Where what is damaged cannot even be looked at, healing is left to the next backup.
        .filter(|operation| fault != Fault::BadSector || operation.name != HEALING)
        .filter(|operation| only.is_none_or(|op| operation.calls(op) > 0))
        .collect();
    every_call(&operations, &fault, STEP, &|case: &Case<'_>| {
        let memory = Arc::new(case.operation.start.backend());
        let faulty = Arc::new(Faulty::new(memory.clone()));
        if let Some(only) = only {
            faulty.only(only);
        }
        if case.from_then_on {
            faulty.fail_from(case.call, fault);
        } else {
            faulty.fail_call(case.call, fault);
        }
        let through: Arc<dyn Backend> = faulty.clone();
        let heal = || {
            faulty.heal();
            faulty.calls() > case.call
        };
        let seeds = Seeds::new(SEED + case.call);
        let look = || Process::with(memory.clone(), seeds.random());
        let mut process = Process::with(through, seeds.random());
        judge(case, &mut process, kind, &heal, &look)
    });
}

fn all() -> Vec<Operation> {
    changing().into_iter().chain(reading()).collect()
}

/// A failing backend is never mistaken for damage, absence or a lost race, and may be tried again.
fn is_unavailable(error: &Error) -> bool {
    let inner = match error {
        Error::Incomplete { first, .. } => first,
        error => error,
    };
    error.is_transient() && matches!(inner, Error::Backend(BackendError::Unavailable { .. }))
}

fn is_no_space(error: &Error) -> bool {
    error.is_transient() && matches!(error, Error::Backend(BackendError::NoSpace { .. }))
}

/// A bad sector is damage: of that object, not of the backend, and never absence.
fn is_damage(error: &Error) -> bool {
    match error {
        Error::Incomplete { first, .. } => is_damage(first),
        Error::Backend(BackendError::Unreadable { .. }) | Error::Damaged { .. } => true,
        _ => false,
    }
}

/// 503, EIO, a connection that is refused.
#[test]
fn an_unavailable_backend_at_any_call_of_any_operation() {
    under(Fault::Io, None, is_unavailable);
}

fn is_refused(error: &Error) -> bool {
    let inner = match error {
        Error::Incomplete { first, .. } => first,
        error => error,
    };
    !error.is_transient() && matches!(inner, Error::Backend(BackendError::Refused { .. }))
}

/// 403: an account that is locked for a while. It is no damage either, and waiting alone does not help.
#[test]
fn a_refusal_at_any_call_of_any_operation() {
    under(Fault::Refused, None, is_refused);
}

/// ENOSPC, a quota.
#[test]
fn a_full_backend_at_any_put_of_any_operation() {
    under(Fault::NoSpace, Some(Op::Put), is_no_space);
}

/// It happened, and the answer was lost.
#[test]
fn a_lost_answer_at_any_call_of_any_operation() {
    under(Fault::LostAnswer, None, is_unavailable);
}

/// A timeout, and it did not happen.
#[test]
fn a_lost_request_at_any_call_of_any_operation() {
    under(Fault::LostRequest, None, is_unavailable);
}

/// EIO of a disk that lost a sector: reads of that object fail until somebody mends it.
#[test]
fn a_bad_sector_at_any_read_of_any_operation() {
    for op in [Op::Get, Op::GetRange] {
        under(Fault::BadSector, Some(op), is_damage);
    }
}
