//! Keys over their lifetime (P31): rotation rewrites nothing and makes nothing unreadable, destroying
//! a tenant's keys makes everything unreadable, and a maintenance key reads no data.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::channel;

use cbr_store::backend::layer::{Fault, Faulty, Switching};
use cbr_store::backend::{Backend, BackendExt, Decided, Key, MemoryBackend};
use cbr_store::format::place::{self, Place};
use cbr_store::{
    ChainRef, CheckDepth, Error, Job, MaintenanceKey, MasterKey, Repository, Result, VersionRef,
};
use uuid::Uuid;

use crate::golden::restored_by_reader;
use crate::world::{
    CHAIN, Disk, Seeds, Start, assert_versions, backup, four_versions, master, open, options,
    packs, restore,
};

/// No operation of these tests needs more calls.
const CALLS_MAX: u64 = 500;

fn new_master() -> MasterKey {
    MasterKey::from_bytes([0x77; 32])
}

fn open_with(backend: &Arc<dyn Backend>, key: MasterKey, seeds: &Seeds) -> Result<Repository> {
    Repository::open(Arc::clone(backend), key, seeds.random(), options())
}

fn world(start: &Start) -> (Arc<MemoryBackend>, Arc<dyn Backend>) {
    let memory = Arc::new(MemoryBackend::from_snapshot(start.objects.clone()));
    let backend: Arc<dyn Backend> = memory.clone();
    (memory, backend)
}

/// The stored data, and the logs: what a rotation must not touch.
fn data(memory: &MemoryBackend) -> BTreeMap<Key, Vec<u8>> {
    let mut objects = memory.snapshot();
    objects.retain(|key, _| {
        matches!(
            Place::parse(key),
            Some(Place::Pack(..) | Place::Claim(..) | Place::Outcome(..) | Place::Delete(..))
        )
    });
    objects
}

#[test]
fn after_a_tenants_key_was_rotated_old_and_new_versions_restore_and_nothing_was_rewritten() {
    let start = four_versions();
    let (memory, backend) = world(&start);
    let seeds = Seeds::new(1);
    let repository = open(&backend, &seeds).unwrap();
    let before = data(&memory);
    assert_eq!(repository.rotate_tenant(CHAIN.tenant).unwrap(), 2);
    assert_eq!(data(&memory), before);

    let mut expected = start.expected;
    let disk = expected.values().last().unwrap().with(3, 500);
    let info = backup(&repository, "after", &disk).unwrap();
    assert_eq!(info.logical_bytes, 65_536, "unchanged blocks are recognised as before");
    expected.insert(info.version.seq, disk);
    assert_versions(&repository, &expected);
    let again = open(&backend, &seeds).unwrap();
    assert_versions(&again, &expected);
    assert!(again.check(CheckDepth::ReadData, &Job::quiet()).unwrap().is_clean());

    // What was written since is sealed with the second key, and with nothing else.
    memory.delete(&place::tenant_key(CHAIN.tenant, 2)).unwrap();
    let error = open(&backend, &seeds).unwrap().versions(&CHAIN).unwrap_err();
    assert!(matches!(error, Error::UnknownKey { key_id: 2, .. }), "{error:?}");
}

#[test]
fn a_process_that_does_not_know_of_a_rotation_fails_once_and_then_knows() {
    let start = four_versions();
    let (_, backend) = world(&start);
    let seeds = Seeds::new(2);
    let (old, new) = (open(&backend, &seeds).unwrap(), open(&backend, &seeds).unwrap());
    assert_versions(&old, &start.expected);
    new.rotate_tenant(CHAIN.tenant).unwrap();
    let mut expected = start.expected;
    let disk = expected.values().last().unwrap().with(0, 501);
    expected.insert(backup(&new, "new", &disk).unwrap().version.seq, disk);
    let error = old.versions(&CHAIN).unwrap_err();
    assert!(matches!(error, Error::UnknownKey { .. }) && error.is_transient(), "{error:?}");
    assert_versions(&old, &expected);
}

#[test]
fn after_the_master_key_was_changed_only_the_new_one_opens_and_nothing_was_rewritten() {
    let start = four_versions();
    let (memory, backend) = world(&start);
    let seeds = Seeds::new(3);
    let repository = open(&backend, &seeds).unwrap();
    let before = data(&memory);
    assert_eq!(repository.rotate_master(&new_master()).unwrap(), 1);
    for key in [master(), new_master()] {
        assert_versions(&open_with(&backend, key, &seeds).unwrap(), &start.expected);
    }
    repository.retire_master(&new_master()).unwrap();
    assert_eq!(data(&memory), before);
    let refused = open_with(&backend, master(), &seeds).unwrap_err();
    assert!(matches!(refused, Error::WrongKey { .. }), "{refused:?}");
    let refused = Repository::init(backend.clone(), master(), seeds.random(), options());
    assert!(matches!(refused, Err(Error::WrongKey { .. })), "no second descriptor: {refused:?}");

    let repository = open_with(&backend, new_master(), &seeds).unwrap();
    let mut expected = start.expected;
    let disk = expected.values().last().unwrap().with(2, 502);
    expected.insert(backup(&repository, "new", &disk).unwrap().version.seq, disk);
    assert_versions(&repository, &expected);
    assert!(repository.check(CheckDepth::ReadData, &Job::quiet()).unwrap().is_clean());
    // And once more.
    let third = MasterKey::from_bytes([0x33; 32]);
    repository.retire_master(&third).unwrap();
    let repository = open_with(&backend, third, &seeds).unwrap();
    assert_versions(&repository, &expected);
    assert_eq!(repository.key_status().unwrap().masters, [2]);
}

/// P2, P31: a crash at any call, and the operator tries again with the same two keys.
#[test]
fn a_crash_at_any_call_of_a_change_of_the_master_key_leaves_a_repository_that_opens() {
    let start = four_versions();
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        for call in 0..=CALLS_MAX {
            assert!(call < CALLS_MAX, "the operation never gets through");
            let (memory, alive) = world(&start);
            let faulty = Arc::new(Faulty::new(memory.clone()));
            let backend: Arc<dyn Backend> = faulty.clone();
            let seeds = Seeds::new(call + 10);
            let repository = open(&backend, &seeds).unwrap();
            repository.rotate_tenant(CHAIN.tenant).unwrap();
            faulty.fail_call(call, fault);
            let result = repository.retire_master(&new_master());
            let was_through = result.is_ok();

            // One of the keys opens it at every moment, and reads everything.
            let old = open_with(&alive, master(), &seeds);
            let new = open_with(&alive, new_master(), &seeds);
            let opened = old.or(new).unwrap();
            assert_versions(&opened, &start.expected);
            opened.retire_master(&new_master()).unwrap();
            let repository = open_with(&alive, new_master(), &seeds).unwrap();
            assert_versions(&repository, &start.expected);
            assert!(open_with(&alive, master(), &seeds).is_err());
            let keys: Vec<Key> = memory.snapshot().into_keys().collect();
            let old = |key: &&Key| {
                matches!(
                    Place::parse(key),
                    Some(
                        Place::Descriptor | Place::TenantKey(..) | Place::MaintenanceRing(_, _, 0)
                    )
                )
            };
            assert_eq!(keys.iter().find(old), None, "nothing of the old key is left");
            if was_through {
                break;
            }
        }
    }
}

/// P2: an interrupted change whose new key was lost is in nobody's way.
#[test]
fn the_master_key_can_be_changed_after_a_change_to_another_one_was_given_up_at_any_call() {
    let start = four_versions();
    for call in 0..=CALLS_MAX {
        assert!(call < CALLS_MAX, "the operation never gets through");
        let (memory, alive) = world(&start);
        let faulty = Arc::new(Faulty::new(memory));
        let backend: Arc<dyn Backend> = faulty.clone();
        let seeds = Seeds::new(call + 1200);
        let repository = open(&backend, &seeds).unwrap();
        faulty.fail_call(call, Fault::CrashAfter);
        let lost = MasterKey::from_bytes([0x55; 32]);
        let was_through = repository.rotate_master(&lost).is_ok();
        open(&alive, &seeds).unwrap().retire_master(&new_master()).unwrap();
        assert!(open_with(&alive, lost, &seeds).is_err());
        let repository = open_with(&alive, new_master(), &seeds).unwrap();
        assert_versions(&repository, &start.expected);
        if was_through {
            break;
        }
    }
}

/// P2, P31: a change is not made over the head of a master key that has data of its own.
#[test]
fn a_master_key_in_use_is_not_ended_by_a_change_that_does_not_know_its_data() {
    let backend: Arc<dyn Backend> = Arc::new(MemoryBackend::default());
    let seeds = Seeds::new(8000);
    Repository::init(Arc::clone(&backend), master(), seeds.random(), options()).unwrap();
    open(&backend, &seeds).unwrap().rotate_master(&new_master()).unwrap();
    let newer = open_with(&backend, new_master(), &seeds).unwrap();
    let disk = Disk::of(&[1, 2]);
    let info = backup(&newer, "one", &disk).unwrap();
    let third = MasterKey::from_bytes([0x33; 32]);
    let refused = open(&backend, &seeds).unwrap().retire_master(&third).unwrap_err();
    assert!(matches!(refused, Error::Missing { .. }), "{refused:?}");
    assert!(restore(&newer, info.version.seq, disk.0.len()).unwrap() == disk);
    // From the one that has it, it can be made.
    newer.retire_master(&third).unwrap();
    let last = open_with(&backend, third, &seeds).unwrap();
    assert!(restore(&last, info.version.seq, disk.0.len()).unwrap() == disk);
}

/// P2, P31: two keys of one number would seal data under one name.
#[test]
fn a_tenant_gets_no_next_key_before_the_newest_master_key_has_all_there_are() {
    let start = four_versions();
    let (memory, backend) = world(&start);
    let seeds = Seeds::new(8100);
    let old = open(&backend, &seeds).unwrap();
    assert_eq!(old.rotate_tenant(CHAIN.tenant).unwrap(), 2);
    old.rotate_master(&new_master()).unwrap();
    // As if the change had stopped before it handed the second key on.
    let key = place::tenant_key_by(CHAIN.tenant, 2, 1);
    let wrap = memory.get(&key).unwrap().unwrap();
    memory.delete(&key).unwrap();
    let newer = open_with(&backend, new_master(), &seeds).unwrap();
    let refused = newer.rotate_tenant(CHAIN.tenant).unwrap_err();
    assert!(matches!(refused, Error::Missing { .. }), "{refused:?}");
    assert_eq!(memory.put_decided(&key, &[&wrap]).unwrap(), Decided::Ours);
    assert_eq!(newer.rotate_tenant(CHAIN.tenant).unwrap(), 3);
}

/// A tenant that comes while the master key is changed is carried over, or is refused.
#[test]
fn a_tenant_that_appears_at_any_call_of_a_change_of_the_master_key_is_not_lost() {
    for call in 0..=CALLS_MAX {
        assert!(call < CALLS_MAX, "the operation never gets through");
        let memory = Arc::new(MemoryBackend::default());
        let backend: Arc<dyn Backend> = memory.clone();
        let seeds = Seeds::new(call + 600);
        let rotating = open(&backend, &seeds).unwrap();
        let switching = Arc::new(Switching::new(memory));
        let stopping: Arc<dyn Backend> = switching.clone();
        let writing = open(&stopping, &seeds).unwrap();
        switching.before_call(call, move || rotating.retire_master(&new_master()).unwrap());
        let disk = Disk::of(&[1, 2]);
        let made = backup(&writing, "late", &disk);
        let Ok(repository) = open_with(&backend, new_master(), &seeds) else { break };
        if let Ok(info) = made {
            assert!(restore(&repository, info.version.seq, disk.0.len()).unwrap() == disk);
        } else {
            // Whatever is left of the attempt is in nobody's way.
            let info = repository
                .abort_unfinished(&CHAIN, "late")
                .and_then(|()| backup(&repository, "again", &disk));
            let seq = info.unwrap().version.seq;
            assert!(restore(&repository, seq, disk.0.len()).unwrap() == disk);
        }
    }
}

/// Another disk of the tenant, in a domain of its own.
const OTHER: ChainRef = ChainRef::alone(CHAIN.tenant, 0, Uuid::from_u128(3));

fn backup_of_other(repository: &Repository, disk: &Disk) -> Result<VersionRef> {
    let mut session = repository.begin(&OTHER, "other")?;
    session.write(disk, None, &Job::quiet())?;
    Ok(session.commit(b"other")?.version)
}

/// P2, P31: while two master keys open the repository a new tenant gets one first key, whoever comes
/// first; two would be two tenants, and the end of the older master key would lose one of them.
#[test]
fn a_tenant_that_appears_while_two_master_keys_open_the_repository_has_one_first_key() {
    let (mut both, mut one) = (0, 0);
    for call in 0..=CALLS_MAX {
        assert!(call < CALLS_MAX, "the operation never gets through");
        let memory = Arc::new(MemoryBackend::default());
        let backend: Arc<dyn Backend> = memory.clone();
        let seeds = Seeds::new(call + 2000);
        let rotating = open(&backend, &seeds).unwrap();
        let switching = Arc::new(Switching::new(memory));
        let stopping: Arc<dyn Backend> = switching.clone();
        let writing = open(&stopping, &seeds).unwrap();
        let (disk, same) = (Disk::of(&[1, 2]), Arc::clone(&backend));
        let (tell, told) = channel();
        let other_disk = disk.with(1, 9);
        switching.before_call(call, move || {
            rotating.rotate_master(&new_master()).unwrap();
            let seeds = Seeds::new(call + 3000);
            let new = open_with(&same, new_master(), &seeds).unwrap();
            tell.send(backup_of_other(&new, &other_disk).is_ok()).unwrap();
        });
        let made = backup(&writing, "late", &disk);
        let Ok(other_is_made) = told.try_recv() else { break };
        // Who still has the old key finds what was given up, and does not take it for a key.
        let old = open(&backend, &seeds).unwrap();
        let again = old.abort_unfinished(&CHAIN, "late");
        let made = made.or_else(|_| again.and_then(|()| backup(&old, "once more", &disk)));
        open(&backend, &seeds).unwrap().retire_master(&new_master()).unwrap();
        let repository = open_with(&backend, new_master(), &seeds).unwrap();
        if let Ok(info) = &made {
            let restored = restore(&repository, info.version.seq, disk.0.len());
            assert!(restored.unwrap() == disk, "call {call}");
        }
        let found = repository.versions(&OTHER).unwrap().len();
        assert_eq!(found, usize::from(other_is_made), "call {call}");
        let report = repository.check(CheckDepth::ReadData, &Job::quiet()).unwrap();
        assert!(report.is_clean(), "call {call}: {:?}", report.problems);
        // Whoever was refused is not refused any more.
        let late = repository.abort_unfinished(&CHAIN, "late");
        late.and_then(|()| backup(&repository, "again", &disk)).unwrap();
        both += u32::from(made.is_ok() && other_is_made);
        one += u32::from(made.is_ok() != other_is_made);
    }
    assert!(both > 0 && one > 0, "{both} {one}");
}

/// P31: destroying a tenant's keys makes all its data unreadable, on every path.
#[test]
fn nothing_of_a_tenant_can_be_read_or_written_after_its_keys_were_destroyed() {
    let start = four_versions();
    let (memory, backend) = world(&start);
    let seeds = Seeds::new(4);
    let repository = open(&backend, &seeds).unwrap();
    repository.rotate_tenant(CHAIN.tenant).unwrap();
    repository.rotate_master(&new_master()).unwrap();
    assert_versions(&repository, &start.expected);
    repository.shred_tenant(CHAIN.tenant, "the tenant left").unwrap();
    repository.shred_tenant(CHAIN.tenant, "once more").unwrap();

    let is_key = |key: &Key| {
        let place = Place::parse(key);
        let kinds = matches!(
            place,
            Some(Place::TenantKey(..) | Place::TenantKeyBy(..) | Place::MaintenanceRing(..))
        );
        kinds && key.as_str().contains(&CHAIN.tenant.to_string())
    };
    assert!(!memory.snapshot().keys().any(is_key), "no wrapped key is left, by no master key");
    let all = [repository, open(&backend, &seeds).unwrap()];
    for repository in all {
        let gone = |error: Error| matches!(error, Error::Shredded { .. });
        assert!(gone(repository.versions(&CHAIN).unwrap_err()));
        assert!(gone(restore(&repository, 4, 1).unwrap_err()));
        assert!(gone(repository.delete(&CHAIN, &[4]).unwrap_err()));
        assert!(gone(repository.begin(&CHAIN, "new").unwrap_err()), "no new key over old data");
        assert!(repository.catalogue().unwrap().is_empty(), "others are listed as before");
        let report = repository.check(CheckDepth::ReadData, &Job::quiet()).unwrap();
        assert!(report.is_clean() && report.leftover_bytes > 0, "{report:?}");
    }
    let new = open_with(&backend, new_master(), &seeds).unwrap();
    new.retire_master(&new_master()).unwrap();
    assert!(
        matches!(new.versions(&CHAIN), Err(Error::Shredded { .. })),
        "the sign is carried over"
    );
    assert!(new.remove_shredded(CHAIN.tenant).unwrap() > 0);
    assert_eq!(packs(memory.as_ref()), Vec::<Key>::new());
    assert!(matches!(new.begin(&CHAIN, "new"), Err(Error::Shredded { .. })));
}

#[test]
fn the_keys_of_a_tenant_are_destroyed_whatever_call_fails_if_it_is_repeated() {
    let start = four_versions();
    for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::LostAnswer, Fault::Io] {
        for call in 0..=CALLS_MAX {
            let (memory, alive) = world(&start);
            let faulty = Arc::new(Faulty::new(memory.clone()));
            let backend: Arc<dyn Backend> = faulty.clone();
            let seeds = Seeds::new(call + 900);
            let repository = open(&backend, &seeds).unwrap();
            faulty.fail_call(call, fault);
            let result = repository.shred_tenant(CHAIN.tenant, "test");
            let after = open(&alive, &seeds).unwrap();
            match (&result, after.versions(&CHAIN)) {
                (Ok(()), versions) => assert!(matches!(versions, Err(Error::Shredded { .. }))),
                // Either it has not begun, or it is under way and says so.
                (Err(_), versions) => match versions {
                    Ok(versions) => assert_eq!(versions.len(), start.expected.len()),
                    Err(error) => assert!(matches!(error, Error::Shredded { .. }), "{error:?}"),
                },
            }
            after.shred_tenant(CHAIN.tenant, "again").unwrap();
            assert!(memory.get(&place::tenant_key(CHAIN.tenant, 1)).unwrap().is_none());
            if result.is_ok() && faulty.calls() <= call {
                break;
            }
        }
    }
}

#[test]
fn a_maintenance_key_lists_accounts_and_deletes_and_reads_and_writes_no_data() {
    let start = four_versions();
    let (memory, backend) = world(&start);
    let seeds = Seeds::new(5);
    let whole = open(&backend, &seeds).unwrap();
    assert_eq!(whole.prepare_maintenance().unwrap(), 1);
    let key = MaintenanceKey::of(&master());
    let open_small = || {
        Repository::open_for_maintenance(backend.clone(), &key, seeds.random(), options()).unwrap()
    };
    let small = open_small();
    assert_eq!(small.versions(&CHAIN).unwrap(), whole.versions(&CHAIN).unwrap());
    assert_eq!(small.catalogue().unwrap(), whole.catalogue().unwrap());
    for seq in 1..=4 {
        let freed = whole.preview_delete(&CHAIN, &[seq]).unwrap();
        assert_eq!(small.preview_delete(&CHAIN, &[seq]).unwrap(), freed);
    }

    let no_key = |error: Error| match error {
        Error::NoKey { .. } => true,
        Error::Incomplete { first, .. } => matches!(*first, Error::NoKey { .. }),
        _ => false,
    };
    let before = memory.snapshot();
    assert!(no_key(restore(&small, 4, 8 * 65_536).unwrap_err()));
    let version = VersionRef { chain: CHAIN, seq: 4 };
    let read = small.open_disk(&version).and_then(|disk| disk.read_at(0, &mut [0; 512]));
    assert!(no_key(read.unwrap_err()));
    assert!(no_key(small.begin(&CHAIN, "new").unwrap_err()));
    assert!(no_key(small.check(CheckDepth::Structure, &Job::quiet()).unwrap_err()));
    assert!(no_key(small.rotate_tenant(CHAIN.tenant).unwrap_err()));
    assert!(no_key(small.rotate_master(&new_master()).unwrap_err()));
    assert!(no_key(small.shred_tenant(CHAIN.tenant, "").unwrap_err()));
    assert_eq!(memory.snapshot(), before, "what is refused changes nothing");

    // The newest version goes with all that was born in it; the others stay whole.
    let predicted = small.preview_delete(&CHAIN, &[4]).unwrap();
    let freed = small.delete(&CHAIN, &[4]).unwrap();
    assert!(freed.freed_bytes == predicted && freed.removed_object_bytes > 0, "{freed:?}");
    let mut expected = start.expected;
    expected.remove(&4);
    assert_versions(&whole, &expected);
    // Nor does anything that is stored now open with what the maintenance key opens.
    assert!(whole.check(CheckDepth::ReadData, &Job::quiet()).unwrap().is_clean());
    whole.rotate_tenant(CHAIN.tenant).unwrap();
    assert_eq!(open_small().versions(&CHAIN).unwrap().len(), 3, "also after a rotation");
}

#[test]
fn a_maintenance_key_file_is_not_taken_for_a_master_key_nor_the_other_way_round() {
    let folder = tempfile::tempdir().unwrap();
    let (small, whole) = (folder.path().join("small"), folder.path().join("whole"));
    MaintenanceKey::of(&master()).write_new_file(&small).unwrap();
    master().write_new_file(&whole).unwrap();
    assert!(MaintenanceKey::read_file(&small).unwrap().is_some());
    assert!(MaintenanceKey::read_file(&whole).unwrap().is_none());
    assert!(matches!(MasterKey::read_file(&small), Err(Error::KeyFile { .. })));
    let text = std::fs::read_to_string(&small).unwrap();
    assert!(!text.contains(&"11".repeat(16)), "the master key is not in it");
    assert_eq!(format!("{:?}", MaintenanceKey::of(&master())), "MaintenanceKey(..)");
}

/// A key object that was lost is not replaced by a new key that opens nothing.
#[test]
fn a_lost_tenant_key_is_an_error_as_long_as_there_is_data() {
    let start = four_versions();
    let (memory, backend) = world(&start);
    let seeds = Seeds::new(6);
    open(&backend, &seeds).unwrap().rotate_tenant(CHAIN.tenant).unwrap();
    memory.delete(&place::tenant_key(CHAIN.tenant, 1)).unwrap();
    let repository = open(&backend, &seeds).unwrap();
    let error = repository.versions(&CHAIN).unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error:?}");
    let listed = memory.list_all("t/").unwrap().len();
    assert!(repository.begin(&CHAIN, "new").is_err());
    assert_eq!(memory.list_all("t/").unwrap().len(), listed);
}

/// P8: what was written under several keys is read by the reader written from the page alone.
#[test]
fn an_independent_reader_restores_what_several_keys_sealed() {
    let start = four_versions();
    let (memory, backend) = world(&start);
    let seeds = Seeds::new(7);
    let repository = open(&backend, &seeds).unwrap();
    repository.rotate_tenant(CHAIN.tenant).unwrap();
    let mut expected = start.expected;
    let disk = expected.values().last().unwrap().with(5, 503);
    expected.insert(backup(&repository, "five", &disk).unwrap().version.seq, disk);
    repository.retire_master(&new_master()).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("repository");
    for (key, bytes) in memory.snapshot() {
        let path = directory.join(key.as_str());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    for (seq, disk) in expected {
        let restored = restored_by_reader(&directory, &new_master(), seq, folder.path());
        assert!(restored.is_none_or(|restored| restored.unwrap() == disk.0), "version {seq}");
    }
}
