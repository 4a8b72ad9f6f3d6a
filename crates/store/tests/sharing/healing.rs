//! Damage in a domain whose chains share blocks: who has the same block gives it back (P5).

use std::sync::Arc;

use cbr_store::backend::{Backend, BackendExt, Key, MemoryBackend};
use cbr_store::format::id::PackKind;
use cbr_store::format::pack::PackIndex;
use cbr_store::format::place::Place;
use cbr_store::{CheckDepth, Job, Options, Spot};

use crate::disk::{BLOCK, Disk, LEAF, assert_restores};
use crate::world::{assert_clean, backup, chain, disk, open, options, tenant_keys};

fn data_packs(memory: &MemoryBackend) -> Vec<Key> {
    let is_data = |key: &Key| match Place::parse(key) {
        Some(Place::Pack(pack, _)) => pack.kind == PackKind::Data,
        _ => false,
    };
    let listed = memory.list_all("t/").unwrap().into_iter();
    listed.map(|entry| entry.key).filter(is_data).collect()
}

/// P5: a disk of which nothing changed, and whose chain does not point to what is damaged, is read
/// where another chain points to it: it may be a clone that was stored on its own.
#[test]
fn an_increment_of_a_clone_heals_what_only_the_original_points_to() {
    let memory = Arc::new(MemoryBackend::default());
    let content = disk(1, 1000);
    let (_, original) = backup(&open(memory.clone(), 1, options()), &chain(2), &content);
    let packs = data_packs(&memory);
    // Without memory for hints the clone shares nothing.
    let alone = Options { dedup_ram_bytes: 0, ..options() };
    let (stats, clone) = backup(&open(memory.clone(), 2, alone), &chain(3), &content);
    assert_eq!(stats.borrowed_bytes, 0);

    let mut wrong = memory.get(&packs[0]).unwrap().unwrap();
    wrong[100] ^= 4;
    memory.overwrite(&packs[0], wrong);
    let repository = open(memory.clone(), 3, options());
    let report = repository.check(CheckDepth::ReadData, &Job::quiet()).unwrap();
    let hurt: Vec<_> = report.problems.iter().flat_map(|problem| &problem.affected).collect();
    assert!(!hurt.is_empty() && hurt.iter().all(|one| one.version == original.version), "{hurt:?}");
    let known: Vec<Spot> = report.problems.iter().filter_map(|problem| problem.spot).collect();

    let mut session = repository.begin(&chain(3), "an increment").unwrap();
    session.distrust(&known);
    let stats = session.write(&content, Some(&[]), &Job::quiet()).unwrap();
    session.commit(b"a card").unwrap();
    assert!(stats.healed_bytes > 0 && stats.read_bytes < content.size / 2, "{stats:?}");
    assert_restores(&repository, &original, &content);
    assert_restores(&repository, &clone, &content);
    assert_clean(&repository);
}

/// Every slot of every metadata pack: the object, and a byte in the slot.
fn meta_slots(memory: &MemoryBackend) -> Vec<(Key, usize)> {
    let keys = tenant_keys(memory);
    let mut slots = Vec::new();
    for entry in memory.list_all("t/").unwrap() {
        let Some(Place::Pack(pack, generation)) = Place::parse(&entry.key) else { continue };
        if pack.kind == PackKind::Meta {
            let index = PackIndex::read(memory, &pack, generation, &keys);
            for slot in index.unwrap().unwrap().slots() {
                slots.push((entry.key.clone(), usize::try_from(slot.offset).unwrap() + 7));
            }
        }
    }
    slots
}

/// Blocks of a disk, each with what it is filled from.
fn fill(disk: &mut Disk, blocks: impl Iterator<Item = u64>, seed: u64) {
    for at in blocks {
        disk.write(at * BLOCK..(at + 1) * BLOCK, seed + at);
    }
}

/// P5: every map node, death list and borrow list of disks that share, in turn. A repair, or the next backups of the
/// disks, make it whole; nothing else is touched, and all can go.
#[test]
fn every_node_and_list_of_disks_that_share_is_rebuilt() {
    let memory = Arc::new(MemoryBackend::default());
    let repository = open(memory.clone(), 1, options());
    let mut original = Disk::new(2 * LEAF);
    fill(&mut original, (0..12).chain(250..262), 1000);
    let (_, first) = backup(&repository, &chain(2), &original);
    let mut clone = original.clone();
    fill(&mut clone, 4..6, 5000);
    let (stats, second) = backup(&repository, &chain(3), &clone);
    assert!(stats.borrowed_bytes > 0);
    // What the clone wrote itself is replaced, and something is borrowed from the original again.
    let mut later = clone.clone();
    fill(&mut later, 4..6, 7000);
    for at in 6..10 {
        // What a block is filled with repeats after 64.
        later.write((64 + at) * BLOCK..(65 + at) * BLOCK, 1000 + at);
    }
    let (_, third) = backup(&repository, &chain(3), &later);
    let versions = [(first, original.clone()), (second, clone), (third, later.clone())];
    let sound = memory.snapshot();
    let (mut count, mut by_itself) = (0, 0);
    for (key, at) in meta_slots(&memory) {
        count += 1;
        let memory = Arc::new(MemoryBackend::from_snapshot(sound.clone()));
        let mut wrong = memory.get(&key).unwrap().unwrap();
        wrong[at] ^= 1;
        memory.overwrite(&key, wrong);
        let repository = open(memory.clone(), 2, options());
        let plan = repository.plan_repair(&Job::quiet()).unwrap();
        assert!(!plan.problems.is_empty(), "{key}");
        let known: Vec<Spot> = plan.problems.iter().filter_map(|problem| problem.spot).collect();
        if !plan.is_empty() {
            by_itself += 1;
            repository.repair(&plan, "r").unwrap();
            assert_clean(&open(memory.clone(), 3, options()));
            repository.undo_repair("r").unwrap();
        }
        let repository = open(memory.clone(), 4, options());
        let mut all = versions.to_vec();
        for (chain, disk) in [(chain(2), &original), (chain(3), &later)] {
            let mut session = repository.begin(&chain, "next").unwrap();
            session.distrust(&known);
            session.write(disk, None, &Job::quiet()).unwrap();
            all.push((session.commit(b"").unwrap(), disk.clone()));
        }
        let repository = open(memory.clone(), 5, options());
        let plan = repository.plan_repair(&Job::quiet()).unwrap();
        repository.repair(&plan, "rest").unwrap();
        let repository = open(memory.clone(), 6, options());
        assert_clean(&repository);
        for (version, disk) in &all {
            assert_restores(&repository, version, disk);
        }
        for chain in [chain(2), chain(3)] {
            let all = repository.versions(&chain).unwrap();
            let seqs: Vec<u64> = all.iter().map(|info| info.version.seq).collect();
            repository.delete(&chain, &seqs).unwrap();
        }
        for chain in [chain(2), chain(3), chain(2)] {
            repository.reclaim(&chain).unwrap();
        }
        assert_eq!(data_packs(&memory), []);
    }
    // Of a first version nobody but the disk knows where in a leaf its blocks lie.
    println!("{by_itself} of {count} by a repair alone");
    assert!(by_itself >= 4, "{by_itself} of {count}");
}
