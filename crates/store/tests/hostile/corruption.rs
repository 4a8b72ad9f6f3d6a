//! Damage anywhere in a repository: never served as data, always reported by a check (P1, P4, P5).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cbr_store::backend::{Backend, Key, MemoryBackend};
use cbr_store::format::place::Place;
use cbr_store::{CheckDepth, Error, Job, Options, Repository};

use crate::world::{CHAIN, Disk, Expected, Seeds, backup, master, open, options, restore};

/// The size a repository must have for the exhaustive test to say something.
const REPOSITORY_BYTES_MIN: usize = 64 * 1024;

/// Of these bytes at the ends of an object each is flipped, of those between one in so many.
const HEAD_BYTES: usize = 512;
const TAIL_BYTES: usize = 1024;
const STRIDE: usize = 23;

struct Sample {
    objects: BTreeMap<Key, Vec<u8>>,
    expected: Expected,
}

/// Two live versions that share a block, a deleted one, an aborted session.
fn sample() -> Sample {
    let (memory, seeds) = (Arc::new(MemoryBackend::default()), Seeds::new(4));
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open(&backend, &seeds).unwrap();
    let first = Disk::of(&[1, 0, 1_000_001]);
    let second = first.with(2, 1_000_002);
    let third = second.with(2, 0).with(1, 2);
    backup(&repository, "one", &first).unwrap();
    let two = backup(&repository, "two", &second).unwrap();
    repository.begin(&CHAIN, "given up").unwrap().abort().unwrap();
    let three = backup(&repository, "three", &third).unwrap();
    repository.delete(&CHAIN, &[1]).unwrap();
    let expected = [(two.version.seq, second), (three.version.seq, third)].into();
    Sample { objects: memory.snapshot(), expected }
}

/// What became of a change.
#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
struct Seen {
    /// Opening or listing failed.
    by_opening: bool,
    /// A restore failed.
    by_restoring: bool,
    /// A check with all data reported it.
    by_checking: bool,
}

impl Seen {
    fn anywhere(self) -> bool {
        self.by_opening || self.by_restoring || self.by_checking
    }
}

/// Uses the repository in every way that reads. Panics if wrong bytes come out.
fn look(backend: &Arc<dyn Backend>, expected: &Expected) -> Seen {
    let mut seen = Seen::default();
    let random = Seeds::new(9).random();
    // No threads: there are thousands of looks, each at a few blocks.
    let options = Options { threads: 0, ..options() };
    let repository = match Repository::open(Arc::clone(backend), master(), random, options) {
        Ok(repository) => repository,
        Err(error) => {
            assert!(!error.is_transient(), "damage is not taken for a passing failure: {error}");
            return Seen { by_opening: true, by_restoring: true, by_checking: true };
        }
    };
    match repository.versions(&CHAIN) {
        Err(_) => seen.by_opening = true,
        Ok(versions) => {
            let seqs = versions.iter().map(|info| info.version.seq);
            seen.by_opening = !seqs.eq(expected.keys().copied());
        }
    }
    for (seq, disk) in expected {
        match restore(&repository, *seq, disk.0.len()) {
            Ok(restored) => assert!(restored == *disk, "wrong bytes of version {seq} are served"),
            Err(error) => {
                assert!(!error.is_transient(), "{error}");
                seen.by_restoring = true;
            }
        }
    }
    seen.by_checking = match repository.check(CheckDepth::ReadData, &Job::quiet()) {
        Ok(report) => !report.is_clean(),
        Err(_) => true,
    };
    seen
}

/// The bytes of an object that are flipped: all of them with `CBR_EVERY_BYTE` (`scripts/soak`). Without it, of
/// a pack all at its ends, where its header, its table and its tail are, and some of the sealed slots between:
/// one seal covers each slot, so that its bytes are alike.
fn flipped(object: &[u8], first: usize) -> impl Iterator<Item = usize> {
    let end = object.len();
    let is_end = move |at: usize| at < HEAD_BYTES || at + TAIL_BYTES >= end;
    let every = std::env::var_os("CBR_EVERY_BYTE").is_some();
    (0..end).filter(move |at| every || is_end(*at) || at % STRIDE == first % STRIDE)
}

/// P4: every byte of every record, and of every part of every pack.
#[test]
fn a_flip_of_any_byte_of_a_repository_is_reported_and_never_served() {
    let sample = sample();
    let total: usize = sample.objects.values().map(Vec::len).sum();
    assert!(total >= REPOSITORY_BYTES_MIN, "only {total} bytes");
    let flips: Vec<(&Key, usize)> = (0..)
        .zip(&sample.objects)
        .flat_map(|(n, (key, bytes))| flipped(bytes, n).map(move |position| (key, position)))
        .collect();
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let memory = Arc::new(MemoryBackend::from_snapshot(sample.objects.clone()));
                let backend: Arc<dyn Backend> = memory.clone();
                while let Some((key, position)) = flips.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let right = &sample.objects[key];
                    let mut wrong = right.clone();
                    wrong[*position] ^= 1 << (position % 8);
                    memory.overwrite(key, wrong);
                    let seen = look(&backend, &sample.expected);
                    assert!(seen.by_checking, "{key} byte {position}: {seen:?}");
                    memory.overwrite(key, right.clone());
                }
            });
        }
    });
    assert!(next.into_inner() >= flips.len());
}

/// P4: what an attacker or a broken file system does to whole objects.
#[test]
fn cutting_emptying_extending_and_zeroing_any_object_is_reported_and_never_served() {
    let sample = sample();
    for (key, right) in &sample.objects {
        let half = right.len() / 2;
        let zeroed = [&right[..half], &vec![0; right.len() - half]].concat();
        let changes = [
            Vec::new(),
            right[..half].to_vec(),
            right[..right.len() - 1].to_vec(),
            [&right[..], b"x"].concat(),
            [right.clone(), right.clone()].concat(),
            vec![0; right.len()],
            zeroed,
        ];
        for (n, wrong) in changes.into_iter().enumerate() {
            let memory = Arc::new(MemoryBackend::from_snapshot(sample.objects.clone()));
            memory.overwrite(key, wrong);
            let backend: Arc<dyn Backend> = memory.clone();
            let seen = look(&backend, &sample.expected);
            assert!(seen.by_checking, "{key} change {n}: {seen:?}");
        }
    }
}

/// P4: two valid objects of one kind that changed places.
#[test]
fn objects_that_changed_places_are_reported_and_never_served() {
    let sample = sample();
    let keys: Vec<&Key> = sample.objects.keys().collect();
    for (n, a) in keys.iter().enumerate() {
        for b in &keys[n + 1..] {
            let memory = Arc::new(MemoryBackend::from_snapshot(sample.objects.clone()));
            memory.overwrite(a, sample.objects[*b].clone());
            memory.overwrite(b, sample.objects[*a].clone());
            let backend: Arc<dyn Backend> = memory.clone();
            let seen = look(&backend, &sample.expected);
            assert!(seen.by_checking, "{a} and {b}: {seen:?}");
        }
    }
}

/// P4: a copy under a name that nothing has yet.
#[test]
fn a_copied_object_is_no_version_and_no_deletion() {
    let sample = sample();
    let last = *sample.expected.keys().last().unwrap();
    for (key, bytes) in &sample.objects {
        let copy = match Place::parse(key) {
            Some(Place::Claim(chain, _)) => Place::Claim(chain, last + 1),
            Some(Place::Outcome(chain, _)) => Place::Outcome(chain, last + 1),
            Some(Place::Delete(chain, n)) => Place::Delete(chain, n + 1),
            Some(Place::Pack(pack, generation)) => Place::Pack(pack, generation + 1),
            _ => continue,
        };
        let memory = Arc::new(MemoryBackend::from_snapshot(sample.objects.clone()));
        memory.overwrite(&copy.key(), bytes.clone());
        let backend: Arc<dyn Backend> = memory.clone();
        let seen = look(&backend, &sample.expected);
        assert!(seen.by_checking, "{key} copied to {}: {seen:?}", copy.key());
    }
}

/// P4, P10: an object that disappears is missed; and no deletion goes on from what is left.
///
/// The two records nobody can miss from the objects alone, if they are not folded, are the last outcome
/// (as if the session were still running) and the last delete record (as if nobody had deleted).
#[test]
fn an_object_that_disappears_is_missed() {
    let sample = sample();
    let last = *sample.expected.keys().last().unwrap();
    for key in sample.objects.keys() {
        let memory = Arc::new(MemoryBackend::from_snapshot(sample.objects.clone()));
        memory.delete(key).unwrap();
        let backend: Arc<dyn Backend> = memory.clone();
        let seen = look(&backend, &sample.expected);
        let place = Place::parse(key).unwrap();
        let is_last = matches!(place, Place::Outcome(_, seq) if seq == last);
        // A fold is a copy of other records.
        // A ring is a part of the tenant's key; repositories of earlier releases have none.
        if !is_last && !matches!(place, Place::Fold(..) | Place::MaintenanceRing(..)) {
            assert!(seen.anywhere(), "{key} is not missed");
        }
        let before = memory.snapshot();
        let repository = Repository::open(backend, master(), Seeds::new(8).random(), options());
        let Ok(repository) = repository else { continue };
        if repository.reclaim(&CHAIN).is_err() {
            assert!(memory.snapshot() == before, "{key}: removed something, then stopped");
        }
        for (seq, disk) in &sample.expected {
            let restored = restore(&repository, *seq, disk.0.len());
            assert!(restored.is_ok() || seen.by_restoring, "{key}: a reclaim broke version {seq}");
        }
    }
}

/// P4, P10: all records of the last version disappear together, and the log looks like an older one.
/// Its packs tell: they belong to nobody.
#[test]
fn a_version_whose_records_all_disappear_is_missed_and_its_packs_stay() {
    let sample = sample();
    let last = *sample.expected.keys().last().unwrap();
    let memory = Arc::new(MemoryBackend::from_snapshot(sample.objects.clone()));
    memory.delete(&Place::Outcome(CHAIN, last).key()).unwrap();
    memory.delete(&Place::Claim(CHAIN, last).key()).unwrap();
    let before = memory.snapshot();
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open(&backend, &Seeds::new(8)).unwrap();
    let refused = repository.reclaim(&CHAIN);
    assert!(
        matches!(refused, Err(Error::Implausible { .. } | Error::Missing { .. })),
        "{refused:?}"
    );
    assert!(memory.snapshot() == before, "removed something, then stopped");
    let report = repository.check(CheckDepth::Structure, &Job::quiet()).unwrap();
    assert!(!report.is_clean(), "{report:?}");
}

/// P1, P5: damage in one block is reported with its exact range, and the rest is restored.
#[test]
fn damage_in_one_slot_costs_exactly_its_blocks() {
    let sample = sample();
    let (seq, disk) = sample.expected.first_key_value().unwrap();
    let is_data = |key: &&Key| {
        matches!(Place::parse(key), Some(Place::Pack(pack, _)) if
        pack.kind == cbr_store::format::id::PackKind::Data)
    };
    for key in sample.objects.keys().filter(is_data) {
        let memory = Arc::new(MemoryBackend::from_snapshot(sample.objects.clone()));
        let mut wrong = sample.objects[key].clone();
        wrong[100] ^= 1;
        memory.overwrite(key, wrong);
        let backend: Arc<dyn Backend> = memory.clone();
        let repository = open(&backend, &Seeds::new(8)).unwrap();
        let report = repository.check(CheckDepth::ReadData, &Job::quiet()).unwrap();
        let problems = report.problems.iter().filter(|problem| problem.object == key.as_str());
        let affected: Vec<_> = problems.flat_map(|problem| &problem.affected).collect();
        let of_version = affected.iter().find(|affected| affected.version.seq == *seq);
        match restore(&repository, *seq, disk.0.len()) {
            Ok(restored) => {
                assert!(restored == *disk);
                assert_eq!(of_version, None, "a version that restores is not affected");
            }
            Err(Error::Incomplete { ranges, .. }) => {
                let blocks = ranges.iter().map(|range| range.end - range.start).sum::<u64>();
                assert_eq!(blocks, 65_536, "{ranges:?}");
                assert_eq!(of_version.map(|of| &of.ranges), Some(&ranges), "{report:?}");
            }
            Err(other) => panic!("{other}"),
        }
    }
}
