//! A listing that lies costs nothing (P10): empty, cut, with a gap, failing half-way, or of another
//! store – at every page of every operation that removes objects, once or from then on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use cbr_store::backend::{Backend, BackendError, BackendExt, Key, MemoryBackend, Op, Page, Put};
use cbr_store::{Job, Repository, Result};

use crate::world::{CHAIN, Disk, Seeds, assert_versions, backup, four_versions, open};

/// Small, so that there are many pages to lie on.
const PAGE: usize = 2;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Lie {
    /// Nothing is there.
    Empty,
    /// The second half of the page and all that follows is missing, without an error.
    Cut,
    /// One object in the middle is missing.
    Gap,
    /// The listing fails here.
    Fails,
    /// The page of another repository with the same chain.
    OtherStore,
}

const LIES: [Lie; 5] = [Lie::Empty, Lie::Cut, Lie::Gap, Lie::Fails, Lie::OtherStore];

/// Lies on page `at`, and on all later ones if it does so for ever.
struct Liar {
    inner: Arc<MemoryBackend>,
    other: Arc<MemoryBackend>,
    lie: Lie,
    at: u64,
    for_ever: bool,
    pages: AtomicU64,
    removed: Mutex<BTreeSet<Key>>,
    removed_after: AtomicU64,
}

impl Liar {
    fn page_of(backend: &MemoryBackend, prefix: &str, after: Option<&Key>) -> Page {
        let mut page = backend.list(prefix, after).unwrap();
        if page.entries.len() > PAGE {
            page.entries.truncate(PAGE);
            page.is_last = false;
        }
        page
    }
}

impl fmt::Debug for Liar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at page {}", self.lie, self.at)
    }
}

impl Backend for Liar {
    fn put_new(&self, key: &Key, body: &[&[u8]]) -> Result<Put, BackendError> {
        self.inner.put_new(key, body)
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, BackendError> {
        self.inner.get(key)
    }

    fn get_range(&self, key: &Key, at: u64, to: &mut [u8]) -> Result<Option<()>, BackendError> {
        self.inner.get_range(key, at, to)
    }

    fn size(&self, key: &Key) -> Result<Option<u64>, BackendError> {
        self.inner.size(key)
    }

    fn list(&self, prefix: &str, after: Option<&Key>) -> Result<Page, BackendError> {
        let n = self.pages.fetch_add(1, Ordering::Relaxed);
        let mut page = Self::page_of(&self.inner, prefix, after);
        if n != self.at && !(self.for_ever && n > self.at) {
            return Ok(page);
        }
        match self.lie {
            Lie::Empty => Ok(Page { entries: Vec::new(), is_last: true }),
            Lie::Cut => {
                page.entries.truncate(page.entries.len() / 2);
                Ok(Page { is_last: true, ..page })
            }
            Lie::Gap => {
                if page.entries.len() > 1 {
                    page.entries.remove(page.entries.len() / 2 - 1);
                }
                Ok(page)
            }
            Lie::Fails => Err(BackendError::Unavailable {
                op: Op::List,
                key: prefix.to_owned(),
                source: io::Error::other("injected"),
            }),
            Lie::OtherStore => Ok(Self::page_of(&self.other, prefix, after)),
        }
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        if key.as_str().contains("/ckpt.") {
            // It repeats what the log says, and may go at any time.
            return self.inner.delete(key);
        }
        self.removed.lock().unwrap().insert(key.clone());
        if self.pages.load(Ordering::Relaxed) > self.at {
            self.removed_after.fetch_add(1, Ordering::Relaxed);
        }
        self.inner.delete(key)
    }

    fn describe(&self) -> String {
        "liar".to_owned()
    }
}

type Objects = BTreeMap<Key, Vec<u8>>;
type Work = Box<dyn Fn(&Repository) -> Result<()>>;

/// Versions 1 and 3 are deleted and a session was aborted, but nothing was removed.
fn left_half_way() -> (Objects, BTreeMap<u64, Disk>) {
    let start = four_versions();
    let memory = Arc::new(MemoryBackend::from_snapshot(start.objects.clone()));
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open(&backend, &Seeds::new(31)).unwrap();
    let mut session = repository.begin(&CHAIN, "gives up").unwrap();
    let disk = start.expected.values().last().unwrap().with(3, 77);
    session.write(&disk, None, &Job::quiet()).unwrap();
    session.abort().unwrap();
    repository.delete(&CHAIN, &[1, 3]).unwrap();
    // What was removed is back, what was written instead is not.
    let mut objects = memory.snapshot();
    objects.extend(start.objects);
    let mut expected = start.expected;
    expected.retain(|seq, _| ![1, 3].contains(seq));
    (objects, expected)
}

/// Another repository, with a chain of the same name and longer. Nobody changes it.
fn other_store() -> Arc<MemoryBackend> {
    static MADE: LazyLock<Arc<MemoryBackend>> = LazyLock::new(make_other_store);
    Arc::clone(&MADE)
}

fn make_other_store() -> Arc<MemoryBackend> {
    let memory = Arc::new(MemoryBackend::default());
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open(&backend, &Seeds::new(32)).unwrap();
    for n in 0..6 {
        backup(&repository, &format!("other {n}"), &Disk::of(&[n + 1, 2])).unwrap();
    }
    memory
}

fn liar(objects: &Objects, lie: Lie, at: u64, for_ever: bool) -> Arc<Liar> {
    Arc::new(Liar {
        inner: Arc::new(MemoryBackend::from_snapshot(objects.clone())),
        other: other_store(),
        lie,
        at,
        for_ever,
        pages: AtomicU64::new(0),
        removed: Mutex::default(),
        removed_after: AtomicU64::new(0),
    })
}

/// Runs `work` under every lie on every page; the number of cases, and of those that were refused.
fn under_every_lie(
    objects: &Objects,
    expected: &BTreeMap<u64, Disk>,
    work: &Work,
    refused: &mut BTreeMap<(Lie, bool), u64>,
) -> u64 {
    let honest = liar(objects, Lie::Fails, u64::MAX, false);
    let backend: Arc<dyn Backend> = honest.clone();
    work(&open(&backend, &Seeds::new(40)).unwrap()).unwrap();
    let may_go = honest.removed.lock().unwrap().clone();
    assert!(!may_go.is_empty(), "there is something to remove");
    let mut cases = 0;
    for (lie, for_ever) in LIES.into_iter().flat_map(|lie| [(lie, false), (lie, true)]) {
        for at in 0..honest.pages.load(Ordering::Relaxed) {
            let lying = liar(objects, lie, at, for_ever);
            let backend: Arc<dyn Backend> = lying.clone();
            let result = open(&backend, &Seeds::new(41 + at)).and_then(|opened| work(&opened));
            let context = format!("{lying:?}, for ever: {for_ever}, {result:?}");
            let gone = lying.removed.lock().unwrap().clone();
            let wrong: Vec<_> =
                gone.difference(&may_go).filter(|key| objects.contains_key(*key)).collect();
            assert!(wrong.is_empty(), "{context}: {wrong:?}");
            if result.is_err() {
                let after = lying.removed_after.load(Ordering::Relaxed);
                assert_eq!(after, 0, "{context}: removed after the fault");
                *refused.entry((lie, for_ever)).or_default() += 1;
            }
            let memory: Arc<dyn Backend> = lying.inner.clone();
            assert_versions(&open(&memory, &Seeds::new(42)).unwrap(), expected);
            cases += 1;
        }
    }
    cases
}

/// P10
#[test]
fn a_listing_that_lies_removes_nothing_that_is_needed_and_after_an_error_nothing_at_all() {
    let (objects, expected) = left_half_way();
    let mut refused = BTreeMap::new();
    let mut cases = 0;
    let works: [Work; 3] = [
        Box::new(|repository| repository.reclaim(&CHAIN).map(drop)),
        Box::new(|repository| repository.delete(&CHAIN, &[1, 3]).map(drop)),
        Box::new(|repository| {
            let mut plan = repository.plan_reclaim(Some(&CHAIN))?;
            if let Some((_, error)) = plan.blocked.pop() {
                return Err(error);
            }
            repository.execute(&plan, false, &Job::quiet()).map(drop)
        }),
    ];
    for work in &works {
        cases += under_every_lie(&objects, &expected, work, &mut refused);
    }
    assert!(cases >= 500, "{cases} cases");
    for lie in LIES {
        assert!(refused.contains_key(&(lie, true)), "{lie:?} was never noticed: {refused:?}");
    }
    let line = format!("{cases} lies of listings, refused: {refused:?}\n");
    let _ = io::Write::write_all(&mut io::stderr(), line.as_bytes());
}

/// P10: a record that was hidden, also for ever, makes no other version go.
#[test]
fn an_object_that_is_hidden_from_listings_costs_no_version() {
    let (objects, expected) = left_half_way();
    let honest = Arc::new(MemoryBackend::from_snapshot(objects.clone()));
    for hidden in objects.keys().filter(|key| key.as_str().contains("/d/")) {
        let memory = Arc::new(MemoryBackend::from_snapshot(objects.clone()));
        let object = memory.get(hidden).unwrap().unwrap();
        memory.delete(hidden).unwrap();
        let backend: Arc<dyn Backend> = memory.clone();
        let _ = open(&backend, &Seeds::new(50)).unwrap().reclaim(&CHAIN);
        let _ = memory.put_new(hidden, &[&object]).unwrap();
        assert_versions(&open(&backend, &Seeds::new(51)).unwrap(), &expected);
    }
    assert!(honest.list_all("t/").unwrap().len() > 20);
}
