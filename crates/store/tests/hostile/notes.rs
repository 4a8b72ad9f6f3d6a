//! Notes: what the caller finds again without a database, in the order in which it was noted.

use std::sync::Arc;

use cbr_store::backend::{
    Backend, BackendError, BackendExt as _, Entry, Key, MemoryBackend, Page, Put,
};
use cbr_store::format::place;
use cbr_store::{CheckDepth, Error, Job, Repository, ScrubBudget, ScrubCursor, ScrubLevel};
use uuid::Uuid;

use crate::world::{self, CHAIN, Disk, Seeds, backup};

const TENANT: Uuid = CHAIN.tenant;
const SUBJECT: Uuid = Uuid::from_u128(3);
const OTHER: Uuid = Uuid::from_u128(4);

fn open(backend: Arc<dyn Backend>, seed: u64) -> Repository {
    world::open(&backend, &Seeds::new(seed)).unwrap()
}

/// A tenant with data.
fn repository() -> (Arc<MemoryBackend>, Repository) {
    let backend = Arc::new(MemoryBackend::default());
    let repository = open(backend.clone(), 1);
    backup(&repository, "task", &Disk::of(&[1, 2])).unwrap();
    (backend, repository)
}

fn said(repository: &Repository, subject: Uuid) -> Vec<String> {
    let notes = repository.notes().unwrap().into_iter().filter(|note| note.subject == subject);
    notes.map(|note| String::from_utf8(note.content).unwrap()).collect()
}

fn wrong(repository: &Repository) -> Vec<String> {
    let report = repository.check(CheckDepth::Structure, &Job::quiet()).unwrap();
    assert_eq!(report.unknown_objects, 0);
    report.problems.into_iter().map(|problem| problem.object).collect()
}

/// P8, P14: any process finds them in their order; of one owner there is one, however often he tries.
#[test]
fn notes_are_found_in_their_order_and_an_owner_has_one() {
    let (backend, repository) = repository();
    for (owner, content) in [("task 1", "a"), ("task 2", "b"), ("task 1", "c"), ("task 3", "a")] {
        repository.note(TENANT, SUBJECT, owner, content.as_bytes()).unwrap();
        // Another worker of the same task.
        open(backend.clone(), 2).note(TENANT, SUBJECT, owner, b"late").unwrap();
    }
    repository.note(TENANT, OTHER, "task 1", b"elsewhere").unwrap();
    // The tenant's key changes; what was sealed before stays readable.
    repository.rotate_tenant(TENANT).unwrap();
    repository.note(TENANT, SUBJECT, "task 4", b"d").unwrap();
    let found = open(backend, 3);
    assert_eq!(said(&found, SUBJECT), ["a", "b", "a", "d"]);
    assert_eq!(said(&found, OTHER), ["elsewhere"]);
    assert_eq!(wrong(&found), Vec::<String>::new());
    // The versions are what they were, and all can go (P7).
    assert_eq!(found.contents().unwrap().live.len(), 1);
    found.delete(&CHAIN, &[1]).unwrap();
    assert_eq!(said(&found, SUBJECT).len(), 4);
}

/// P14: who has known the tenant's keys since before they changed sees what was noted with the new one, and notes
/// nothing a second time.
#[test]
fn a_key_that_is_new_hides_no_note() {
    let (backend, repository) = repository();
    repository.note(TENANT, SUBJECT, "task 1", b"a").unwrap();
    let [reader, other] = [2, 3].map(|seed| open(backend.clone(), seed));
    assert_eq!(said(&reader, SUBJECT), ["a"]);
    other.rotate_tenant(TENANT).unwrap();
    other.note(TENANT, SUBJECT, "task 2", b"b").unwrap();
    repository.note(TENANT, SUBJECT, "task 2", b"late").unwrap();
    assert_eq!(said(&reader, SUBJECT), ["a", "b"]);
}

/// P8, P31: who noted something with keys that ended meanwhile is told so, and does not go on to the next number
/// for ever (found by seed 908366 of the simulation).
#[test]
fn a_note_under_keys_that_ended_meanwhile_is_refused() {
    let (backend, repository) = repository();
    repository.note(TENANT, SUBJECT, "task 1", b"a").unwrap();
    let other = open(backend.clone(), 2);
    other.rotate_tenant(TENANT).unwrap();
    other.note(TENANT, SUBJECT, "task 2", b"b").unwrap();
    other.shred_tenant(TENANT, "it left").unwrap();
    let refused = repository.note(TENANT, SUBJECT, "task 3", b"c");
    assert!(matches!(refused, Err(Error::Shredded { .. })), "{refused:?}");
    let notes = backend.list_all(&place::notes(TENANT)).unwrap();
    assert!(notes.len() <= 3, "{}", notes.len());
}

/// A tenant without data has nothing that could be noted, and what is too long is refused.
#[test]
fn what_cannot_be_noted_leaves_nothing() {
    let (backend, repository) = repository();
    let before = backend.snapshot();
    repository.note(Uuid::from_u128(99), SUBJECT, "task", b"x").unwrap();
    let refused = repository.note(TENANT, SUBJECT, "task", &vec![0; (1 << 20) + 1]);
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    let refused = repository.note(TENANT, SUBJECT, &"x".repeat(5000), b"x");
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    assert_eq!(backend.snapshot(), before);
    assert_eq!(repository.notes().unwrap(), []);
}

/// P4, P5: a damaged note is named by a check and by a scrub, left out, and in nobody's way; one that is
/// missing before another one shows.
#[test]
fn a_damaged_note_is_named_and_a_missing_one_is_missed() {
    let (backend, repository) = repository();
    for owner in ["task 1", "task 2", "task 3"] {
        repository.note(TENANT, SUBJECT, owner, owner.as_bytes()).unwrap();
    }
    let [first, second] = [1, 2].map(|n| place::note(TENANT, SUBJECT, n));
    let mut object = backend.get(&second).unwrap().unwrap();
    let middle = object.len() / 2;
    object[middle] ^= 1;
    backend.overwrite(&second, object);
    assert_eq!(wrong(&repository), [second.to_string()]);
    let budget = ScrubBudget { bytes: 1 << 30, requests: 10_000, level: ScrubLevel::Full };
    let step = repository.scrub(&budget, &ScrubCursor::default(), &Job::quiet()).unwrap();
    let scrubbed: Vec<&str> = step.problems.iter().map(|one| one.object.as_str()).collect();
    assert_eq!(scrubbed, [second.as_str()]);
    assert_eq!(said(&repository, SUBJECT), ["task 1", "task 3"]);
    repository.note(TENANT, SUBJECT, "task 4", b"task 4").unwrap();
    assert_eq!(said(&repository, SUBJECT), ["task 1", "task 3", "task 4"]);
    backend.delete(&first).unwrap();
    let mut missed = wrong(&repository);
    missed.sort();
    missed.dedup();
    assert_eq!(missed, [first.to_string(), second.to_string()]);
}

/// A place whose listings end too early, and do not say so.
#[derive(Debug)]
struct Withholding(Arc<MemoryBackend>);

impl Backend for Withholding {
    fn put_new(&self, key: &Key, body: &[&[u8]]) -> Result<Put, BackendError> {
        self.0.put_new(key, body)
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, BackendError> {
        self.0.get(key)
    }

    fn get_range(
        &self,
        key: &Key,
        offset: u64,
        into: &mut [u8],
    ) -> Result<Option<()>, BackendError> {
        self.0.get_range(key, offset, into)
    }

    fn size(&self, key: &Key) -> Result<Option<u64>, BackendError> {
        self.0.size(key)
    }

    fn list(&self, prefix: &str, after: Option<&Key>) -> Result<Page, BackendError> {
        let mut page = self.0.list(prefix, after)?;
        let is_note = |entry: &Entry| entry.key.as_str().contains("/n/");
        if page.entries.iter().filter(|entry| is_note(entry)).count() > 1 {
            page.entries.pop();
        }
        Ok(page)
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        self.0.delete(key)
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

/// P10: a listing that lacks the newest note hides nothing, and nobody takes its number again.
#[test]
fn a_listing_that_lacks_the_newest_note_hides_nothing() {
    let (backend, repository) = repository();
    repository.note(TENANT, SUBJECT, "task 1", b"a").unwrap();
    repository.note(TENANT, SUBJECT, "task 2", b"b").unwrap();
    let found = open(Arc::new(Withholding(backend)), 5);
    found.note(TENANT, SUBJECT, "task 3", b"c").unwrap();
    assert_eq!(said(&found, SUBJECT), ["a", "b", "c"]);
}

/// I5: what was noted about a tenant whose keys are destroyed is as unreadable as all else, and no damage.
#[test]
fn notes_of_a_destroyed_tenant_are_nobodys() {
    let (backend, repository) = repository();
    repository.note(TENANT, SUBJECT, "task 1", b"a").unwrap();
    repository.shred_tenant(TENANT, "it left").unwrap();
    let found = open(backend.clone(), 6);
    assert_eq!(found.notes().unwrap(), []);
    assert_eq!(wrong(&found), Vec::<String>::new());
    found.remove_shredded(TENANT).unwrap();
    assert_eq!(wrong(&found), Vec::<String>::new());
    assert!(!backend.snapshot().contains_key(&place::note(TENANT, SUBJECT, 1)));
}

/// P8, P23: names that somebody else made cost no time and no memory; what is sound is read, and the next note
/// comes after what was lost.
#[test]
fn names_of_others_hold_up_nobody() {
    let (backend, repository) = repository();
    for owner in ["task 1", "task 2", "task 3"] {
        repository.note(TENANT, SUBJECT, owner, owner.as_bytes()).unwrap();
    }
    backend.delete(&place::note(TENANT, SUBJECT, 1)).unwrap();
    let _ = backend.put_new(&place::note(TENANT, OTHER, u64::MAX), &[&[]]).unwrap();
    let _ = backend.put_new(&place::note(TENANT, OTHER, 1 << 40), &[b"x"]).unwrap();
    // Of a tenant whose name sorts behind everything that is below it, and of one whose key is junk.
    for junk in [Uuid::from_u128(77), TENANT] {
        let below = format!("t/{junk}/zzz");
        let _ = backend.put_new(&Key::new(below).unwrap(), &[b"x"]).unwrap();
    }
    let _ = backend.put_new(&place::tenant_key(Uuid::from_u128(78), 1), &[b"junk"]).unwrap();
    let found = open(backend.clone(), 5);
    assert_eq!(said(&found, SUBJECT), ["task 2", "task 3"]);
    assert_eq!(said(&found, OTHER), Vec::<String>::new());
    found.note(TENANT, SUBJECT, "task 4", b"task 4").unwrap();
    assert_eq!(said(&found, SUBJECT), ["task 2", "task 3", "task 4"]);
    assert_eq!(backend.get(&place::note(TENANT, SUBJECT, 1)).unwrap(), None, "lost is lost");
    let refused = found.note(TENANT, OTHER, "task 5", b"x");
    assert!(refused.is_err(), "there is no number after the last one");
}
