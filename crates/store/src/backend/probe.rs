//! Finding out whether a place keeps what a backend promises, before anything is entrusted to it.
//!
//! Asked once, when a store is made; the answers go into its descriptor.

use std::sync::Barrier;

use cbr_env::{Random, RandomExt};

use super::{Backend, BackendError, BackendExt, Key, Op, Put};
use crate::format::record::Probe;

const RACERS: usize = 8;

/// Asks all questions; objects made for that are removed again.
///
/// # Errors
/// [`BackendError::Refused`] naming the first promise the backend does not keep, or its own errors.
pub fn probe(backend: &dyn Backend, random: &dyn Random) -> Result<Vec<Probe>, BackendError> {
    let base = format!("probe/{}", hex::encode(random.bytes::<8>()));
    let asked = ask(backend, &base);
    let cleaned = clean(backend, &base);
    let probes = asked?;
    cleaned?;
    match probes.iter().find(|probe| !probe.holds) {
        None => Ok(probes),
        Some(broken) => {
            let reason = format!("it does not keep a promise: {}", broken.name);
            Err(BackendError::Refused { op: Op::Open, key: backend.describe(), reason })
        }
    }
}

fn ask(backend: &dyn Backend, base: &str) -> Result<Vec<Probe>, BackendError> {
    let key = Key::new(format!("{base}/a/Object"))?;
    let folded = Key::new(format!("{base}/a/oBJECT"))?;
    let long = Key::new(format!("{base}/{}", "n".repeat(super::SEGMENT_BYTES_MAX)))?;
    let body: &[&[u8]] = &[b"first ", b"body"];
    let mut probes = Vec::new();
    let mut note = |name: &str, holds: bool| probes.push(Probe { name: name.to_owned(), holds });

    note("a new object is created", put(backend, &key, body)? == Put::Created);
    note("an object is never overwritten", put(backend, &key, &[b"other"])? == Put::Existed);
    note("what was put is read", backend.get(&key)?.as_deref() == Some(b"first body"));
    let mut part = [0; 4];
    let is_found = match backend.get_range(&key, 3, &mut part) {
        Err(BackendError::Short { .. }) => false,
        answer => answer?.is_some(),
    };
    note("a range is read", is_found && part == *b"st b");
    note("names differ by case", backend.get(&folded)?.is_none());
    note("long names work", put(backend, &long, body)? == Put::Created);
    let listed = backend.list_all(base)?;
    let keys: Vec<&Key> = listed.iter().map(|entry| &entry.key).collect();
    note("what was put is listed at once", keys == [&key, &long]);
    backend.delete(&key)?;
    note("what was deleted is gone at once", backend.get(&key)?.is_none());
    note("of racing creators one wins", race(backend, &Key::new(format!("{base}/race"))?)?);
    Ok(probes)
}

fn race(backend: &dyn Backend, key: &Key) -> Result<bool, BackendError> {
    let start = Barrier::new(RACERS);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..RACERS)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    put(backend, key, &[b"winner"])
                })
            })
            .collect();
        racers.into_iter().filter_map(|racer| racer.join().ok()).collect()
    });
    let answers = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
    let created = answers.iter().filter(|put| **put == Put::Created).count();
    let existed = answers.iter().filter(|put| **put == Put::Existed).count();
    Ok(created == 1 && existed == RACERS - 1)
}

/// A put whose answer got lost proves nothing either way.
fn put(backend: &dyn Backend, key: &Key, body: &[&[u8]]) -> Result<Put, BackendError> {
    match backend.put_new(key, body)? {
        Put::Unknown => {
            let source = std::io::Error::other("no answer to a put");
            Err(BackendError::Unavailable { op: Op::Put, key: key.to_string(), source })
        }
        put => Ok(put),
    }
}

fn clean(backend: &dyn Backend, base: &str) -> Result<(), BackendError> {
    backend.list_all(base)?.iter().try_for_each(|entry| backend.delete(&entry.key))
}
