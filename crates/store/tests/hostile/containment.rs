//! Damage is contained: it costs what it hit and blocks nothing else (P5).

use std::sync::Arc;

use cbr_store::backend::{Backend, BackendError, Key, MemoryBackend, Op, Page, Put};
use cbr_store::format::id::PackKind;
use cbr_store::format::place::{self, Place};
use cbr_store::{CheckDepth, Job, Repository, Result};

use crate::world::{
    CHAIN, Disk, Seeds, assert_versions, backup, four_versions, open, packs, restore,
};

fn is_pack(key: &Key, kind: PackKind) -> bool {
    matches!(Place::parse(key), Some(Place::Pack(pack, _)) if pack.kind == kind)
}

/// P5: a map that becomes again what it was has an equal node in another slot. That the first one
/// is sound says nothing about the second.
#[test]
fn a_version_whose_map_repeats_an_earlier_one_is_checked_for_itself() {
    let (memory, seeds) = (Arc::new(MemoryBackend::default()), Seeds::new(20));
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open(&backend, &seeds).unwrap();
    let disk = Disk::of(&[1, 0]);
    backup(&repository, "one", &disk).unwrap();
    backup(&repository, "two", &disk.with(1, 2)).unwrap();
    let before = packs(memory.as_ref());
    let third = backup(&repository, "three", &disk).unwrap().version;
    let new: Vec<Key> =
        packs(memory.as_ref()).into_iter().filter(|key| !before.contains(key)).collect();
    assert!(new.iter().all(|key| is_pack(key, PackKind::Meta)), "it stored no block: {new:?}");
    for key in &new {
        memory.delete(key).unwrap();
    }
    let repository = open(&backend, &seeds).unwrap();
    assert!(restore(&repository, third.seq, disk.0.len()).is_err());
    let report = repository.check(CheckDepth::Structure, &Job::quiet()).unwrap();
    let affected: Vec<_> = report.problems.iter().flat_map(|problem| &problem.affected).collect();
    assert_eq!(affected.len(), 1, "{report:?}");
    assert_eq!((affected[0].version, affected[0].ranges.len()), (third, 1), "{report:?}");
}

/// P5, P7: a pack that cannot be read is not rewritten, and everything else goes its way.
#[test]
fn a_damaged_pack_does_not_keep_other_versions_from_being_deleted() {
    let start = four_versions();
    for key in start.objects.keys().filter(|key| matches!(Place::parse(key), Some(Place::Pack(..))))
    {
        let memory = Arc::new(MemoryBackend::from_snapshot(start.objects.clone()));
        let mut cut = start.objects[key].clone();
        cut.truncate(cut.len() - 1);
        memory.overwrite(key, cut);
        let backend: Arc<dyn Backend> = memory.clone();
        let repository = open(&backend, &Seeds::new(21)).unwrap();
        for seq in 1..=3 {
            let deleted = repository.delete(&CHAIN, &[seq]);
            assert!(deleted.is_ok(), "{key} is damaged, version {seq}: {deleted:?}");
        }
        assert_eq!(repository.versions(&CHAIN).unwrap().len(), 1, "{key}");
        repository.delete(&CHAIN, &[4]).unwrap();
        assert_eq!(packs(memory.as_ref()), Vec::<Key>::new());
    }
}

/// A disk with one bad sector.
#[derive(Debug)]
struct BadSector {
    inner: Arc<MemoryBackend>,
    at: Key,
}

impl BadSector {
    fn touch(&self, op: Op, key: &Key) -> Result<(), BackendError> {
        if *key != self.at {
            return Ok(());
        }
        let source = std::io::Error::from_raw_os_error(5);
        Err(BackendError::Unreadable { op, key: key.to_string(), source })
    }
}

impl Backend for BadSector {
    fn put_new(&self, key: &Key, body: &[&[u8]]) -> Result<Put, BackendError> {
        self.inner.put_new(key, body)
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, BackendError> {
        self.touch(Op::Get, key)?;
        self.inner.get(key)
    }

    fn get_range(&self, key: &Key, at: u64, to: &mut [u8]) -> Result<Option<()>, BackendError> {
        self.touch(Op::GetRange, key)?;
        self.inner.get_range(key, at, to)
    }

    fn size(&self, key: &Key) -> Result<Option<u64>, BackendError> {
        self.inner.size(key)
    }

    fn list(&self, prefix: &str, after: Option<&Key>) -> Result<Page, BackendError> {
        self.inner.list(prefix, after)
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        self.inner.delete(key)
    }

    fn describe(&self) -> String {
        "a disk with a bad sector".to_owned()
    }
}

/// P5: an object that the medium cannot read is reported like a damaged one; a check goes on, and a
/// backup stores again what only that object had.
#[test]
fn a_bad_sector_is_damage_and_not_a_passing_failure() {
    let start = four_versions();
    let disk = start.expected.values().last().unwrap();
    for key in start.objects.keys().filter(|key| matches!(Place::parse(key), Some(Place::Pack(..))))
    {
        let inner = Arc::new(MemoryBackend::from_snapshot(start.objects.clone()));
        let backend: Arc<dyn Backend> = Arc::new(BadSector { inner, at: key.clone() });
        let repository: Repository = open(&backend, &Seeds::new(22)).unwrap();
        for depth in [CheckDepth::Structure, CheckDepth::ReadData] {
            let report = repository.check(depth, &Job::quiet()).unwrap();
            assert!(!report.is_clean(), "{key}");
        }
        for (seq, disk) in &start.expected {
            match restore(&repository, *seq, disk.0.len()) {
                Ok(restored) => assert!(restored == *disk),
                Err(error) => assert!(!error.is_transient(), "{error}"),
            }
        }
        if is_pack(key, PackKind::Data) {
            let info = backup(&repository, "again", disk).unwrap();
            assert!(restore(&repository, info.version.seq, disk.0.len()).unwrap() == *disk);
        }
    }
}

/// P5: one unreadable record hides the versions of no other chain.
#[test]
fn an_unreadable_record_leaves_the_catalogue_of_the_rest() {
    let start = four_versions();
    let key = start
        .objects
        .keys()
        .find(|key| matches!(Place::parse(key), Some(Place::Outcome(_, 2))))
        .unwrap();
    let inner = Arc::new(MemoryBackend::from_snapshot(start.objects.clone()));
    let backend: Arc<dyn Backend> =
        Arc::new(BadSector { inner: Arc::clone(&inner), at: key.clone() });
    let repository = open(&backend, &Seeds::new(23)).unwrap();
    let seqs: Vec<u64> =
        repository.catalogue().unwrap().iter().map(|info| info.version.seq).collect();
    assert_eq!(seqs, [1, 3, 4]);
    assert!(repository.versions(&CHAIN).is_err(), "a list with gaps is none");
    let whole = Arc::new(MemoryBackend::from_snapshot(start.objects.clone())) as Arc<dyn Backend>;
    assert_versions(&open(&whole, &Seeds::new(24)).unwrap(), &start.expected);
}

/// P5: a tenant whose key is damaged, lost or destroyed costs a look at its damage no more than that: the
/// answer is that nothing opens, and not an error that stops whoever looks at all tenants in turn.
#[test]
fn a_look_at_the_damage_of_a_tenant_without_a_key_ends_with_a_verdict() {
    let start = four_versions();
    let key = place::tenant_key(CHAIN.tenant, 1);
    for what in ["damaged", "lost", "destroyed"] {
        let memory = Arc::new(MemoryBackend::from_snapshot(start.objects.clone()));
        let backend: Arc<dyn Backend> = memory.clone();
        match what {
            "damaged" => {
                let mut bytes = start.objects[&key].clone();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                memory.overwrite(&key, bytes);
            }
            "lost" => memory.delete(&key).unwrap(),
            _ => {
                open(&backend, &Seeds::new(22))
                    .unwrap()
                    .shred_tenant(CHAIN.tenant, "test")
                    .unwrap();
            }
        }
        let repository = open(&backend, &Seeds::new(23)).unwrap();
        let problems = repository.recheck(&CHAIN.domain(), &[], &Job::quiet()).unwrap();
        let objects: Vec<_> = problems.iter().map(|problem| problem.object.as_str()).collect();
        assert_eq!(objects, [place::tenant(CHAIN.tenant)], "{what}: {problems:?}");
    }
}
