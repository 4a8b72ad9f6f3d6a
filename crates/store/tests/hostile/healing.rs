//! Damage is undone by the next backup of the same source, and by a repair (P5; incidents I07, I14, I23).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use cbr_store::backend::layer::{Fault, Faulty};
use cbr_store::backend::{Backend, Key, MemoryBackend};
use cbr_store::format::id::{PackKind, PackRef};
use cbr_store::format::pack::PackIndex;
use cbr_store::format::place::Place;
use cbr_store::{
    CheckDepth, CheckReport, Error, Job, Options, Repository, ScrubBudget, ScrubCursor, ScrubLevel,
    Spot, VersionInfo, WriteStats,
};

use crate::world::{
    BLOCK, CHAIN, Disk, Seeds, assert_all_can_go, assert_no_leak, assert_versions, backup,
    four_versions, master, options, restore, tenant_keys,
};

/// The byte ranges that each version has lost, as a model says or a check found.
type Lost = BTreeMap<u64, Vec<Range<u64>>>;

pub(crate) fn check(repository: &Repository) -> CheckReport {
    repository.check(CheckDepth::ReadData, &Job::quiet()).unwrap()
}

fn lost_by_check(report: &CheckReport) -> Lost {
    let mut lost = Lost::new();
    for affected in report.problems.iter().flat_map(|problem| &problem.affected) {
        lost.entry(affected.version.seq).or_default().extend(affected.ranges.iter().cloned());
    }
    lost.into_iter().map(|(seq, ranges)| (seq, merged(ranges))).collect()
}

/// What restores of all versions really lack, and that all else is right (P1).
fn lost_by_restoring(repository: &Repository, expected: &BTreeMap<u64, Disk>) -> Lost {
    let mut lost = Lost::new();
    for (seq, disk) in expected {
        match restore(repository, *seq, disk.0.len()) {
            Ok(restored) => assert!(restored == *disk, "wrong bytes of version {seq}"),
            Err(Error::Incomplete { ranges, .. }) => drop(lost.insert(*seq, ranges)),
            Err(other) => panic!("version {seq}: {other}"),
        }
    }
    lost
}

fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

pub(crate) fn spots(report: &CheckReport) -> Vec<Spot> {
    report.problems.iter().filter_map(|problem| problem.spot).collect()
}

pub(crate) fn open_with(backend: &Arc<dyn Backend>, seed: u64, options: Options) -> Repository {
    let random = Seeds::new(seed).random();
    Repository::init(Arc::clone(backend), master(), random, options).unwrap()
}

/// A backup that knows what is damaged, as the service makes it.
pub(crate) fn backup_knowing(
    repository: &Repository,
    owner: &str,
    disk: &Disk,
    changed: Option<&[Range<u64>]>,
    known: &[Spot],
) -> (VersionInfo, WriteStats) {
    let mut session = repository.begin(&CHAIN, owner).unwrap();
    session.distrust(known);
    let stats = session.write(disk, changed, &Job::quiet()).unwrap();
    (session.commit(owner.as_bytes()).unwrap(), stats)
}

/// The tables of a pack object.
pub(crate) fn index(backend: &MemoryBackend, key: &Key) -> Option<PackIndex> {
    let Some(Place::Pack(pack, generation)) = Place::parse(key) else { return None };
    let keys = tenant_keys(backend).unwrap();
    PackIndex::read(backend, &pack, generation, &keys).unwrap()
}

fn data_packs(objects: &BTreeMap<Key, Vec<u8>>) -> Vec<(Key, PackRef)> {
    let pack = |key: &Key| match Place::parse(key) {
        Some(Place::Pack(pack, _)) if pack.kind == PackKind::Data => Some((key.clone(), pack)),
        _ => None,
    };
    objects.keys().filter_map(pack).collect()
}

/// Frames of up to 4 blocks.
pub(crate) fn frames() -> Options {
    Options { frame_blocks: 4, ..options() }
}

/// Three versions in frames of four blocks; the second and third change one block each.
pub(crate) fn framed() -> (BTreeMap<Key, Vec<u8>>, BTreeMap<u64, Disk>) {
    let memory = Arc::new(MemoryBackend::default());
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open_with(&backend, 30, frames());
    let mut disk = Disk::of(&[1, 2, 3, 4, 5, 6, 0, 7]);
    let mut expected = BTreeMap::new();
    for at in [0, 1, 5] {
        disk = disk.with(at, 100 + at as u64);
        expected.insert(backup(&repository, "old", &disk).unwrap().version.seq, disk.clone());
    }
    (memory.snapshot(), expected)
}

/// P5, I23: every slot of every data pack in turn is flipped. What a check lists is what restores
/// lack; the next backup of the same disk stores it again; then every older version is whole
/// again as far as its blocks still are on the disk, and the check is clean or lists the rest.
#[test]
fn the_next_backup_makes_older_versions_whole_again() {
    let (objects, expected) = framed();
    let disk = expected.values().last().unwrap();
    let (mut slots, mut whole, mut rest) = (0, 0, 0);
    for (key, _) in data_packs(&objects) {
        let sound = Arc::new(MemoryBackend::from_snapshot(objects.clone()));
        for entry in index(&sound, &key).unwrap().slots() {
            slots += 1;
            let memory = Arc::new(MemoryBackend::from_snapshot(objects.clone()));
            let mut wrong = objects[&key].clone();
            wrong[usize::try_from(entry.offset).unwrap() + 5] ^= 4;
            memory.overwrite(&key, wrong);
            let backend: Arc<dyn Backend> = memory.clone();
            let repository = open_with(&backend, 31, frames());
            let before = check(&repository);
            let lost = lost_by_check(&before);
            assert_eq!(lost, lost_by_restoring(&repository, &expected), "{key}: {before:?}");
            assert!(!lost.is_empty());
            let damaged = memory.snapshot();
            let known = spots(&before);
            let (info, stats) = backup_knowing(&repository, "next", disk, None, &known);
            // A fold goes when a longer one is there; everything else stays.
            let is_fold = |key: &Key| matches!(Place::parse(key), Some(Place::Fold(..)));
            for (key, bytes) in damaged.iter().filter(|(key, _)| !is_fold(key)) {
                assert!(memory.snapshot().get(key) == Some(bytes), "{key} was touched");
            }
            let mut now = expected.clone();
            now.insert(info.version.seq, disk.clone());
            let after = check(&repository);
            let left = lost_by_check(&after);
            assert_eq!(left, lost_by_restoring(&repository, &now), "{key}: {after:?}");
            // Exactly those blocks are lost for good that are nowhere on the disk any more.
            assert_eq!(left, gone_for_good(&lost, &expected, disk), "{key}");
            assert_eq!(after.is_clean(), left.is_empty(), "{after:?}");
            if left.is_empty() {
                whole += 1;
                assert_eq!(after.healed, 1);
                assert!(stats.healed_bytes > 0);
            } else {
                rest += 1;
            }
            assert_no_leak(memory.as_ref());
            assert_all_can_go(&repository, &memory);
            let patches = memory.snapshot().into_keys();
            let patches = patches.filter(|key| matches!(Place::parse(key), Some(Place::Patch(..))));
            assert_eq!(patches.count(), 0, "patches go with their packs");
        }
    }
    assert!(slots >= 4 && whole > 0 && rest > 0, "{slots} slots, {whole} healed, {rest} in part");
}

/// Of what was lost, the blocks that the disk does not have at any place.
fn gone_for_good(lost: &Lost, expected: &BTreeMap<u64, Disk>, disk: &Disk) -> Lost {
    let there: BTreeSet<&[u8]> = disk.0.chunks(BLOCK).collect();
    let mut gone = Lost::new();
    for (seq, ranges) in lost {
        let blocks = ranges.iter().flat_map(|range| range.clone().step_by(BLOCK));
        let is_gone = |start: &u64| {
            let start = usize::try_from(*start).unwrap();
            !there.contains(&expected[seq].0[start..start + BLOCK])
        };
        let blocks: Vec<_> =
            blocks.filter(is_gone).map(|start| start..start + BLOCK as u64).collect();
        if !blocks.is_empty() {
            gone.insert(*seq, merged(blocks));
        }
    }
    gone
}

/// P5: what is known to be damaged is read although the change map says that nothing changed, and
/// the new version does not build on it.
#[test]
fn known_damage_is_read_whatever_the_change_map_says() {
    let (objects, expected) = framed();
    let disk = expected.values().last().unwrap();
    for (key, pack) in data_packs(&objects) {
        let memory = Arc::new(MemoryBackend::from_snapshot(objects.clone()));
        let slot = index(&memory, &key).unwrap().slots()[0];
        let mut wrong = objects[&key].clone();
        wrong[usize::try_from(slot.offset).unwrap()] ^= 1;
        memory.overwrite(&key, wrong);
        let backend: Arc<dyn Backend> = memory.clone();
        let repository = open_with(&backend, 32, frames());
        let known = [Spot { kind: PackKind::Data, pack: pack.id, slot: Some(slot.head.slot) }];
        let (info, stats) = backup_knowing(&repository, "next", disk, Some(&[]), &known);
        assert!(stats.read_bytes > 0, "{key}");
        assert!(stats.read_bytes <= u64::from(slot.blocks) * BLOCK as u64, "{key}: {stats:?}");
        // What was healed for older versions is taken away again: the new one does not need it.
        for key in memory.snapshot().into_keys() {
            if matches!(Place::parse(&key), Some(Place::Patch(..))) {
                memory.delete(&key).unwrap();
            }
        }
        let repository = open_with(&backend, 33, frames());
        let restored = restore(&repository, info.version.seq, disk.0.len()).unwrap();
        assert!(restored == *disk, "{key}");
        assert!(!lost_by_restoring(&repository, &expected).is_empty(), "{key}");
    }
}

/// P5: a map node that cannot be read costs the next backup a longer read and nothing else; also
/// with a change map that says that nothing changed.
#[test]
fn a_damaged_map_of_the_parent_does_not_stop_the_next_backup() {
    let start = four_versions();
    let disk = start.expected.values().last().unwrap();
    let metas = start.objects.keys().filter(|key| {
        matches!(Place::parse(key), Some(Place::Pack(pack, _)) if pack.kind == PackKind::Meta)
    });
    let mut stopped = 0;
    for key in metas {
        for changed in [None, Some(&[][..])] {
            let memory = Arc::new(MemoryBackend::from_snapshot(start.objects.clone()));
            let mut wrong = start.objects[key].clone();
            wrong[70] ^= 1;
            memory.overwrite(key, wrong);
            let backend: Arc<dyn Backend> = memory.clone();
            let repository = open_with(&backend, 33, options());
            let before = check(&repository);
            let lost = lost_by_check(&before);
            stopped += usize::from(lost.contains_key(start.expected.keys().last().unwrap()));
            let known = spots(&before);
            let (info, stats) = backup_knowing(&repository, "next", disk, changed, &known);
            assert_eq!(stats.used_bytes, used_bytes(disk), "{key}");
            let restored = restore(&repository, info.version.seq, disk.0.len()).unwrap();
            assert!(restored == *disk, "{key}");
            // The node is rebuilt from what is around it.
            assert_eq!(lost_by_restoring(&repository, &start.expected), Lost::new(), "{key}");
            // A deletion frees no more than is free.
            for seq in start.expected.keys() {
                repository.delete(&CHAIN, &[*seq]).unwrap();
            }
            assert_versions(&repository, &[(info.version.seq, disk.clone())].into());
            assert_all_can_go(&repository, &memory);
        }
    }
    assert!(stopped > 0, "no node of the last version was hit");
}

fn used_bytes(disk: &Disk) -> u64 {
    let blocks = disk.0.chunks(BLOCK).filter(|block| block.iter().any(|byte| *byte != 0));
    (blocks.count() * BLOCK) as u64
}

/// P5: when the whole pack is lost nobody knows what it was; the next version is whole all the same.
#[test]
fn a_pack_that_is_gone_is_not_built_on() {
    let (objects, expected) = framed();
    let disk = expected.values().last().unwrap();
    for (key, _) in data_packs(&objects) {
        let memory = Arc::new(MemoryBackend::from_snapshot(objects.clone()));
        memory.delete(&key).unwrap();
        let backend: Arc<dyn Backend> = memory.clone();
        let repository = open_with(&backend, 34, frames());
        let before = check(&repository);
        let lost = lost_by_check(&before);
        assert_eq!(lost, lost_by_restoring(&repository, &expected));
        let known = spots(&before);
        for changed in [Some(&[][..]), None] {
            let (info, _) = backup_knowing(&repository, "next", disk, changed, &known);
            let restored = restore(&repository, info.version.seq, disk.0.len()).unwrap();
            assert!(restored == *disk, "{key} with {changed:?}");
        }
        assert_eq!(lost_by_restoring(&repository, &expected), lost, "nothing else changed");
    }
}

/// P4, P5: a scrub with the smallest budget reads every object in one pass, step by step, finds what
/// a check finds, and goes on from its cursor as a text, as after a restart.
#[test]
fn a_scrub_finds_within_one_pass_what_a_check_finds() {
    let (objects, expected) = framed();
    let small = ScrubBudget { bytes: 1, requests: u64::MAX, level: ScrubLevel::Full };
    let (sound, steps) = pass(&objects, &small);
    let all: BTreeSet<String> = objects.keys().map(Key::to_string).collect();
    let looked: BTreeSet<String> = sound.iter().cloned().collect();
    assert_eq!(looked, all, "the union of the steps is everything");
    assert_eq!(looked.len(), sound.len(), "nothing is read twice");
    assert!(steps >= all.len(), "{steps} steps for {} objects", all.len());
    let large = ScrubBudget { bytes: u64::MAX, requests: u64::MAX, level: ScrubLevel::Full };
    assert_eq!(pass(&objects, &large).1, 1);
    let few = ScrubBudget { bytes: u64::MAX, requests: 1, level: ScrubLevel::Full };
    assert!(pass(&objects, &few).1 >= all.len());
    for key in objects.keys() {
        for change in ["flip", "zero", "cut", "gone"] {
            let memory = Arc::new(MemoryBackend::from_snapshot(objects.clone()));
            damage(&memory, key, change);
            let backend: Arc<dyn Backend> = memory.clone();
            let random = Seeds::new(41).random();
            let opened = Repository::open(backend, master(), random, frames());
            let Ok(repository) = opened else { continue };
            let checked = lost_by_check(&check(&repository));
            let mut found = Vec::new();
            let mut cursor = ScrubCursor::default();
            loop {
                let step = repository.scrub(&small, &cursor, &Job::quiet()).unwrap();
                found.extend(step.problems);
                cursor = step.cursor.to_string().parse().unwrap();
                if step.is_pass_complete {
                    break;
                }
            }
            let report = CheckReport { problems: found, ..CheckReport::default() };
            let is_clean = check(&repository).is_clean();
            assert_eq!(report.is_clean(), is_clean, "{key} {change}: {report:?}");
            assert_eq!(lost_by_check(&report), checked, "{key} {change}: {report:?}");
            let listed = repository.versions(&CHAIN);
            if listed.is_ok_and(|listed| listed.len() == expected.len()) {
                assert_eq!(checked, lost_by_restoring(&repository, &expected), "{key} {change}");
            }
        }
    }
}

/// All steps of a pass over sound objects: what was looked at, and how many steps it took.
fn pass(objects: &BTreeMap<Key, Vec<u8>>, budget: &ScrubBudget) -> (Vec<String>, usize) {
    let memory = Arc::new(MemoryBackend::from_snapshot(objects.clone()));
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open_with(&backend, 40, frames());
    let (mut cursor, mut sound, mut steps) = (ScrubCursor::default(), Vec::new(), 0);
    loop {
        let step = repository.scrub(budget, &cursor, &Job::quiet()).unwrap();
        assert_eq!(step.problems, []);
        assert!(step.requests > 0);
        sound.extend(step.sound.into_iter().map(|one| one.object));
        (cursor, steps) = (step.cursor.to_string().parse().unwrap(), steps + 1);
        if step.is_pass_complete {
            assert_eq!(memory.snapshot(), *objects, "a scrub changes nothing");
            return (sound, steps);
        }
    }
}

fn damage(memory: &MemoryBackend, key: &Key, change: &str) {
    let right = memory.snapshot()[key].clone();
    let half = right.len() / 2;
    match change {
        "flip" => {
            let mut wrong = right;
            wrong[80] ^= 1;
            memory.overwrite(key, wrong);
        }
        "zero" => memory.overwrite(key, [&right[..half], &vec![0; right.len() - half]].concat()),
        "cut" => memory.overwrite(key, right[..half].to_vec()),
        _ => memory.delete(key).unwrap(),
    }
}

/// P1, P35: verifying one version says what its restore would lack, and who else is hurt.
#[test]
fn verifying_a_version_says_what_its_restore_would_lack() {
    let (objects, expected) = framed();
    for (key, _) in data_packs(&objects) {
        let memory = Arc::new(MemoryBackend::from_snapshot(objects.clone()));
        damage(&memory, &key, "flip");
        let backend: Arc<dyn Backend> = memory.clone();
        let repository = open_with(&backend, 42, frames());
        let (lost, checked) = (lost_by_restoring(&repository, &expected), check(&repository));
        for seq in expected.keys() {
            let version = cbr_store::VersionRef { chain: CHAIN, seq: *seq };
            let verified = repository.verify(&version, &Job::quiet()).unwrap();
            assert_eq!(Some(&verified.lost).filter(|lost| !lost.is_empty()), lost.get(seq));
            if !verified.lost.is_empty() {
                let report = CheckReport { problems: verified.problems, ..CheckReport::default() };
                assert_eq!(lost_by_check(&report), lost, "{key}");
                assert!(spots(&report).iter().all(|spot| spots(&checked).contains(spot)));
            }
        }
    }
}

/// P5, I14: what is stored twice is repaired from the repository itself; a kill after any request
/// leaves nothing worse, running it again finishes it, and undoing takes away exactly what it
/// added. A sound repository is not touched.
#[test]
fn a_repair_may_be_killed_anywhere_and_can_be_undone() {
    let memory = Arc::new(MemoryBackend::default());
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open_with(&backend, 50, frames());
    // Two places with equal contents in different leaves' slots, and equal again later.
    let first = Disk::of(&[1, 2, 3, 4, 1, 2, 3, 4]);
    let second = first.with(0, 9);
    let expected: BTreeMap<u64, Disk> = [&first, &second]
        .into_iter()
        .map(|disk| (backup(&repository, "old", disk).unwrap().version.seq, disk.clone()))
        .collect();
    let sound = memory.snapshot();
    let nothing = repository.plan_repair(&Job::quiet()).unwrap();
    assert!(nothing.is_empty() && nothing.problems.is_empty());
    assert_eq!(repository.repair(&nothing, "none").unwrap().objects, 0);
    assert!(memory.snapshot() == sound, "a sound repository was touched");
    let first_pack = data_packs(&sound)
        .into_iter()
        .find(|(key, _)| index(&memory, key).is_some_and(|index| index.slots()[0].blocks == 4));
    let key = first_pack.unwrap().0;
    damage(&memory, &key, "flip");
    let damaged = memory.snapshot();
    let mut kills = 0;
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        for call in 0.. {
            let memory = Arc::new(MemoryBackend::from_snapshot(damaged.clone()));
            if !killed_repair(&memory, (call, fault), &damaged, &expected) {
                break;
            }
            kills += 1;
        }
    }
    assert!(kills >= 3, "{kills} kills");
}

/// Whether the repair was killed at all.
pub(crate) fn killed_repair(
    memory: &Arc<MemoryBackend>,
    (call, fault): (u64, Fault),
    damaged: &BTreeMap<Key, Vec<u8>>,
    expected: &BTreeMap<u64, Disk>,
) -> bool {
    let faulty = Arc::new(Faulty::new(memory.clone()));
    let through: Arc<dyn Backend> = faulty.clone();
    let repository = open_with(&through, 51, frames());
    let plan = repository.plan_repair(&Job::quiet()).unwrap();
    assert!(!plan.is_empty(), "{plan:?}");
    faulty.fail_call(call, fault);
    let repaired = repository.repair(&plan, "r1");
    faulty.heal();
    for (key, bytes) in damaged {
        assert!(memory.snapshot().get(key) == Some(bytes), "{key} was touched");
    }
    let repository = open_with(&through, 52, frames());
    let again = repository.plan_repair(&Job::quiet()).unwrap();
    repository.repair(&again, "r1").unwrap();
    let report = check(&repository);
    assert!(report.is_clean() && report.healed > 0, "call {call}: {report:?}");
    assert_versions(&repository, expected);
    let past = repository.past_repairs().unwrap();
    assert_eq!(past.iter().map(|past| past.name.as_str()).collect::<Vec<_>>(), ["r1"]);
    repository.undo_repair("r1").unwrap();
    assert!(memory.snapshot() == *damaged, "undone is as before");
    assert!(repository.undo_repair("r1").is_err(), "there is nothing more to undo");
    repaired.is_err()
}
