//! Injects faults, repeatably: at the Nth call, or by a seed.
//!
//! Not here: corruption of stored bytes (`MemoryBackend::overwrite`).

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use crate::backend::{Backend, BackendError, Key, Op, Page, Put};

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The call fails without effect.
    Io,
    /// A put fails for lack of space; other calls as [`Fault::Io`].
    NoSpace,
    /// The change happens, the answer is "unknown" (puts) or a failure (deletes). Reads: as `Io`.
    LostAnswer,
    /// The change does not happen, the answer is "unknown". Other calls: as `Io`.
    LostRequest,
    /// A read gives the right number of bytes, the last half of them zero; a whole `get` is cut short;
    /// a listing lacks its second half. Changes: as `Io`.
    Torn,
    /// A read fails because the medium is damaged there. Changes: as `Io`.
    BadSector,
    /// The call is refused, as by a store that does not know the account any more.
    Refused,
    /// The process dies before the call: it and every later call fail without effect.
    CrashBefore,
    /// The process dies after the call took effect: it and every later call fail.
    CrashAfter,
}

/// A backend that fails on purpose.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn Backend>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: u64,
    planned: BTreeMap<u64, Fault>,
    /// From this call on, every one.
    from: Option<(u64, Fault)>,
    only: Option<Op>,
    seeded: Option<Seeded>,
    is_dead: bool,
}

#[derive(Debug)]
struct Seeded {
    word: u64,
    one_in: u64,
    faults: Vec<Fault>,
}

impl Faulty {
    /// Fails nothing until told to.
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self { inner, state: Mutex::default() }
    }

    /// Call number `call` (the first is 0) from now on fails with `fault`.
    pub fn fail_call(&self, call: u64, fault: Fault) {
        let mut state = self.lock();
        let at = state.calls + call;
        state.planned.insert(at, fault);
    }

    /// As [`Faulty::fail_call`], and all later ones too, until [`Faulty::heal`].
    pub fn fail_from(&self, call: u64, fault: Fault) {
        let mut state = self.lock();
        state.from = Some((state.calls + call, fault));
    }

    /// Every call fails with `fault` from now on, until [`Faulty::heal`].
    pub fn fail_all(&self, fault: Fault) {
        self.lock().seeded = Some(Seeded { word: 1, one_in: 1, faults: vec![fault] });
    }

    /// About one in `one_in` calls fails with one of `faults`, as `seed` decides.
    pub fn fail_seeded(&self, seed: u64, one_in: u64, faults: &[Fault]) {
        let word = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let seeded = Seeded { word, one_in: one_in.max(1), faults: faults.to_vec() };
        self.lock().seeded = Some(seeded);
    }

    /// Counts and fails only calls of this kind.
    pub fn only(&self, op: Op) {
        self.lock().only = Some(op);
    }

    /// No more faults; a crashed process lives again.
    pub fn heal(&self) {
        let mut state = self.lock();
        *state = State { calls: state.calls, ..State::default() };
    }

    /// How many calls were counted.
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the call and decides its fault; an error for the dead.
    fn next(&self, op: Op, key: &str) -> Result<Option<Fault>, BackendError> {
        let mut state = self.lock();
        if state.is_dead {
            return Err(failed(op, key, "the process is dead"));
        }
        if state.only.is_some_and(|only| only != op) {
            return Ok(None);
        }
        let call = state.calls;
        state.calls += 1;
        let lasting = state.from.filter(|(from, _)| call >= *from).map(|(_, fault)| fault);
        let planned = state.planned.remove(&call).or(lasting);
        let fault = planned.or_else(|| state.seeded.as_mut().and_then(Seeded::next));
        if matches!(fault, Some(Fault::CrashBefore | Fault::CrashAfter)) {
            state.is_dead = true;
        }
        Ok(fault)
    }

    /// For calls that change nothing: whether the answer is torn; every other fault is a failure.
    fn reading(&self, op: Op, key: &str) -> Result<bool, BackendError> {
        match self.next(op, key)? {
            None => Ok(false),
            Some(Fault::Torn) => Ok(true),
            Some(Fault::Refused) => Err(refused(op, key)),
            Some(Fault::BadSector) => Err(BackendError::Unreadable {
                op,
                key: key.to_owned(),
                source: io::Error::other("injected"),
            }),
            Some(_) => Err(failed(op, key, "injected")),
        }
    }
}

impl Seeded {
    fn next(&mut self) -> Option<Fault> {
        let roll = self.step();
        if !roll.is_multiple_of(self.one_in) || self.faults.is_empty() {
            return None;
        }
        let pick = usize::try_from(self.step() % self.faults.len() as u64).ok()?;
        self.faults.get(pick).copied()
    }

    /// xorshift64*: small, repeatable, good enough to choose calls.
    fn step(&mut self) -> u64 {
        self.word ^= self.word >> 12;
        self.word ^= self.word << 25;
        self.word ^= self.word >> 27;
        self.word.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
}

fn refused(op: Op, key: &str) -> BackendError {
    BackendError::Refused { op, key: key.to_owned(), reason: "injected".to_owned() }
}

fn failed(op: Op, key: &str, why: &'static str) -> BackendError {
    BackendError::Unavailable { op, key: key.to_owned(), source: io::Error::other(why) }
}

impl Backend for Faulty {
    fn put_new(&self, key: &Key, body: &[&[u8]]) -> Result<Put, BackendError> {
        match self.next(Op::Put, key.as_str())? {
            None => self.inner.put_new(key, body),
            Some(Fault::NoSpace) => {
                Err(BackendError::NoSpace { op: Op::Put, key: key.to_string() })
            }
            Some(Fault::Refused) => Err(refused(Op::Put, key.as_str())),
            Some(Fault::LostRequest) => Ok(Put::Unknown),
            Some(Fault::LostAnswer) => self.inner.put_new(key, body).map(|_| Put::Unknown),
            Some(Fault::CrashAfter) => {
                let _ = self.inner.put_new(key, body)?;
                Err(failed(Op::Put, key.as_str(), "died after it"))
            }
            Some(Fault::Io | Fault::Torn | Fault::BadSector | Fault::CrashBefore) => {
                Err(failed(Op::Put, key.as_str(), "injected"))
            }
        }
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, BackendError> {
        let is_torn = self.reading(Op::Get, key.as_str())?;
        let mut object = self.inner.get(key)?;
        if let Some(bytes) = object.as_mut().filter(|_| is_torn) {
            bytes.truncate(bytes.len() / 2);
        }
        Ok(object)
    }

    fn get_range(
        &self,
        key: &Key,
        offset: u64,
        into: &mut [u8],
    ) -> Result<Option<()>, BackendError> {
        let is_torn = self.reading(Op::GetRange, key.as_str())?;
        let found = self.inner.get_range(key, offset, into)?;
        if is_torn {
            let half = into.len() / 2;
            into[half..].fill(0);
        }
        Ok(found)
    }

    fn size(&self, key: &Key) -> Result<Option<u64>, BackendError> {
        let is_torn = self.reading(Op::Size, key.as_str())?;
        let size = self.inner.size(key)?;
        Ok(if is_torn { size.map(|size| size / 2) } else { size })
    }

    fn list(&self, prefix: &str, after: Option<&Key>) -> Result<Page, BackendError> {
        let is_torn = self.reading(Op::List, prefix)?;
        let mut page = self.inner.list(prefix, after)?;
        if is_torn {
            page.entries.truncate(page.entries.len() / 2);
        }
        Ok(page)
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        match self.next(Op::Delete, key.as_str())? {
            None => self.inner.delete(key),
            Some(Fault::LostAnswer | Fault::CrashAfter) => {
                self.inner.delete(key)?;
                Err(failed(Op::Delete, key.as_str(), "died after it"))
            }
            Some(Fault::Refused) => Err(refused(Op::Delete, key.as_str())),
            Some(_) => Err(failed(Op::Delete, key.as_str(), "injected")),
        }
    }

    fn prune(&self, prefix: &str) {
        self.inner.prune(prefix);
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}
