//! Sealing everything anew after a tenant's key became known (P14, P31; engine §7.13).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cbr_store::backend::layer::{Fault, Faulty};
use cbr_store::backend::{Backend, MemoryBackend};
use cbr_store::crypto::{PackDek, TenantKey, TenantKeys};
use cbr_store::format::pack::{PackIndex, Patch};
use cbr_store::format::place::{self, Place};
use cbr_store::format::record::Record;
use cbr_store::format::slot::open_slot;
use cbr_store::{Error, Job, Repository};

use crate::golden::restored_by_reader;
use crate::healing::{backup_knowing, check, framed, frames, index, open_with, spots};
use crate::world::{
    CHAIN, Disk, Start, assert_all_can_go, assert_no_leak, assert_versions, backup, four_versions,
    master, options, packs, tenant_keys,
};

/// What somebody knows who has the tenant's first key and saw the objects: the packs' data keys.
fn known_deks(memory: &MemoryBackend) -> Vec<PackDek> {
    packs(memory).iter().map(|key| index(memory, key).unwrap().into_dek()).collect()
}

/// The tenant's second key, alone.
fn second_keys(memory: &MemoryBackend) -> TenantKeys {
    let key = place::tenant_key(CHAIN.tenant, 2);
    let tenant_key = TenantKey::open(&memory.snapshot()[&key], &key, &master().keys()).unwrap();
    TenantKeys::derive(CHAIN.tenant, 2, &tenant_key)
}

/// Whether nothing of the stored data opens with the tenant's first key, nor with `deks`.
fn is_out_of_reach(memory: &MemoryBackend, deks: &[PackDek]) -> bool {
    let old = tenant_keys(memory).unwrap();
    memory.snapshot().iter().all(|(key, bytes)| {
        let Some(Place::Pack(pack, generation)) = Place::parse(key) else { return true };
        match PackIndex::read(memory, &pack, generation, &old) {
            Err(Error::UnknownKey { key_id: 2, .. }) => {}
            _ => return false,
        }
        let index = PackIndex::read(memory, &pack, generation, &second_keys(memory));
        let index = index.unwrap().unwrap();
        index.slots().iter().all(|entry| {
            let start = usize::try_from(entry.offset).unwrap();
            let sealed = &bytes[start..start + entry.stored_bytes as usize];
            let opens = |dek| open_slot(dek, &pack, entry.head, sealed, &mut Vec::new()).is_ok();
            !deks.iter().any(opens) && opens(index.dek())
        })
    })
}

fn reencrypt(repository: &Repository) -> cbr_store::Result<Vec<String>> {
    let plan = repository.plan_reencrypt(CHAIN.tenant, &Job::quiet())?;
    Ok(repository.reencrypt(&plan, &Job::quiet())?.left)
}

/// P31: afterwards neither the leaked key nor the data keys it opened open anything; all versions
/// restore, the sums are as before, and a compaction keeps it so.
#[test]
fn nothing_opens_with_the_leaked_key_any_more() {
    let start = four_versions();
    let memory = Arc::new(MemoryBackend::from_snapshot(start.objects.clone()));
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open_with(&backend, 100, options());
    let none = repository.plan_reencrypt(CHAIN.tenant, &Job::quiet()).unwrap();
    assert!(none.is_empty() && none.records == 0, "{none:?}");
    let leaked = known_deks(&memory);
    let freed = repository.preview_delete(&CHAIN, &[2]).unwrap();
    assert_eq!(repository.rotate_tenant(CHAIN.tenant).unwrap(), 2);
    let before = memory.snapshot();
    let plan = repository.plan_reencrypt(CHAIN.tenant, &Job::quiet()).unwrap();
    assert!(memory.snapshot() == before, "a plan changes nothing");
    assert_eq!(plan.objects, packs(memory.as_ref()).len() as u64);
    assert!(plan.blocked.is_empty() && plan.records > 0 && plan.bytes > 0, "{plan:?}");
    assert!(!is_out_of_reach(&memory, &leaked));
    let done = repository.reencrypt(&plan, &Job::quiet()).unwrap();
    assert_eq!((done.objects, done.bytes, done.left.len()), (plan.objects, plan.bytes, 0));
    assert!(is_out_of_reach(&memory, &leaked));
    let repository = open_with(&backend, 101, options());
    assert!(repository.plan_reencrypt(CHAIN.tenant, &Job::quiet()).unwrap().is_empty());
    assert_versions(&repository, &start.expected);
    let report = check(&repository);
    assert!(report.is_clean() && report.healed == 0, "{report:?}");
    assert_eq!(repository.preview_delete(&CHAIN, &[2]).unwrap(), freed);
    assert!(repository.audit(&Job::quiet()).unwrap().is_right());
    // The format's second reader reads it too.
    let folder = tempfile::tempdir().unwrap();
    for (key, bytes) in memory.snapshot() {
        let path = folder.path().join("repository").join(key.as_str());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    for (seq, disk) in &start.expected {
        let directory = folder.path().join("repository");
        let restored = restored_by_reader(&directory, &master(), *seq, folder.path());
        assert!(
            restored.is_none_or(|bytes| bytes.is_ok_and(|bytes| bytes == disk.0)),
            "version {seq}"
        );
    }
    assert_no_leak(memory.as_ref());
    assert_all_can_go(&repository, &memory);
}

/// P14: a crash at any call costs nothing, and running it again ends it.
#[test]
fn a_crash_at_any_call_of_it_costs_nothing() {
    let start = four_versions();
    let rotated = {
        let memory = Arc::new(MemoryBackend::from_snapshot(start.objects.clone()));
        let backend: Arc<dyn Backend> = memory.clone();
        open_with(&backend, 110, options()).rotate_tenant(CHAIN.tenant).unwrap();
        Start { objects: memory.snapshot(), expected: start.expected }
    };
    let mut kills = 0;
    for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::Io, Fault::LostAnswer] {
        for call in 0.. {
            let memory = Arc::new(MemoryBackend::from_snapshot(rotated.objects.clone()));
            let faulty = Arc::new(Faulty::new(memory.clone()));
            let through: Arc<dyn Backend> = faulty.clone();
            let repository = open_with(&through, 111, options());
            faulty.fail_call(call, fault);
            let first = reencrypt(&repository);
            let was_through = first.is_ok();
            faulty.heal();
            let repository = open_with(&through, 112, options());
            assert_versions(&repository, &rotated.expected);
            assert_eq!(
                reencrypt(&repository).unwrap(),
                Vec::<String>::new(),
                "{fault:?} at {call}"
            );
            assert!(is_out_of_reach(&memory, &[]), "{fault:?} at {call}");
            assert_versions(&repository, &rotated.expected);
            let report = check(&repository);
            assert!(report.is_clean(), "{fault:?} at {call}: {report:?}");
            assert_no_leak(memory.as_ref());
            if was_through {
                break;
            }
            kills += 1;
        }
    }
    assert!(kills > 40, "{kills} kills");
}

/// R4: what a running backup has written stays; it commits, and the next run finishes.
#[test]
fn a_running_backup_is_left_alone() {
    let start = four_versions();
    let memory = Arc::new(MemoryBackend::from_snapshot(start.objects));
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open_with(&backend, 120, options());
    let disk = start.expected.values().last().unwrap().with(2, 300);
    let mut session = repository.begin(&CHAIN, "running").unwrap();
    session.write(&disk, None, &Job::quiet()).unwrap();
    let other = open_with(&backend, 121, options());
    other.rotate_tenant(CHAIN.tenant).unwrap();
    let left: BTreeSet<String> = reencrypt(&other).unwrap().into_iter().collect();
    assert!(!left.is_empty());
    let version = session.commit(b"").unwrap().version.seq;
    let other = open_with(&backend, 122, options());
    assert_eq!(reencrypt(&other).unwrap(), Vec::<String>::new());
    assert!(is_out_of_reach(&memory, &[]));
    let mut expected = start.expected;
    expected.insert(version, disk);
    assert_versions(&other, &expected);
}

/// P5: patches are sealed anew as well, and the slots they mend stay in them.
#[test]
fn patches_are_sealed_anew() {
    let (mut objects, expected) = framed();
    let disk = expected.values().last().unwrap();
    let memory = MemoryBackend::from_snapshot(objects.clone());
    let key =
        packs(&memory).into_iter().find(|key| index(&memory, key).unwrap().slots()[0].blocks == 4);
    objects.get_mut(&key.unwrap()).unwrap()[70] ^= 1;
    let memory = Arc::new(MemoryBackend::from_snapshot(objects));
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open_with(&backend, 130, frames());
    let known = spots(&check(&repository));
    let (info, _) = backup_knowing(&repository, "next", disk, None, &known);
    // Of the first version the first block is not on the disk any more, and stays lost.
    repository.delete(&CHAIN, &[1]).unwrap();
    let mut now = expected.clone();
    now.remove(&1);
    now.insert(info.version.seq, disk.clone());
    // Whether each version restores; if so, to the right bytes.
    let restored = |seed: u64| -> BTreeMap<u64, bool> {
        let repository = open_with(&backend, seed, frames());
        let one = |(seq, disk): (&u64, &Disk)| {
            let restored = crate::world::restore(&repository, *seq, disk.0.len());
            if let Ok(restored) = &restored {
                assert!(restored == disk, "version {seq}");
            }
            (*seq, restored.is_ok())
        };
        now.iter().map(one).collect()
    };
    let before = restored(131);
    assert!(before.values().any(|is_whole| *is_whole));
    repository.rotate_tenant(CHAIN.tenant).unwrap();
    let left = reencrypt(&repository).unwrap();
    let old = tenant_keys(memory.as_ref()).unwrap();
    let mut patches = 0;
    for key in memory.snapshot().into_keys() {
        if let Some(Place::Patch(pack, number)) = Place::parse(&key) {
            patches += 1;
            let patch = Patch::read(memory.as_ref(), &pack, number, &old);
            assert!(matches!(patch, Err(Error::UnknownKey { .. })), "{key}");
        }
    }
    assert!(patches > 0, "what was healed is still there");
    assert_eq!(restored(132), before);
    assert!(left.len() <= 1, "{left:?}");
}

/// A new backup after it is sealed with the new key only, and its increments work as ever.
#[test]
fn backups_go_on_after_it() {
    let start = four_versions();
    let memory = Arc::new(MemoryBackend::from_snapshot(start.objects));
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open_with(&backend, 140, options());
    repository.rotate_tenant(CHAIN.tenant).unwrap();
    reencrypt(&repository).unwrap();
    let mut expected = start.expected;
    let disk = expected.values().last().unwrap().with(6, 123);
    let info = backup(&repository, "after", &disk).unwrap();
    assert_eq!(info.logical_bytes, 65_536);
    expected.insert(info.version.seq, disk);
    repository.delete(&CHAIN, &[1, 3]).unwrap();
    expected.retain(|seq, _| ![1, 3].contains(seq));
    assert_versions(&repository, &expected);
    assert!(is_out_of_reach(&memory, &[]));
}
