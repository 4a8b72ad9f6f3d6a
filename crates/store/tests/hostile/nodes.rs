//! Map nodes and death lists that are lost are rebuilt from what is around them (P5; engine §7.12).

use std::collections::BTreeMap;
use std::sync::Arc;

use cbr_store::Job;
use cbr_store::backend::layer::Fault;
use cbr_store::backend::{Backend, Key, MemoryBackend};
use cbr_store::format::id::PackKind;
use cbr_store::format::place::Place;

use crate::healing::{backup_knowing, check, index, killed_repair, open_with, spots};
use crate::world::{
    BLOCK, CHAIN, Disk, Expected, Start, assert_all_can_go, assert_versions, backup, four_versions,
    options, packs,
};

/// Every slot of every metadata pack: the object, and a byte in the slot.
fn meta_slots(objects: &BTreeMap<Key, Vec<u8>>) -> Vec<(Key, usize)> {
    let memory = MemoryBackend::from_snapshot(objects.clone());
    let is_meta = |key: &Key| matches!(Place::parse(key), Some(Place::Pack(pack, _)) if pack.kind == PackKind::Meta);
    let mut slots = Vec::new();
    for key in packs(&memory).into_iter().filter(is_meta) {
        for entry in index(&memory, &key).unwrap().slots() {
            slots.push((key.clone(), usize::try_from(entry.offset).unwrap() + 7));
        }
    }
    slots
}

fn damaged(objects: &BTreeMap<Key, Vec<u8>>, (key, at): &(Key, usize)) -> BTreeMap<Key, Vec<u8>> {
    let mut damaged = objects.clone();
    damaged.get_mut(key).unwrap()[*at] ^= 1;
    damaged
}

/// A disk of two leaves, each with a few blocks, in `count` versions: the first leaf changes, then
/// both, then the first again.
fn two_leaves(count: usize) -> Start {
    let memory = Arc::new(MemoryBackend::default());
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open_with(&backend, 90, options());
    let mut seeds = vec![0; 300];
    for (at, seed) in [(0, 1), (3, 2), (100, 3), (255, 4), (256, 5), (270, 6), (299, 7)] {
        seeds[at] = seed;
    }
    let mut disk = Disk::of(&seeds);
    let mut expected = Expected::new();
    let changes: [&[(usize, u64)]; 4] = [&[], &[(3, 20)], &[(100, 30), (270, 60)], &[(50, 40)]];
    for change in changes.into_iter().take(count) {
        for (at, seed) in change {
            disk = disk.with(*at, *seed);
        }
        expected.insert(backup(&repository, "old", &disk).unwrap().version.seq, disk.clone());
    }
    Start { objects: memory.snapshot(), expected }
}

/// P5: every node and every death list in turn. A repair rebuilds what the other versions tell; what
/// is left the next backup of the disk makes whole, also if the disk has changed there.
#[test]
fn every_node_of_a_small_map_is_rebuilt() {
    // Of a first version alone nobody knows where in a leaf its blocks lie, but the disk.
    for (start, needs_disk) in [(four_versions(), 0), (two_leaves(4), 0), (two_leaves(1), 1)] {
        let slots = meta_slots(&start.objects);
        let newest = start.expected.values().last().unwrap();
        let mut by_itself = 0;
        for slot in &slots {
            let objects = damaged(&start.objects, slot);
            let memory = Arc::new(MemoryBackend::from_snapshot(objects.clone()));
            let backend: Arc<dyn Backend> = memory.clone();
            let repository = open_with(&backend, 91, options());
            let plan = repository.plan_repair(&Job::quiet()).unwrap();
            assert!(!plan.problems.is_empty(), "{slot:?}");
            if !plan.is_empty() {
                assert_eq!(plan.blocks(), 1, "{slot:?}");
                repository.repair(&plan, "r").unwrap();
                let repository = open_with(&backend, 92, options());
                let report = check(&repository);
                assert!(report.is_clean() && report.healed > 0, "{slot:?}: {report:?}");
                assert_versions(&repository, &start.expected);
                repository.undo_repair("r").unwrap();
                assert!(memory.snapshot() == objects, "{slot:?}");
                by_itself += 1;
            }
            for disk in [newest.clone(), newest.with(3, 999)] {
                let memory = Arc::new(MemoryBackend::from_snapshot(objects.clone()));
                let backend: Arc<dyn Backend> = memory.clone();
                let repository = open_with(&backend, 93, options());
                let known = spots(&check(&repository));
                let (info, _) = backup_knowing(&repository, "next", &disk, Some(&[]), &known);
                let mut expected = start.expected.clone();
                expected.insert(info.version.seq, disk);
                let repository = open_with(&backend, 94, options());
                let plan = repository.plan_repair(&Job::quiet()).unwrap();
                repository.repair(&plan, "rest").unwrap();
                let report = check(&repository);
                assert!(report.is_clean(), "{slot:?}: {report:?}");
                assert_versions(&repository, &expected);
                assert_all_can_go(&repository, &memory);
            }
        }
        assert_eq!(slots.len() - by_itself, needs_disk, "of {}", slots.len());
    }
}

/// P5: a version in between is deleted. What its successor has of it, and nobody else any more, is
/// named by nothing but the lost node: that stays lost, and only that.
#[test]
fn a_node_beside_a_deleted_version_is_rebuilt_if_the_others_tell() {
    let start = four_versions();
    let memory = Arc::new(MemoryBackend::from_snapshot(start.objects));
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open_with(&backend, 95, options());
    repository.delete(&CHAIN, &[2]).unwrap();
    let mut expected = start.expected;
    expected.remove(&2);
    let objects = memory.snapshot();
    let mut lost = Vec::new();
    for slot in meta_slots(&objects) {
        let memory = Arc::new(MemoryBackend::from_snapshot(damaged(&objects, &slot)));
        let backend: Arc<dyn Backend> = memory.clone();
        let repository = open_with(&backend, 96, options());
        let known = spots(&check(&repository));
        let disk = expected.values().last().unwrap().with(5, 77);
        let (info, _) = backup_knowing(&repository, "next", &disk, None, &known);
        let mut now = expected.clone();
        now.insert(info.version.seq, disk);
        for (seq, disk) in &now {
            match crate::world::restore(&repository, *seq, disk.0.len()) {
                Ok(restored) => assert!(restored == *disk, "{slot:?}: version {seq}"),
                Err(cbr_store::Error::Incomplete { .. }) => lost.push(*seq),
                Err(other) => panic!("{slot:?}: version {seq}: {other}"),
            }
        }
    }
    assert_eq!(lost, [3], "the block that version 2 wrote and version 4 replaced");
}

/// P5, P14, I14.
#[test]
fn rebuilding_a_node_may_be_killed_anywhere() {
    let start = four_versions();
    let slot = meta_slots(&start.objects)[0].clone();
    let objects = damaged(&start.objects, &slot);
    let mut kills = 0;
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        for call in 0.. {
            let memory = Arc::new(MemoryBackend::from_snapshot(objects.clone()));
            if !killed_repair(&memory, (call, fault), &objects, &start.expected) {
                break;
            }
            kills += 1;
        }
    }
    assert!(kills >= 3, "{kills} kills");
}

/// P4: what cannot be told is not invented. Two nodes of one version that need each other stay lost,
/// and the check says so.
#[test]
fn what_cannot_be_told_stays_lost() {
    let start = two_leaves(4);
    let slots = meta_slots(&start.objects);
    let mut objects = start.objects.clone();
    let first = slots[0].0.clone();
    for slot in slots.iter().filter(|(key, _)| *key == first) {
        objects = damaged(&objects, slot);
    }
    let memory = Arc::new(MemoryBackend::from_snapshot(objects));
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open_with(&backend, 97, options());
    let before = check(&repository);
    assert!(!before.is_clean());
    let plan = repository.plan_repair(&Job::quiet()).unwrap();
    repository.repair(&plan, "r").unwrap();
    for (seq, disk) in &start.expected {
        match crate::world::restore(&repository, *seq, disk.0.len()) {
            Ok(restored) => assert!(restored == *disk, "wrong bytes of version {seq}"),
            Err(cbr_store::Error::Incomplete { ranges, .. }) => {
                assert!(ranges.iter().all(|range| range.end - range.start >= BLOCK as u64));
            }
            Err(other) => panic!("version {seq}: {other}"),
        }
    }
}
