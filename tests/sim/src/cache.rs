//! The cache that the processes of a run share: it outlives them, and is damaged, old, somebody else's or full now
//! and then.

use std::collections::BTreeMap;
use std::io::{self, Cursor};
use std::sync::Arc;

use cbr_store::cache::{CacheFiles, Opened};

use crate::world::{Inner, World};

/// How many older states of a file somebody keeps, to put them back.
const OLD_MAX: usize = 6;

/// What is on the disk, and was.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    files: BTreeMap<String, Vec<u8>>,
    old: BTreeMap<String, Vec<Vec<u8>>>,
}

/// One process's way to it. It ends when the process dies.
#[derive(Debug)]
pub(crate) struct Cache {
    world: Arc<World>,
    /// Whose process; nobody's when all is at rest, and then nothing goes wrong.
    me: Option<usize>,
    life: u64,
}

impl Cache {
    pub(crate) fn new(world: &Arc<World>, me: Option<usize>) -> Self {
        let life = me.map_or(0, |me| world.lock().life(me));
        Self { world: Arc::clone(world), me, life }
    }

    /// Runs `work`, unless the process is dead.
    fn alive<T>(&self, work: impl FnOnce(&mut Inner) -> io::Result<T>) -> io::Result<T> {
        let mut inner = self.world.lock();
        if self.me.is_some_and(|me| inner.life(me) != self.life) {
            return Err(io::Error::other("the process is dead"));
        }
        work(&mut inner)
    }

    fn happens(&self, inner: &mut Inner, one_in: u64) -> bool {
        self.me.is_some() && inner.below(one_in) == 0
    }

    /// Somebody did something to a file that is about to be read.
    fn harm(&self, inner: &mut Inner, name: &str) {
        if !self.happens(inner, 2) {
            return;
        }
        // Also of a domain that has none any more, and where there was none: few runs have two at once.
        let bytes = inner.shelf.files.get(name).cloned().unwrap_or_default();
        let at = usize::try_from(inner.below(bytes.len().max(1) as u64)).unwrap_or(0);
        let others = inner.shelf.old.iter().filter(|(other, _)| *other != name);
        let others: Vec<&Vec<u8>> = others.flat_map(|(_, states)| states).collect();
        let other = (!others.is_empty()).then(|| others[at % others.len()].clone());
        let kind = match (bytes.is_empty(), &other) {
            (true, None) => return,
            (true, Some(_)) => 4,
            (false, None) => inner.below(4),
            (false, Some(_)) => inner.below(8),
        };
        let harmed = match kind {
            0 => {
                inner.saw("a cache file was damaged");
                let mut bytes = bytes;
                bytes[at] ^= 1 << (at % 8);
                Some(bytes)
            }
            1 => {
                inner.saw("a cache file was damaged");
                Some(bytes[..at].to_vec())
            }
            2 => {
                inner.saw("a cache file was lost");
                None
            }
            3 => {
                inner.saw("a cache file was an older one");
                let old = inner.shelf.old.get(name).and_then(|old| old.get(at % OLD_MAX));
                Some(old.unwrap_or(&bytes).clone())
            }
            _ => {
                inner.saw("a cache file was another domain's");
                // Behind what is right, or instead of it.
                let kept = if at % 2 == 0 { bytes.as_slice() } else { &[] };
                other.map(|other| [kept, &other].concat())
            }
        };
        match harmed {
            Some(bytes) => drop(inner.shelf.files.insert(name.to_owned(), bytes)),
            None => drop(inner.shelf.files.remove(name)),
        }
    }

    /// Writes a file; or half of it, and fails.
    fn write(&self, inner: &mut Inner, name: &str, before: &[u8], more: &[u8]) -> io::Result<u64> {
        let is_full = self.happens(inner, 8);
        let more = if is_full { &more[..more.len() / 2] } else { more };
        let bytes = [before, more].concat();
        let size = bytes.len() as u64;
        let old = inner.shelf.old.entry(name.to_owned()).or_default();
        if old.len() < OLD_MAX {
            old.push(bytes.clone());
        }
        inner.shelf.files.insert(name.to_owned(), bytes);
        if is_full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(size) }
    }
}

impl CacheFiles for Cache {
    fn open(&self, name: &str) -> io::Result<Option<Opened>> {
        self.alive(|inner| {
            self.harm(inner, name);
            let Some(bytes) = inner.shelf.files.get(name).cloned() else { return Ok(None) };
            inner.saw("a process began with what others had read");
            Ok(Some((bytes.len() as u64, Box::new(Cursor::new(bytes)) as Box<dyn io::Read>)))
        })
    }

    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<Option<u64>> {
        self.alive(|inner| {
            let Some(before) = inner.shelf.files.get(name).cloned() else { return Ok(None) };
            self.write(inner, name, &before, bytes).map(Some)
        })
    }

    fn replace(&self, name: &str, pieces: &mut dyn Iterator<Item = Vec<u8>>) -> io::Result<u64> {
        let bytes = pieces.collect::<Vec<_>>().concat();
        self.alive(|inner| self.write(inner, name, &[], &bytes))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.alive(|inner| {
            inner.shelf.files.remove(name);
            Ok(())
        })
    }

    fn names(&self) -> io::Result<Vec<String>> {
        self.alive(|inner| Ok(inner.shelf.files.keys().cloned().collect()))
    }
}
