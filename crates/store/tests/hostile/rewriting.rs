//! Packs that are damaged around their slots, and packs that live on in their patches (P5, P7, P14; R6).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use cbr_store::backend::layer::{Fault, Faulty, Switching};
use cbr_store::backend::{Backend, Key, MemoryBackend};
use cbr_store::format::envelope::{SectionType, Tail};
use cbr_store::format::id::{PackKind, PackRef};
use cbr_store::format::pack::PackIndex;
use cbr_store::format::place::Place;
use cbr_store::{Error, Job, Options, Spot};

use crate::healing::{backup_knowing, check, killed_repair, open_with, spots};
use crate::world::{
    CHAIN, Disk, Expected, assert_all_can_go, assert_no_leak, assert_versions, backup,
    four_versions, options, packs, tenant_keys,
};

/// All blocks of a small disk in one pack, and packs rewritten early.
fn one_pack() -> Options {
    Options { pack_bytes: 1 << 20, compact_below_percent: 80, ..options() }
}

fn pack_of(key: &Key) -> Option<(PackRef, u32)> {
    match Place::parse(key) {
        Some(Place::Pack(pack, generation)) => Some((pack, generation)),
        _ => None,
    }
}

/// Where the sections of a pack lie: slots, layout, identity, key; then the footer.
fn sections(memory: &MemoryBackend, key: &Key) -> [Range<usize>; 5] {
    let object = memory.snapshot()[key].clone();
    let (pack, _) = pack_of(key).unwrap();
    let kind = match pack.kind {
        PackKind::Data => cbr_store::format::envelope::ObjectKind::DataPack,
        PackKind::Meta => cbr_store::format::envelope::ObjectKind::MetaPack,
    };
    let keys = tenant_keys(memory).unwrap();
    let tail = Tail::read(object.len() as u64, &object, kind, key, &keys).unwrap();
    let range = |section| {
        let listed = tail.find(section).unwrap();
        let start = usize::try_from(listed.offset).unwrap();
        start..start + usize::try_from(listed.length).unwrap()
    };
    let dek = range(SectionType::Dek);
    let footer = dek.end..object.len();
    let (slots, layout) = (range(SectionType::Slots), range(SectionType::Layout));
    [slots, layout, range(SectionType::Identity), dek, footer]
}

/// Repairs what `wrong` did to a pack; whether anything could be done. Afterwards an undo takes
/// away exactly what was added.
fn is_repaired(start: &crate::world::Start, key: &Key, wrong: Vec<u8>, what: &str) -> bool {
    let memory = Arc::new(MemoryBackend::from_snapshot(start.objects.clone()));
    memory.overwrite(key, wrong);
    let damaged = memory.snapshot();
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open_with(&backend, 60, options());
    let plan = repository.plan_repair(&Job::quiet()).unwrap();
    assert!(!plan.problems.is_empty(), "{key}: {what} is not seen");
    if plan.packs() == 0 {
        return false;
    }
    let repaired = repository.repair(&plan, "r").unwrap();
    assert_eq!((repaired.packs, repaired.objects), (1, 2), "{key}: {what}");
    let repository = open_with(&backend, 61, options());
    let report = check(&repository);
    assert!(report.is_clean() && report.healed > 0, "{key}: {what}: {report:?}");
    assert_versions(&repository, &start.expected);
    repository.reclaim(&CHAIN).unwrap();
    assert!(repository.plan_repair(&Job::quiet()).unwrap().is_empty());
    repository.undo_repair("r").unwrap();
    assert!(memory.snapshot() == damaged, "{key}: {what}: undone is as before");
    true
}

/// P5, P14: whatever is damaged around the slots of a pack – header, footer, checksums, table of
/// identities – costs nothing that is in them. Only without its key or its layout it is lost.
#[test]
fn a_pack_that_is_damaged_around_its_slots_gets_a_new_generation() {
    let start = four_versions();
    let sound = MemoryBackend::from_snapshot(start.objects.clone());
    let (mut repaired, mut lost) = (0, 0);
    for (n, key) in packs(&sound).iter().enumerate() {
        let right = &start.objects[key];
        let [_, layout, identity, dek, footer] = sections(&sound, key);
        let step = if n % 5 == 0 { 3 } else { 41 };
        let around =
            (0..64).step_by(step).chain((layout.start + n % step..right.len()).step_by(step));
        for at in around {
            let mut wrong = right.clone();
            wrong[at] ^= 1 << (at % 8);
            let needs = layout.contains(&at) || dek.contains(&at);
            let is_repaired = is_repaired(&start, key, wrong, &format!("byte {at}"));
            assert_eq!(is_repaired, !needs, "{key} byte {at}");
            if needs { lost += 1 } else { repaired += 1 }
        }
        let longer = [&right[..], &[0; 100]].concat();
        assert!(is_repaired(&start, key, longer, "something behind it"));
        // Header, identities and the directory's two words for one place at once.
        let mut wrong = right.clone();
        wrong[20] ^= 1;
        wrong[identity.start + 1] ^= 1;
        wrong[footer.start + 64 + 40 + 8] ^= 1;
        assert!(is_repaired(&start, key, wrong, "three places"));
        let mut wrong = right.clone();
        wrong[30] ^= 1;
        wrong[footer.start + 30] ^= 1;
        assert!(!is_repaired(&start, key, wrong, "both headers"));
    }
    assert!(repaired > 300 && lost > 20, "{repaired} repaired, {lost} lost");
}

/// P5, P14, I14: a kill after any request of such a repair leaves nothing worse.
#[test]
fn a_rewriting_repair_may_be_killed_anywhere() {
    let start = four_versions();
    let sound = MemoryBackend::from_snapshot(start.objects.clone());
    for kind in [PackKind::Data, PackKind::Meta] {
        let all = packs(&sound);
        let key = all.iter().find(|key| pack_of(key).unwrap().0.kind == kind).unwrap();
        let footer = sections(&sound, key)[4].clone();
        let mut damaged = start.objects.clone();
        damaged.get_mut(key).unwrap()[footer.end - 1] ^= 1;
        let mut kills = 0;
        for fault in [Fault::CrashBefore, Fault::CrashAfter] {
            for call in 0.. {
                let memory = Arc::new(MemoryBackend::from_snapshot(damaged.clone()));
                if !killed_repair(&memory, (call, fault), &damaged, &start.expected) {
                    break;
                }
                kills += 1;
            }
        }
        assert!(kills >= 8, "{kills} kills");
    }
}

/// A pack of eight slots, the first of which is damaged; the newest version has healed it, and the
/// last `changed` blocks are in other packs since version 2.
struct Healed {
    objects: BTreeMap<Key, Vec<u8>>,
    expected: Expected,
    key: Key,
}

fn healed(changed: usize) -> Healed {
    let memory = Arc::new(MemoryBackend::default());
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open_with(&backend, 70, one_pack());
    let mut disk = Disk::of(&[1, 2, 3, 4, 5, 6, 7, 8]);
    let mut expected = Expected::new();
    expected.insert(backup(&repository, "1", &disk).unwrap().version.seq, disk.clone());
    for at in 8 - changed..8 {
        disk = disk.with(at, 200 + at as u64);
    }
    expected.insert(backup(&repository, "2", &disk).unwrap().version.seq, disk.clone());
    let data = |key: &&Key| {
        let pack = pack_of(key).unwrap().0;
        let index = crate::healing::index(&memory, key).unwrap();
        pack.kind == PackKind::Data && index.slots().len() == 8
    };
    let key = packs(memory.as_ref()).iter().find(data).unwrap().clone();
    let mut wrong = memory.snapshot()[&key].clone();
    wrong[70] ^= 1;
    memory.overwrite(&key, wrong);
    let repository = open_with(&backend, 71, one_pack());
    let known: Vec<Spot> = spots(&check(&repository));
    let (info, stats) = backup_knowing(&repository, "3", &disk, None, &known);
    assert!(stats.healed_bytes > 0);
    expected.insert(info.version.seq, disk);
    assert!(check(&repository).is_clean());
    Healed { objects: memory.snapshot(), expected, key }
}

fn generations(memory: &MemoryBackend, key: &Key) -> BTreeMap<u32, PackIndex> {
    let (pack, _) = pack_of(key).unwrap();
    let all = packs(memory).into_iter().filter(|key| pack_of(key).unwrap().0 == pack);
    all.map(|key| (pack_of(&key).unwrap().1, crate::healing::index(memory, &key).unwrap()))
        .collect()
}

/// P5, P7: a damaged pack whose needed slots are all sound or healed is rewritten like any other,
/// also if the healed one is all that is left; a crash at any call of that costs nothing.
#[test]
fn a_pack_that_was_healed_is_rewritten() {
    for changed in [4, 7] {
        let Healed { objects, expected, key } = healed(changed);
        let mut left = expected.clone();
        left.remove(&1);
        for fault in [None, Some(Fault::CrashBefore), Some(Fault::CrashAfter)] {
            for call in 0.. {
                let memory = Arc::new(MemoryBackend::from_snapshot(objects.clone()));
                let faulty = Arc::new(Faulty::new(memory.clone()));
                let through: Arc<dyn Backend> = faulty.clone();
                let repository = open_with(&through, 72, one_pack());
                if let Some(fault) = fault {
                    faulty.fail_call(call, fault);
                }
                let deleted = repository.delete(&CHAIN, &[1]);
                faulty.heal();
                let repository = open_with(&through, 73, one_pack());
                repository.delete(&CHAIN, &[1]).unwrap();
                assert_versions(&repository, &left);
                let report = check(&repository);
                assert!(report.is_clean(), "{changed}, call {call}: {report:?}");
                let generations = generations(&memory, &key);
                assert_eq!(
                    generations.keys().copied().collect::<Vec<_>>(),
                    [1],
                    "{changed}, {fault:?} at {call}"
                );
                // What is healed is not sealed a second time under the pack's key.
                let slots: Vec<u32> = generations[&1].slots().iter().map(|s| s.head.slot).collect();
                let sound: Vec<u32> = (1..u32::try_from(8 - changed).unwrap()).collect();
                assert_eq!(slots, sound);
                repository.reclaim(&CHAIN).unwrap();
                assert_versions(&repository, &left);
                assert_no_leak(memory.as_ref());
                assert_all_can_go(&repository, &memory);
                let is_patch = |key: &Key| matches!(Place::parse(key), Some(Place::Patch(..)));
                assert_eq!(memory.snapshot().keys().filter(|key| is_patch(key)).count(), 0);
                if fault.is_none() || deleted.is_ok() {
                    deleted.unwrap();
                    break;
                }
            }
        }
    }
}

/// P5: as long as one needed slot is neither sound nor healed, the damaged pack stays.
#[test]
fn a_pack_of_which_something_is_lost_is_not_rewritten() {
    let Healed { objects, expected, key } = healed(4);
    let memory = Arc::new(MemoryBackend::from_snapshot(objects));
    let slot = crate::healing::index(&memory, &key).unwrap().slots()[2];
    let mut wrong = memory.snapshot()[&key].clone();
    wrong[usize::try_from(slot.offset).unwrap()] ^= 1;
    memory.overwrite(&key, wrong.clone());
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open_with(&backend, 74, one_pack());
    repository.delete(&CHAIN, &[1]).unwrap();
    assert!(memory.snapshot()[&key] == wrong);
    assert_eq!(generations(&memory, &key).len(), 1);
    for (seq, disk) in expected.iter().filter(|(seq, _)| **seq != 1) {
        match crate::world::restore(&repository, *seq, disk.0.len()) {
            Err(Error::Incomplete { ranges, .. }) => assert_eq!(ranges.len(), 1),
            other => panic!("version {seq}: {other:?}"),
        }
    }
}

/// Two versions of one pack each that a repair, named r, has given new generations; of the first one
/// nothing is needed any more.
fn repaired_and_deleted() -> (BTreeMap<Key, Vec<u8>>, Expected) {
    let memory = Arc::new(MemoryBackend::default());
    let backend: Arc<dyn Backend> = memory.clone();
    let never = Options { compact_below_percent: 0, ..one_pack() };
    let repository = open_with(&backend, 83, never.clone());
    let first = Disk::of(&[1, 2, 3, 4, 5, 6, 7, 8]);
    let second = first.with(5, 50).with(6, 60).with(7, 70);
    backup(&repository, "1", &first).unwrap();
    let seq = backup(&repository, "2", &second).unwrap().version.seq;
    for key in packs(memory.as_ref()) {
        let mut wrong = memory.snapshot()[&key].clone();
        let last = wrong.len() - 1;
        wrong[last] ^= 1;
        memory.overwrite(&key, wrong);
    }
    let repository = open_with(&backend, 84, never);
    let plan = repository.plan_repair(&Job::quiet()).unwrap();
    repository.repair(&plan, "r").unwrap();
    repository.delete(&CHAIN, &[1]).unwrap();
    (memory.snapshot(), [(seq, second)].into())
}

/// I14: whoever has lost the name of a repair is told which there are.
#[test]
fn an_undo_of_an_unknown_name_names_the_repairs_that_there_are() {
    let (objects, _) = repaired_and_deleted();
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::from_snapshot(objects));
    let repository = open_with(&backend, 89, one_pack());
    let error = repository.undo_repair("other").unwrap_err().to_string();
    assert!(error.contains("no repair other") && error.ends_with("undone: r"), "{error}");
}

/// P5, P7, I14: a sweep that dies beside the undo of a repair, wherever either of them is, leaves one
/// generation of every pack.
#[test]
fn an_undo_beside_a_dying_sweep_takes_no_last_generation() {
    let (objects, expected) = repaired_and_deleted();
    let mut both = 0;
    'undo: for call in 0.. {
        for fault in 0.. {
            let memory = Arc::new(MemoryBackend::from_snapshot(objects.clone()));
            let backend: Arc<dyn Backend> = memory.clone();
            let switching = Arc::new(Switching::new(memory.clone()));
            let faulty = Arc::new(Faulty::new(memory));
            let dying: Arc<dyn Backend> = faulty.clone();
            let stopping: Arc<dyn Backend> = switching.clone();
            let (sweeping, undoing) =
                (open_with(&dying, 85, one_pack()), open_with(&stopping, 86, one_pack()));
            faulty.fail_call(fault, Fault::CrashAfter);
            let (tell, told) = std::sync::mpsc::channel();
            switching.before_call(call, move || {
                tell.send(sweeping.reclaim(&CHAIN).is_ok()).unwrap();
            });
            let undone = undoing.undo_repair("r").is_ok();
            let Ok(is_swept) = told.try_recv() else { break 'undo };
            both += u64::from(undone && !is_swept);
            let repository = open_with(&backend, 87, one_pack());
            let plan = repository.plan_repair(&Job::quiet()).unwrap();
            repository.repair(&plan, "again").unwrap();
            let repository = open_with(&backend, 88, one_pack());
            assert_versions(&repository, &expected);
            if is_swept {
                break;
            }
        }
    }
    assert!(both > 100, "{both}");
}

/// P5, P7: a pack that a repair has given a new generation is rewritten like any other later, and
/// the damaged one goes with that, because the maps say that nothing else of it is needed.
#[test]
fn a_repaired_pack_is_rewritten_later() {
    let memory = Arc::new(MemoryBackend::default());
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open_with(&backend, 80, one_pack());
    let first = Disk::of(&[1, 2, 3, 4, 5, 6, 7, 8]);
    let second = first.with(5, 50).with(6, 60).with(7, 70);
    backup(&repository, "1", &first).unwrap();
    let seq = backup(&repository, "2", &second).unwrap().version.seq;
    for key in packs(memory.as_ref()) {
        let mut wrong = memory.snapshot()[&key].clone();
        let last = wrong.len() - 1;
        wrong[last] ^= 1;
        memory.overwrite(&key, wrong);
    }
    let repository = open_with(&backend, 81, one_pack());
    let plan = repository.plan_repair(&Job::quiet()).unwrap();
    assert_eq!(plan.packs(), 4, "{plan:?}");
    repository.repair(&plan, "r").unwrap();
    let repository = open_with(&backend, 82, one_pack());
    assert!(check(&repository).is_clean());
    repository.delete(&CHAIN, &[1]).unwrap();
    let expected = [(seq, second)].into();
    assert_versions(&repository, &expected);
    let report = check(&repository);
    assert!(report.is_clean(), "{report:?}");
    // Of the first version the map is gone and the pack of blocks is rewritten; what the second
    // has alone keeps what an undo needs.
    let left = packs(memory.as_ref());
    let generations: Vec<u32> = left.iter().map(|key| pack_of(key).unwrap().1).collect();
    let count = |wanted| generations.iter().filter(|generation| **generation == wanted).count();
    assert_eq!((count(0), count(1), count(2)), (2, 2, 1), "{left:?}");
}
