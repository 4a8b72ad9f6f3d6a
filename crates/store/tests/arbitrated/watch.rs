//! A store that becomes another one while a process uses it (P21).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cbr_env::SeededRandom;
use cbr_store::backend::layer::{Arbiter, Fault, Faulty, Stoppable};
use cbr_store::backend::{Backend, BackendError, Key, MemoryBackend, Page, Probe, Put, Weight};
use cbr_store::{CheckDepth, Error, Job, Repository, contract};

use crate::disk::{BLOCK, Disk, assert_restores, backup_as};
use crate::memory_arbiter::Memory;
use crate::store::{CHAIN, master, options};

/// A store that begins to ignore conditions, or to hide what it has, when it is told to.
#[derive(Debug, Default)]
struct Changing {
    inner: MemoryBackend,
    overwrites: AtomicBool,
    hides: AtomicBool,
    notes: AtomicBool,
}

impl Backend for Changing {
    fn put_new(&self, key: &Key, body: &[&[u8]]) -> Result<Put, BackendError> {
        if self.overwrites.load(Ordering::Relaxed) {
            self.inner.overwrite(key, body.concat());
            return Ok(Put::Created);
        }
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
        let mut page = self.inner.list(prefix, after)?;
        if self.hides.load(Ordering::Relaxed) {
            page.entries.retain(|entry| !entry.key.as_str().contains("last"));
        }
        Ok(page)
    }
    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        self.inner.delete(key)
    }
    fn ask(&self, _: &str) -> Vec<Probe> {
        let holds = !self.notes.load(Ordering::Relaxed);
        vec![Probe { name: "a wrong checksum is refused".to_owned(), holds }]
    }
    fn describe(&self) -> String {
        "a store that changes".to_owned()
    }
}

fn open(store: &Arc<impl Backend + 'static>, memory: &Arc<Memory>, seed: u64) -> Repository {
    let (store, memory) =
        (Arc::clone(store) as Arc<dyn Backend>, Arc::clone(memory) as Arc<dyn Arbiter>);
    let random = Arc::new(SeededRandom::new(seed));
    Repository::init_arbitrated(store, memory, master(), random, options()).unwrap()
}

fn is_stopped(error: &Error) -> bool {
    matches!(error, Error::Backend(BackendError::ReadOnly { .. })) && !error.is_transient()
}

#[test]
fn a_store_that_begins_to_overwrite_is_not_written_any_more_until_the_database_decides() {
    let (store, memory) = (Arc::new(Changing::default()), Arc::new(Memory::default()));
    let repository = open(&store, &memory, 1);
    let mut disk = Disk::new(16 * BLOCK);
    disk.write(0..8 * BLOCK, 1);
    let first = backup_as(&repository, &CHAIN, "one", &disk, None).unwrap();
    let mut under_way = repository.begin(&CHAIN, "two").unwrap();

    store.overwrites.store(true, Ordering::Relaxed);
    let probes = repository.ask_again().unwrap().unwrap();
    assert_eq!(repository.broken(&probes).len(), 2, "{probes:?}");
    assert_eq!(repository.last_probes().unwrap(), probes);
    let reason = repository.stopped().unwrap();
    assert!(reason.contains("an object is never overwritten"), "{reason}");
    assert!(reason.contains("started again"), "{reason}");

    let before = store.inner.snapshot();
    let mut newer = disk.clone();
    newer.write(4 * BLOCK..12 * BLOCK, 2);
    let written = under_way.write(&newer, None, &Job::quiet()).map(drop);
    let ended = written.and_then(|()| under_way.commit(b"two").map(drop));
    assert!(is_stopped(&ended.unwrap_err()), "what is under way ends, loudly");
    assert!(is_stopped(&repository.begin(&CHAIN, "three").unwrap_err()));
    assert!(is_stopped(&repository.delete(&CHAIN, &[first.version.seq]).unwrap_err()));
    assert!(is_stopped(&repository.rotate_tenant(CHAIN.tenant).unwrap_err()));
    assert_eq!(store.inner.snapshot(), before, "nothing was put or removed");
    assert_restores(&repository, &first, &disk);
    let report = repository.check(CheckDepth::ReadData, &Job::quiet()).unwrap();
    assert!(report.problems.is_empty(), "reading goes on: {:?}", report.problems);
    // Good answers do not open it again: there may be others who write without being decided.
    store.overwrites.store(false, Ordering::Relaxed);
    repository.ask_again().unwrap();
    assert!(repository.stopped().is_some());

    // The next start asks anew, and lets the database decide.
    store.overwrites.store(true, Ordering::Relaxed);
    let repository = open(&store, &memory, 2);
    assert!(repository.is_arbitrated() && repository.stopped().is_none());
    repository.abort_unfinished(&CHAIN, "two").unwrap();
    let second = backup_as(&repository, &CHAIN, "three", &newer, None).unwrap();
    repository.delete(&CHAIN, &[first.version.seq]).unwrap();
    assert_restores(&repository, &second, &newer);
    repository.ask_again().unwrap();
    assert_eq!(repository.stopped(), None, "that it overwrites is known and provided for");
}

#[test]
fn a_store_that_begins_to_hide_objects_is_not_written_and_not_opened_any_more() {
    for is_arbitrated in [false, true] {
        let (store, memory) = (Arc::new(Changing::default()), Arc::new(Memory::default()));
        store.overwrites.store(is_arbitrated, Ordering::Relaxed);
        let repository = open(&store, &memory, 3);
        let mut disk = Disk::new(8 * BLOCK);
        disk.write(0..8 * BLOCK, 1);
        let version = backup_as(&repository, &CHAIN, "one", &disk, None).unwrap();
        store.hides.store(true, Ordering::Relaxed);
        repository.ask_again().unwrap();
        assert!(is_stopped(&repository.delete(&CHAIN, &[version.version.seq]).unwrap_err()));
        assert_restores(&repository, &version, &disk);
        let again = Repository::init_arbitrated(
            Arc::clone(&store) as Arc<dyn Backend>,
            Arc::clone(&memory) as Arc<dyn Arbiter>,
            master(),
            Arc::new(SeededRandom::new(4)),
            options(),
        );
        assert!(matches!(again, Err(Error::Backend(BackendError::Refused { .. }))), "{again:?}");
    }
}

/// No answer is no bad answer; and what is only noted stops nothing.
#[test]
fn a_store_that_does_not_answer_or_that_only_others_care_about_is_written_on() {
    let (store, memory) = (Arc::new(Changing::default()), Arc::new(Memory::default()));
    let faulty = Arc::new(Faulty::new(Arc::clone(&store) as Arc<dyn Backend>));
    let repository = open(&faulty, &memory, 5);
    faulty.fail_all(Fault::Io);
    assert!(repository.ask_again().is_err());
    faulty.heal();
    let repository = open(&store, &memory, 6);
    store.notes.store(true, Ordering::Relaxed);
    let probes = repository.ask_again().unwrap().unwrap();
    let noted = probes.iter().find(|probe| !probe.holds).unwrap();
    assert_eq!(noted.weight(), Weight::Noted, "{noted:?}");
    assert_eq!(repository.stopped(), None);
    let mut disk = Disk::new(8 * BLOCK);
    disk.write(0..8 * BLOCK, 1);
    let version = backup_as(&repository, &CHAIN, "one", &disk, None).unwrap();
    assert_restores(&repository, &version, &disk);
}

#[test]
fn what_can_be_stopped_keeps_the_contract_until_then() {
    let stoppable = Stoppable::new(Arc::new(MemoryBackend::default()));
    contract::check(&stoppable);
    stoppable.stop("for a reason");
    stoppable.stop("for another");
    let name = Key::new("a/b").unwrap();
    for error in [stoppable.put_new(&name, &[b"x"]).map(drop), stoppable.delete(&name)] {
        assert!(error.unwrap_err().to_string().contains("for a reason"));
    }
    assert_eq!(stoppable.get(&name).unwrap(), None);
}

#[test]
fn a_repository_in_a_directory_is_not_asked_again() {
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::default());
    let random = Arc::new(SeededRandom::new(7));
    let repository = Repository::init(backend, master(), random, options()).unwrap();
    assert_eq!(repository.ask_again().unwrap(), None);
    assert_eq!((repository.last_probes(), repository.stopped()), (None, None));
}
