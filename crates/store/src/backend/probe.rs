//! Finding out whether a place keeps what a backend promises, before anything is entrusted to it.
//!
//! Asked when a store is made, and the answers go into its descriptor; where somebody else runs the
//! place (object stores), asked again at every start, because it may have become another one.

use std::io;
use std::panic::resume_unwind;
use std::sync::Barrier;

use cbr_env::{Random, RandomExt};
use rustix::io::Errno;

use super::{Backend, BackendError, BackendExt, Decided, Key, Op, Put};
use crate::format::record::Probe;

const RACERS: usize = 16;

/// The questions that an arbiter can answer in the place of a store (`layer/arbitrated.rs`).
const CREATES_ONCE: [&str; 2] = ["an object is never overwritten", "of racing creators one wins"];
/// No name of the format is that long.
const LONG_NAMES: &str = "names of 200 characters work";
// Questions for buckets (`s3/ask.rs`).
pub(super) const CHECKS_SUMS: &str = "a wrong checksum is refused";
pub(super) const CLOCKS_AGREE: &str = "its clock and ours differ by less than a minute";
pub(super) const NO_OLD_VERSIONS: &str = "what is deleted leaves no old version";
pub(super) const LOCKS: &str = "object lock is on";
/// The questions whose answers are noted only.
const NOTED: [&str; 5] = [LONG_NAMES, CHECKS_SUMS, CLOCKS_AGREE, NO_OLD_VERSIONS, LOCKS];
/// Where all probes lie; nothing else does.
const PROBES: &str = "probe/";
/// How often somebody else who starts may remove what we ask with.
const ASKED_MAX: usize = 3;
/// More than one page of the network, less than a pack.
const LARGE_BYTES: usize = 5 << 20;

/// What follows if a place does not do what a question asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Weight {
    /// Nothing may be entrusted to it.
    Required,
    /// Something else must decide which of two writers wins.
    Arbitrable,
    /// Somebody may want to know.
    Noted,
}

impl Probe {
    /// How much depends on it. A question that is not known counts as a required one.
    pub fn weight(&self) -> Weight {
        if CREATES_ONCE.contains(&self.name.as_str()) {
            Weight::Arbitrable
        } else if NOTED.contains(&self.name.as_str()) {
            Weight::Noted
        } else {
            Weight::Required
        }
    }

    fn is_broken(&self) -> bool {
        !self.holds && self.weight() != Weight::Noted
    }
}

/// Asks all questions, and insists on every promise; objects made for that are removed again.
///
/// # Errors
/// [`BackendError::Refused`] naming the first promise the backend does not keep, or its own errors.
pub fn probe(backend: &dyn Backend, random: &dyn Random) -> Result<Vec<Probe>, BackendError> {
    let probes = survey(backend, random)?;
    match probes.iter().find(|probe| probe.is_broken()) {
        None => Ok(probes),
        Some(broken) => Err(broken_promise(backend, broken)),
    }
}

/// Asks all questions; objects made for that are removed again, and what an interrupted one left (P3).
///
/// # Errors
/// The backend's own; what it does wrong is in the answers.
pub fn survey(backend: &dyn Backend, random: &dyn Random) -> Result<Vec<Probe>, BackendError> {
    for _ in 0..ASKED_MAX {
        let base = format!("{PROBES}{}", hex::encode(random.bytes::<8>()));
        // The first name of ours in any listing: if anything of ours was removed, this was.
        let mark = Key::new(format!("{base}/0"))?;
        let _: Put = put(backend, &mark, &[b"in use"])?;
        let asked = ask(backend, &base).map(|mut probes| {
            probes.extend(backend.ask(&base));
            probes
        });
        let is_ours = backend.size(&mark)?.is_some();
        clean(backend)?;
        if is_ours {
            return asked;
        }
    }
    let reason = format!("something removes what is put below {PROBES}");
    Err(BackendError::Refused { op: Op::Open, key: backend.describe(), reason })
}

/// Whether the backend itself lets only one of several creators win; an error if it breaks any other
/// promise, because nothing can stand in for those.
pub(crate) fn creates_once(backend: &dyn Backend, probes: &[Probe]) -> Result<bool, BackendError> {
    let (creating, others): (Vec<_>, Vec<_>) =
        probes.iter().partition(|probe| probe.weight() == Weight::Arbitrable);
    match others.into_iter().find(|probe| probe.is_broken()) {
        Some(broken) => Err(broken_promise(backend, broken)),
        None => Ok(creating.into_iter().all(|probe| probe.holds)),
    }
}

fn broken_promise(backend: &dyn Backend, broken: &Probe) -> BackendError {
    let reason = format!("it does not keep a promise: {}", broken.name);
    BackendError::Refused { op: Op::Open, key: backend.describe(), reason }
}

fn ask(backend: &dyn Backend, base: &str) -> Result<Vec<Probe>, BackendError> {
    let key = |name: &str| Key::new(format!("{base}/{name}"));
    let (first, folded, last) = (key("a/Object")?, key("a/oBJECT")?, key("a/b/last")?);
    let long = key(&format!("long/{}", "n".repeat(super::SEGMENT_BYTES_MAX)))?;
    let listing = format!("{base}/a/");
    let body: &[&[u8]] = &[b"first ", b"body"];
    let mut probes = Vec::new();
    let mut note = |name: &str, holds: bool| probes.push(Probe { name: name.to_owned(), holds });

    note("a new object is created", put(backend, &first, body)? == Put::Created);
    note("what was put is read", backend.get(&first)?.as_deref() == Some(b"first body"));
    note("a range is read", reads(backend, &first, 3, b"st b")?);
    note("a range beyond the end is noticed", is_short(backend.get_range(&first, 8, &mut [0; 4]))?);
    note("names differ by case", backend.get(&folded)?.is_none());
    note("names may have parts", put(backend, &last, body)? == Put::Created);
    let listed = backend.list_all(&listing)?;
    let keys: Vec<&Key> = listed.iter().map(|entry| &entry.key).collect();
    note("what was put is listed at once", keys == [&first, &last]);
    let rest = backend.list(&listing, Some(&first))?.entries;
    note("a listing goes on where it is told to", rest.iter().map(|e| &e.key).eq([&last]));
    backend.delete(&first)?;
    note("what was deleted is gone at once", backend.get(&first)?.is_none());
    let listed = backend.list_all(&listing)?;
    note("what was deleted is not listed", listed.iter().map(|e| &e.key).eq([&last]));
    note("a large object comes back whole", keeps_large(backend, &key("large")?)?);
    let takes_long = takes_long(backend, &long);
    let twice = key("twice")?;
    let _: Put = put(backend, &twice, body)?;
    let again = put(backend, &twice, &[b"other"])?;
    let is_kept = again == Put::Existed && backend.get(&twice)?.as_deref() == Some(b"first body");
    note(CREATES_ONCE[0], is_kept);
    note(CREATES_ONCE[1], race(backend, &key("race")?)?);
    probes.extend(takes_long.map(|holds| Probe { name: LONG_NAMES.to_owned(), holds }));
    Ok(probes)
}

/// Whether a long name can be had. `None` if that fails and nobody says that it is for the length: that is no
/// answer, and as nothing depends on one, no reason to stop.
fn takes_long(backend: &dyn Backend, long: &Key) -> Option<bool> {
    match put(backend, long, &[b"long"]) {
        Ok(Put::Created) => Some(true),
        Err(BackendError::Unavailable { source, .. }) if is_too_long(&source) => Some(false),
        // Nor that there is such an object already: there cannot be.
        Ok(_) | Err(_) => None,
    }
}

fn is_too_long(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::NAMETOOLONG)
}

fn reads(
    backend: &dyn Backend,
    key: &Key,
    offset: u64,
    expected: &[u8],
) -> Result<bool, BackendError> {
    let mut part = vec![0; expected.len()];
    match backend.get_range(key, offset, &mut part) {
        Err(BackendError::Short { .. }) => Ok(false),
        answer => Ok(answer?.is_some() && part == expected),
    }
}

fn is_short(answer: Result<Option<()>, BackendError>) -> Result<bool, BackendError> {
    match answer {
        Err(BackendError::Short { .. }) => Ok(true),
        answer => answer.map(|_| false),
    }
}

fn keeps_large(backend: &dyn Backend, key: &Key) -> Result<bool, BackendError> {
    let pattern: Vec<u8> = (0..=250).collect();
    let mut body = pattern.repeat(LARGE_BYTES.div_ceil(pattern.len()));
    body.truncate(LARGE_BYTES);
    let _: Put = put(backend, key, &[&body])?;
    Ok(backend.size(key)? == Some(LARGE_BYTES as u64)
        && backend.get(key)?.as_deref() == Some(&body[..]))
}

fn race(backend: &dyn Backend, key: &Key) -> Result<bool, BackendError> {
    let start = Barrier::new(RACERS);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..RACERS)
            .map(|racer| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    backend.put_decided(key, &[format!("racer {racer}").as_bytes()])
                })
            })
            .collect();
        let ended = racers.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended.map(|answer| answer.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let answers = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
    let winners = answers.iter().filter(|decided| **decided == Decided::Ours).count();
    Ok(winners == 1)
}

/// A put whose answer got lost proves nothing either way: what is there does.
fn put(backend: &dyn Backend, key: &Key, body: &[&[u8]]) -> Result<Put, BackendError> {
    match backend.put_new(key, body)? {
        Put::Unknown => match backend.put_decided(key, body)? {
            Decided::Ours => Ok(Put::Created),
            Decided::Other(_) => Ok(Put::Existed),
        },
        put => Ok(put),
    }
}

/// Also of others: of those who died, and of those who are asking now and will notice. No name stays
/// either: a place with one directory more for every start would be slower with every start.
fn clean(backend: &dyn Backend) -> Result<(), BackendError> {
    backend.list_all(PROBES)?.iter().try_for_each(|entry| backend.delete(&entry.key))?;
    backend.prune(PROBES);
    Ok(())
}
