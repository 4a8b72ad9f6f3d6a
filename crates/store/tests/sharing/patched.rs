//! Packs that are damaged, and whose blocks several chains need (P5, P7, P14; R6, R8): what is healed lives on
//! in patches, what is lost keeps the damaged object, and who may have borrowed is waited for.

use std::sync::Arc;

use cbr_store::backend::layer::{Fault, Faulty};
use cbr_store::backend::{Backend, BackendExt, Key, MemoryBackend};
use cbr_store::format::envelope::{ObjectKind, SectionType, Tail};
use cbr_store::format::id::{PackKind, PackRef};
use cbr_store::format::pack::PackIndex;
use cbr_store::format::place::Place;
use cbr_store::{
    ChainRef, CheckDepth, Error, Job, Options, Repository, Spot, VersionInfo, VersionRef,
};

use crate::disk::{BLOCK, Dirty, Disk, assert_restores};
use crate::world::{TENANT, assert_clean, backup, chain, open, options, tenant_keys};

/// All blocks of a small disk in one pack, each in a slot of its own.
fn one_pack() -> Options {
    Options { frame_blocks: 1, pack_bytes: 1 << 20, ..options() }
}

/// A disk of eight blocks.
fn eight(seed: u64) -> Disk {
    let mut disk = Disk::new(8 * BLOCK);
    replace(&mut disk, 0..8, seed);
    disk
}

fn replace(disk: &mut Disk, blocks: std::ops::Range<u64>, seed: u64) {
    for at in blocks {
        disk.write(at * BLOCK..(at + 1) * BLOCK, seed + at);
    }
}

/// The generations of a pack, in order.
fn generations(memory: &MemoryBackend, pack: &PackRef) -> Vec<u32> {
    let listed = memory.list_all("t/").unwrap().into_iter();
    let generation = |key: &Key| match Place::parse(key) {
        Some(Place::Pack(found, generation)) if found == *pack => Some(generation),
        _ => None,
    };
    listed.filter_map(|entry| generation(&entry.key)).collect()
}

/// The slots that a generation has.
fn slots(memory: &MemoryBackend, pack: &PackRef, generation: u32) -> Vec<u32> {
    let index = PackIndex::read(memory, pack, generation, &tenant_keys(memory)).unwrap().unwrap();
    index.slots().iter().map(|entry| entry.head.slot).collect()
}

/// The packs of blocks and the patches.
fn left(memory: &MemoryBackend) -> Vec<Key> {
    let is_left = |key: &Key| match Place::parse(key) {
        Some(Place::Pack(pack, _)) => pack.kind == PackKind::Data,
        Some(Place::Patch(..)) => true,
        _ => false,
    };
    let listed = memory.list_all("t/").unwrap().into_iter();
    listed.map(|entry| entry.key).filter(is_left).collect()
}

fn flip(memory: &MemoryBackend, key: &Key, at: usize) {
    let mut wrong = memory.get(key).unwrap().unwrap();
    wrong[at] ^= 1;
    memory.overwrite(key, wrong);
}

fn spots(repository: &Repository) -> Vec<Spot> {
    let report = repository.check(CheckDepth::ReadData, &Job::quiet()).unwrap();
    report.problems.iter().filter_map(|problem| problem.spot).collect()
}

/// Two chains that share a pack of eight slots. The first needs slots 0 to 3 of it in its second version, its
/// clone 0 to 5; the first versions need all.
struct Shared {
    memory: Arc<MemoryBackend>,
    versions: Vec<(VersionInfo, Disk)>,
    key: Key,
    pack: PackRef,
}

fn shared() -> Shared {
    let memory = Arc::new(MemoryBackend::default());
    let repository = open(memory.clone(), 1, one_pack());
    let mut versions = Vec::new();
    let (mut original, mut clone) = (eight(1000), eight(1000));
    versions.push((backup(&repository, &chain(2), &original).1, original.clone()));
    let key = left(&memory).remove(0);
    let Some(Place::Pack(pack, 0)) = Place::parse(&key) else { panic!("{key}") };
    let (stats, first) = backup(&repository, &chain(3), &clone);
    assert_eq!(stats.borrowed_bytes, 8 * BLOCK);
    versions.push((first, clone.clone()));
    replace(&mut original, 4..8, 5000);
    versions.push((backup(&repository, &chain(2), &original).1, original));
    replace(&mut clone, 6..8, 7000);
    versions.push((backup(&repository, &chain(3), &clone).1, clone));
    Shared { memory, versions, key, pack }
}

/// The same, of which slot 0 is damaged and was healed by a third version of the clone.
fn healed() -> Shared {
    let mut shared = shared();
    flip(&shared.memory, &shared.key, 70);
    let repository = open(shared.memory.clone(), 2, one_pack());
    let disk = shared.versions[3].1.clone();
    let mut session = repository.begin(&chain(3), "a task").unwrap();
    session.distrust(&spots(&repository));
    let stats = session.write(&disk, None, &Job::quiet()).unwrap();
    assert!(stats.healed_bytes > 0);
    shared.versions.push((session.commit(b"a card").unwrap(), disk));
    assert_clean(&open(shared.memory.clone(), 3, one_pack()));
    shared
}

/// Gives up the first versions of both chains.
fn delete_first(repository: &Repository) -> cbr_store::Result<()> {
    [chain(2), chain(3)].iter().try_for_each(|of| repository.delete(of, &[1]).map(drop))
}

fn delete_all(repository: &Repository, chains: &[ChainRef]) {
    for chain in chains {
        let all = repository.versions(chain).unwrap();
        let seqs: Vec<u64> = all.iter().map(|info| info.version.seq).collect();
        repository.delete(chain, &seqs).unwrap();
    }
    for chain in chains.iter().chain(chains) {
        repository.reclaim(chain).unwrap();
    }
}

/// P5, P7, P14: what two chains need of a damaged pack is moved on, what is healed stays in its patches, and a
/// kill at any request changes nothing about that.
#[test]
fn a_pack_that_lives_on_in_its_patches_is_compacted_where_blocks_are_shared() {
    let Shared { memory, versions, pack, .. } = healed();
    let objects = memory.snapshot();
    let mut kills = 0;
    for fault in [None, Some(Fault::CrashBefore), Some(Fault::CrashAfter)] {
        for call in 0.. {
            let memory = Arc::new(MemoryBackend::from_snapshot(objects.clone()));
            let faulty = Arc::new(Faulty::new(memory.clone()));
            let repository = open(faulty.clone(), 4, one_pack());
            if let Some(fault) = fault {
                faulty.fail_call(call, fault);
            }
            let deleted = delete_first(&repository);
            faulty.heal();
            let repository = open(faulty, 5, one_pack());
            delete_first(&repository).unwrap();
            assert_clean(&repository);
            let kept = versions.iter().filter(|(info, _)| info.version.seq > 1);
            kept.for_each(|(info, disk)| assert_restores(&repository, info, disk));
            assert_eq!(generations(&memory, &pack), [1], "{fault:?} at {call}");
            // What is healed is not sealed a second time under the pack's key.
            assert_eq!(slots(&memory, &pack, 1), [1, 2, 3, 4, 5], "{fault:?} at {call}");
            delete_all(&repository, &[chain(2), chain(3)]);
            assert_eq!(left(&memory), [], "{fault:?} at {call}");
            if fault.is_none() || deleted.is_ok() {
                deleted.unwrap();
                break;
            }
            kills += 1;
        }
    }
    assert!(kills > 40, "{kills} kills");
}

/// P5, R8: who borrowed from the pack before it was rewritten, or before all of it died, is served by the patches.
#[test]
fn who_borrowed_what_only_patches_have_keeps_it() {
    for is_all in [false, true] {
        let Shared { memory, versions, pack, .. } = healed();
        let repository = open(memory.clone(), 6, one_pack());
        let disk = eight(1000);
        let mut session = repository.begin(&chain(4), "a task").unwrap();
        let stats = session.write(&disk, None, &Job::quiet()).unwrap();
        assert_eq!(stats.borrowed_bytes, 8 * BLOCK);
        let other = open(memory.clone(), 7, one_pack());
        if is_all {
            delete_all(&other, &[chain(2), chain(3)]);
        } else {
            delete_first(&other).unwrap();
        }
        let version = session.commit(b"a card").unwrap();
        let repository = open(memory.clone(), 8, one_pack());
        for chain in [chain(2), chain(3), chain(4)] {
            repository.reclaim(&chain).unwrap();
        }
        assert_clean(&repository);
        assert_restores(&repository, &version, &disk);
        if !is_all {
            assert_restores(&repository, &versions[4].0, &versions[4].1);
        }
        assert!(!generations(&memory, &pack).is_empty());
        delete_all(&repository, &[chain(2), chain(3), chain(4)]);
        assert_eq!(left(&memory), [], "{is_all}");
    }
}

/// P5, R8: what a patch has and nobody needs is retired like any other slot; as long as somebody may have borrowed it
/// the pack stays.
#[test]
fn a_pack_of_which_only_patches_are_left_stays_as_long_as_they_are_needed() {
    let Shared { memory, versions, pack, .. } = healed();
    let repository = open(memory.clone(), 9, one_pack());
    // Of the pack nothing but its healed slot is needed, by a chain that did not heal it.
    let mut disk = versions[2].1.clone();
    replace(&mut disk, 1..8, 9000);
    let (_, last) = backup(&repository, &chain(2), &disk);
    repository.delete(&chain(3), &[1, 2, 3]).unwrap();
    repository.delete(&chain(2), &[1, 2]).unwrap();
    repository.reclaim(&chain(3)).unwrap();
    let repository = open(memory.clone(), 10, one_pack());
    assert_clean(&repository);
    assert_restores(&repository, &last, &disk);
    let newest = *generations(&memory, &pack).last().unwrap();
    assert_eq!(slots(&memory, &pack, newest), [] as [u32; 0]);
    delete_all(&repository, &[chain(3), chain(2)]);
    assert_eq!(left(&memory), []);
}

/// P5: an object whose tables are lost has a slot that could not be moved to the next generation, because the slot
/// is damaged, too. As long as any chain needs it the object stays: it is all there is of it.
#[test]
fn what_only_another_chain_needs_keeps_a_damaged_object() {
    let Shared { memory, key, pack, .. } = shared();
    // The clone needs slot 4, its author does not once its first version is gone.
    let damaged = lose_slot_4(&memory, &key, &pack);
    let repository = open(memory.clone(), 12, one_pack());
    delete_first(&repository).unwrap();
    repository.reclaim(&chain(2)).unwrap();
    assert!(
        memory.get(&key).unwrap().unwrap() == damaged,
        "the damaged object is all there is of slot 4"
    );
    let clone = VersionRef { chain: chain(3), seq: 2 };
    match repository.restore(&clone, &Dirty::new(8 * BLOCK), &Job::quiet()) {
        Err(Error::Incomplete { ranges, .. }) => assert_eq!(ranges, vec![4 * BLOCK..5 * BLOCK]),
        other => panic!("{other:?}"),
    }
    // Without the clone nobody needs it.
    repository.delete(&chain(3), &[2]).unwrap();
    repository.reclaim(&chain(2)).unwrap();
    assert!(!generations(&memory, &pack).contains(&0));
}

/// P5, R8: nor does it go while a session may have borrowed that slot, though nobody else needs it any more.
#[test]
fn what_a_session_may_have_borrowed_keeps_a_damaged_object() {
    let Shared { memory, key, pack, .. } = shared();
    let repository = open(memory.clone(), 13, one_pack());
    let waited_for = repository.begin(&chain(5), "a task").unwrap();
    let other = open(memory.clone(), 14, one_pack());
    delete_first(&other).unwrap();
    other.reclaim(&chain(2)).unwrap();
    // It knows that slots 6 and 7 are retired, and borrows the others.
    let mut session = repository.begin(&chain(4), "a task").unwrap();
    let stats = session.write(&eight(1000), None, &Job::quiet()).unwrap();
    assert_eq!(stats.borrowed_bytes, 6 * BLOCK);
    waited_for.abort().unwrap();
    let damaged = lose_slot_4(&memory, &key, &pack);

    let other = open(memory.clone(), 15, one_pack());
    other.delete(&chain(3), &[2]).unwrap();
    other.reclaim(&chain(2)).unwrap();
    assert!(is_still(&memory, &key, &damaged), "the session may need slot 4");
    session.abort().unwrap();
    other.reclaim(&chain(2)).unwrap();
    other.reclaim(&chain(2)).unwrap();
    assert_eq!(memory.get(&key).unwrap(), None);
    let newest = *generations(&memory, &pack).last().unwrap();
    assert_eq!(slots(&memory, &pack, newest), [0, 1, 2, 3]);
}

/// P5, R8: the same where nothing is rewritten and no undo of the repair keeps the object: its removal alone is asked
/// for, and takes what the next generation lacks.
#[test]
fn a_superseded_object_stays_while_a_session_may_have_borrowed_from_it() {
    let never = || Options { compact_below_percent: 0, ..one_pack() };
    let Shared { memory, key, pack, .. } = shared();
    let mut session = open(memory.clone(), 16, never()).begin(&chain(4), "a task").unwrap();
    session.write(&eight(1000), None, &Job::quiet()).unwrap();
    let damaged = lose_slot_4(&memory, &key, &pack);
    for patch in left(&memory) {
        if matches!(Place::parse(&patch), Some(Place::Patch(..))) {
            memory.delete(&patch).unwrap();
        }
    }
    let other = open(memory.clone(), 17, never());
    delete_first(&other).unwrap();
    other.delete(&chain(3), &[2]).unwrap();
    other.reclaim(&chain(2)).unwrap();
    assert!(is_still(&memory, &key, &damaged), "the session may need slot 4");
    // Nor does a change of keys take it: whoever seals anew does not look at sessions.
    other.rotate_tenant(TENANT).unwrap();
    let plan = other.plan_reencrypt(TENANT, &Job::quiet()).unwrap();
    other.reencrypt(&plan, &Job::quiet()).unwrap();
    assert!(is_still(&memory, &key, &damaged), "the session may need slot 4");
    session.abort().unwrap();
    other.reclaim(&chain(2)).unwrap();
    other.reclaim(&chain(2)).unwrap();
    assert_eq!(generations(&memory, &pack), [1]);
}

fn is_still(memory: &MemoryBackend, key: &Key, object: &[u8]) -> bool {
    memory.get(key).unwrap().is_some_and(|there| there == object)
}

/// Damages the pack so that its slot 4 cannot be moved to the next generation, and repairs the others; what the
/// object is then.
fn lose_slot_4(memory: &Arc<MemoryBackend>, key: &Key, pack: &PackRef) -> Vec<u8> {
    let object = memory.get(key).unwrap().unwrap();
    let keys = tenant_keys(memory);
    let tail = Tail::read(object.len() as u64, &object, ObjectKind::DataPack, key, &keys).unwrap();
    let identity = usize::try_from(tail.find(SectionType::Identity).unwrap().offset).unwrap();
    let index = PackIndex::read(memory.as_ref(), pack, 0, &keys).unwrap().unwrap();
    let slot = usize::try_from(index.slot(4).unwrap().offset).unwrap();
    flip(memory, key, identity + 3);
    flip(memory, key, slot + 9);
    let repository = open(memory.clone(), 11, one_pack());
    let plan = repository.plan_repair(&Job::quiet()).unwrap();
    assert_eq!(plan.packs(), 1, "{plan:?}");
    repository.repair(&plan, "r").unwrap();
    assert_eq!(slots(memory, pack, 1), [0, 1, 2, 3, 5, 6, 7]);
    memory.get(key).unwrap().unwrap()
}
