//! One process's way to the simulated store, and to its arbiter.

use std::io;
use std::sync::{Arc, MutexGuard};

use cbr_store::backend::layer::{Arbiter, Arbitrated, Fate, Registered};
use cbr_store::backend::{Backend, BackendError, Entry, Key, Op, Page, Put};
use cbr_store::format::place::Place;

use crate::plan::Kind;
use crate::world::{Inner, World};

/// One process's way to the store. It ends when the process dies.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    world: Arc<World>,
    /// Whose process; nobody's when all is at rest, and then nothing goes wrong.
    me: Option<usize>,
    life: u64,
}

impl Port {
    /// Of the actor's present process; with the arbiter before it if the store overwrites.
    ///
    /// # Errors
    /// If what others left unfinished cannot be finished.
    pub(crate) fn open(
        world: &Arc<World>,
        me: Option<usize>,
    ) -> Result<Arc<dyn Backend>, BackendError> {
        let (life, overwrites) = {
            let inner = world.lock();
            (me.map_or(0, |me| inner.life(me)), inner.setting.overwrites)
        };
        let port = Arc::new(Self { world: Arc::clone(world), me, life });
        if !overwrites {
            return Ok(port);
        }
        let arbitrated = Arbitrated::new(port.clone(), port);
        arbitrated.finish()?;
        Ok(Arc::new(arbitrated))
    }

    /// Waits for the next turn, and decides what goes wrong with this call.
    fn call(
        &self,
        op: Op,
        key: &str,
    ) -> Result<(MutexGuard<'_, Inner>, Option<Kind>), BackendError> {
        let Some(me) = self.me else { return Ok((self.world.lock(), None)) };
        let mut inner = self.world.turn(self.world.lock(), me);
        if inner.life(me) != self.life {
            return Err(failed(op, key, "the process is dead"));
        }
        let mut fault = inner.fault(me, op, key);
        if let Some(Kind::Pause(_)) = fault {
            inner = self.world.turn(inner, me);
            fault = None;
        }
        if inner.life(me) != self.life && !matches!(fault, Some(Kind::CrashAfter)) {
            return Err(failed(op, key, "the process is dead"));
        }
        if let Some(Kind::Unavailable(_)) = fault {
            return Err(failed(op, key, "503"));
        }
        Ok((inner, fault))
    }

    /// For calls that change nothing: faults that are about changes are plain failures.
    fn reading(&self, op: Op, key: &str) -> Result<(MutexGuard<'_, Inner>, bool), BackendError> {
        match self.call(op, key)? {
            // What is only about listings leaves other reads alone.
            (inner, None | Some(Kind::PartialList | Kind::EmptyList)) => Ok((inner, false)),
            (mut inner, Some(Kind::TornRead)) => {
                inner.saw("a read was torn");
                Ok((inner, true))
            }
            _ => Err(failed(op, key, "injected")),
        }
    }

    /// A call of the database: it happens, or it does not, or nobody learns of it.
    fn ask<T>(&self, key: &str, effect: impl FnOnce(&mut Inner) -> T) -> Result<T, BackendError> {
        let (mut inner, fault) = self.call(Op::Put, key)?;
        match fault {
            None | Some(Kind::TornRead | Kind::PartialList | Kind::EmptyList) => {
                Ok(effect(&mut inner))
            }
            Some(Kind::LostAnswer | Kind::TimedOut | Kind::CrashAfter | Kind::Late(_)) => {
                inner.saw("the arbiter decided and its answer was lost");
                effect(&mut inner);
                Err(failed(Op::Put, key, "the database is gone"))
            }
            Some(_) => Err(failed(Op::Put, key, "the database is gone")),
        }
    }
}

impl Backend for Port {
    fn put_new(&self, key: &Key, body: &[&[u8]]) -> Result<Put, BackendError> {
        let (mut inner, fault) = self.call(Op::Put, key.as_str())?;
        match fault {
            None | Some(Kind::TornRead | Kind::PartialList | Kind::EmptyList) => {
                Ok(inner.put(key, body))
            }
            Some(Kind::NoSpace) => {
                inner.saw("there was no space");
                Err(BackendError::NoSpace { op: Op::Put, key: key.to_string() })
            }
            Some(Kind::LostRequest) => {
                inner.saw("a put was unknown and had not happened");
                Ok(Put::Unknown)
            }
            Some(Kind::LostAnswer) => {
                inner.saw("a put was unknown and had happened");
                let _ = inner.put(key, body);
                Ok(Put::Unknown)
            }
            Some(Kind::TimedOut) => {
                inner.saw("a put happened and failed");
                let _ = inner.put(key, body);
                Err(failed(Op::Put, key.as_str(), "timed out"))
            }
            Some(Kind::Late(after)) => {
                inner.send(after, key, Some(body.concat()));
                Ok(Put::Unknown)
            }
            Some(Kind::CrashAfter) => {
                let _ = inner.put(key, body);
                Err(failed(Op::Put, key.as_str(), "died after it"))
            }
            Some(_) => Err(failed(Op::Put, key.as_str(), "injected")),
        }
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, BackendError> {
        let (inner, is_torn) = self.reading(Op::Get, key.as_str())?;
        let mut object = inner.objects.get(key).cloned();
        if let Some(bytes) = object.as_mut().filter(|_| is_torn) {
            bytes.truncate(bytes.len() / 2);
        }
        Ok(object)
    }

    fn get_range(&self, key: &Key, at: u64, into: &mut [u8]) -> Result<Option<()>, BackendError> {
        let (mut inner, is_torn) = self.reading(Op::GetRange, key.as_str())?;
        inner.see_moved(key);
        let Some(object) = inner.objects.get(key) else { return Ok(None) };
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        let part = object.get(start..start.saturating_add(into.len()));
        let end = at.saturating_add(into.len() as u64);
        let short = || BackendError::Short { key: key.to_string(), end };
        into.copy_from_slice(part.ok_or_else(short)?);
        if is_torn {
            let half = into.len() / 2;
            into[half..].fill(0);
        }
        Ok(Some(()))
    }

    fn size(&self, key: &Key) -> Result<Option<u64>, BackendError> {
        let (mut inner, is_torn) = self.reading(Op::Size, key.as_str())?;
        inner.see_moved(key);
        let size = inner.objects.get(key).map(|object| object.len() as u64);
        Ok(if is_torn { size.map(|size| size / 2) } else { size })
    }

    fn list(&self, prefix: &str, after: Option<&Key>) -> Result<Page, BackendError> {
        let (mut inner, fault) = self.call(Op::List, prefix)?;
        let entry = |(key, object): (&Key, &Vec<u8>)| Entry {
            key: key.clone(),
            size_bytes: object.len() as u64,
        };
        let wanted = |key: &Key| key.as_str().starts_with(prefix) && after.is_none_or(|a| key > a);
        let mut entries: Vec<Entry> =
            inner.objects.iter().filter(|(key, _)| wanted(key)).map(entry).collect();
        match fault {
            None | Some(Kind::TornRead) => {}
            Some(Kind::PartialList) => {
                entries.truncate(entries.len() / 2);
                inner.saw("a listing was cut short");
            }
            Some(Kind::EmptyList) => {
                entries.clear();
                inner.saw("a listing was empty");
            }
            Some(_) => {
                if after.is_some() && inner.setting.page > 0 {
                    inner.saw("a listing failed after its first page");
                }
                return Err(failed(Op::List, prefix, "injected"));
            }
        }
        let page = inner.setting.page;
        let is_last = page == 0 || entries.len() <= page;
        if !is_last {
            entries.truncate(page);
        }
        Ok(Page { entries, is_last })
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        let (mut inner, fault) = self.call(Op::Delete, key.as_str())?;
        match fault {
            None | Some(Kind::TornRead | Kind::PartialList | Kind::EmptyList) => {
                inner.remove(key);
                Ok(())
            }
            Some(Kind::LostAnswer | Kind::TimedOut | Kind::CrashAfter) => {
                inner.remove(key);
                Err(failed(Op::Delete, key.as_str(), "the answer was lost"))
            }
            Some(Kind::Late(after)) => {
                inner.send(after, key, None);
                Err(failed(Op::Delete, key.as_str(), "timed out"))
            }
            Some(_) => Err(failed(Op::Delete, key.as_str(), "injected")),
        }
    }

    fn describe(&self) -> String {
        "simulation".to_owned()
    }
}

impl Arbiter for Port {
    fn register(&self, key: &Key, body: &[u8]) -> Result<Registered, BackendError> {
        self.ask(key.as_str(), |inner| match inner.names.get(key) {
            Some(Some(decided)) => {
                let decided = decided.clone();
                if decided != body {
                    inner.saw("a writer finished another one's put");
                }
                Registered::Before(decided)
            }
            Some(None) => Registered::Written,
            None => {
                inner.names.insert(key.clone(), Some(body.to_vec()));
                Registered::First
            }
        })
    }

    fn settle(&self, key: &Key, fate: Fate) -> Result<(), BackendError> {
        self.ask(key.as_str(), |inner| match fate {
            Fate::Written => drop(inner.names.get_mut(key).map(Option::take)),
            Fate::Removed => drop(inner.names.remove(key)),
        })
    }

    fn unfinished(&self, most: usize) -> Result<Vec<(Key, Vec<u8>)>, BackendError> {
        self.ask("unfinished", |inner| {
            let open = inner.names.iter();
            let open = open.filter_map(|(key, body)| Some((key.clone(), body.clone()?)));
            let open: Vec<_> = open.take(most).collect();
            if !open.is_empty() {
                inner.saw("a start finished what a dead process had begun to put");
            }
            open
        })
    }
}

impl Inner {
    fn see_moved(&mut self, key: &Key) {
        let Some(Place::Pack(pack, generation)) = Place::parse(key) else { return };
        if self.objects.contains_key(key) {
            return;
        }
        let is_other = |found: &Key| match Place::parse(found) {
            Some(Place::Pack(other, newer)) => other == pack && newer > generation,
            _ => false,
        };
        if self.objects.keys().any(is_other) {
            self.saw("a reader found its pack moved");
        }
    }
}

fn failed(op: Op, key: &str, why: &'static str) -> BackendError {
    BackendError::Unavailable { op, key: key.to_owned(), source: io::Error::other(why) }
}
