//! Verdicts by others, and what becomes of a session that does not know of its own (P9, P14; I3), and
//! a bookkeeping that does not fit the maps (I6).

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cbr_store::backend::layer::Switching;
use cbr_store::backend::{Backend, MemoryBackend};
use cbr_store::format::place;
use cbr_store::format::record::{Outcome, Record};
use cbr_store::{BlockTarget, Error, Job, Options, Repository, VersionRef};

use crate::world::{
    CHAIN, Seeds, assert_all_can_go, assert_no_leak, assert_versions, four_versions, master, open,
    options, packs, tenant_keys,
};

/// Whoever knows a session to be dead gives the verdict. From then on it pins nothing, and if its
/// process lives after all, it fails, whatever it has written before or writes still.
#[test]
fn a_session_that_was_given_up_pins_nothing_and_never_commits() {
    for has_written in [true, false] {
        let mut start = four_versions();
        let memory = Arc::new(MemoryBackend::from_snapshot(start.objects.clone()));
        let backend: Arc<dyn Backend> = memory.clone();
        let dead = open(&backend, &Seeds::new(60)).unwrap();
        let alive = open(&backend, &Seeds::new(61)).unwrap();
        let disk = start.expected[&4].with(0, 50).with(6, 0);
        let mut session = dead.begin(&CHAIN, "dead").unwrap();
        if has_written {
            session.write(&disk, None, &Job::quiet()).unwrap();
        }
        // Its parent is kept for it.
        alive.delete(&CHAIN, &[4]).unwrap();
        start.expected.remove(&4);
        assert_eq!(alive.unfinished(&CHAIN).unwrap(), ["dead"]);
        let pinned = packs(memory.as_ref());
        alive.reclaim(&CHAIN).unwrap();
        assert_eq!(packs(memory.as_ref()), pinned, "a sweep waits for the verdict");

        alive.abort_unfinished(&CHAIN, "dead").unwrap();
        assert!(alive.unfinished(&CHAIN).unwrap().is_empty());
        assert!(packs(memory.as_ref()).len() < pinned.len(), "its parent is free now");
        if !has_written {
            // Its parent's map is gone; a zombie may notice here or at the commit.
            let wrote = session.write(&disk, None, &Job::quiet());
            if wrote.is_err() {
                drop(session);
                alive.reclaim(&CHAIN).unwrap();
                assert_no_leak(memory.as_ref());
                continue;
            }
        }
        let committed = session.commit(b"too late");
        assert!(matches!(committed, Err(Error::SessionLost { .. })), "{committed:?}");
        assert_versions(&alive, &start.expected);
        alive.reclaim(&CHAIN).unwrap();
        assert_no_leak(memory.as_ref());
        assert_all_can_go(&alive, &memory);
    }
}

/// I6: sums that do not say what the maps say are found, and which chain it is.
#[test]
fn a_recount_finds_sums_that_do_not_fit_the_maps() {
    let start = four_versions();
    let memory = Arc::new(MemoryBackend::from_snapshot(start.objects));
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open(&backend, &Seeds::new(62)).unwrap();
    let right = repository.audit(&Job::quiet()).unwrap();
    assert!(right.is_right() && right.chains.len() == 1, "{right:?}");
    assert_eq!((right.chains[0].chain, right.chains[0].versions), (CHAIN, 4));
    assert!(right.chains[0].counted_bytes > 0);

    let key = place::outcome(&CHAIN, 4);
    let keys = tenant_keys(memory.as_ref()).unwrap();
    let object = memory.get(&key).unwrap().unwrap();
    let Outcome::Commit(mut commit) = Outcome::open(&object, &key, &keys).unwrap() else {
        panic!("version 4 was committed")
    };
    commit.added_bytes += 7;
    let forged = Outcome::Commit(commit).seal(&key, &keys, Seeds::new(63).random().as_ref());
    memory.overwrite(&key, forged);
    let repository = open(&backend, &Seeds::new(64)).unwrap();
    let wrong = repository.audit(&Job::quiet()).unwrap();
    assert!(!wrong.is_right());
    assert_eq!(wrong.chains[0].booked_bytes, wrong.chains[0].counted_bytes + 7);

    // What cannot be read cannot be counted, and that is said.
    memory.delete(&key).unwrap();
    let root = packs(memory.as_ref()).into_iter().find(|key| key.as_str().contains("/m/"));
    memory.overwrite(&root.unwrap(), vec![0; 10]);
    assert!(!repository.audit(&Job::quiet()).unwrap().is_right());
}

/// A disk that notes what is written after the restore was told to end.
struct Watched {
    cancel: Arc<AtomicBool>,
    late: AtomicBool,
    size_bytes: u64,
}

impl Watched {
    fn note(&self) {
        self.late.fetch_or(self.cancel.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

impl BlockTarget for Watched {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn is_known_zero(&self) -> bool {
        false
    }

    fn write_at(&self, _: u64, _: &[u8]) -> io::Result<()> {
        self.note();
        Ok(())
    }

    fn zero(&self, _: Range<u64>) -> io::Result<()> {
        self.note();
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

/// P1, P14: a restore that is told to end writes nothing more, whatever it was waiting for at that moment: the
/// disk may be somebody else's by then.
#[test]
fn a_restore_that_was_told_to_end_writes_nothing_more() {
    let start = four_versions();
    for call in 0.. {
        let memory: Arc<dyn Backend> =
            Arc::new(MemoryBackend::from_snapshot(start.objects.clone()));
        let switching = Arc::new(Switching::new(memory));
        // All on this thread, so that it is known what comes after what.
        let options = Options { threads: 0, ..options() };
        let backend = Arc::clone(&switching) as Arc<dyn Backend>;
        let random = Seeds::new(62).random();
        let repository = Repository::open(backend, master(), random, options).unwrap();
        let (job, size_bytes) = (Job::quiet(), start.expected[&4].0.len() as u64);
        let disk = Watched { cancel: Arc::clone(&job.cancel), late: false.into(), size_bytes };
        let cancel = Arc::clone(&job.cancel);
        switching.before_call(call, move || cancel.store(true, Ordering::SeqCst));
        let restored = repository.restore(&VersionRef { chain: CHAIN, seq: 4 }, &disk, &job);
        assert!(!disk.late.into_inner(), "call {call}");
        if !job.cancel.load(Ordering::SeqCst) {
            restored.unwrap();
            assert!(call > 3, "it was told to end at each of its calls");
            return;
        }
    }
}
