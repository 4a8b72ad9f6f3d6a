//! Keys over their lifetime where the database decides (P31): a crash at any call of the store or of the
//! database, and the operator tries again.

use std::sync::Arc;

use cbr_env::SeededRandom;
use cbr_store::backend::layer::{Arbiter, Arbitrated, Fault, Faulty};
use cbr_store::backend::{Backend, BackendExt, MemoryBackend};
use cbr_store::format::place::Place;
use cbr_store::{Error, MaintenanceKey, MasterKey, Repository, Result, VersionInfo};

use crate::disk::{BLOCK, Disk, assert_restores, backup_as};
use crate::memory_arbiter::Memory;
use crate::store::{CHAIN, Overwriting, master, options};

/// No operation of these tests needs more calls.
const CALLS_MAX: u64 = 300;

fn new_master() -> MasterKey {
    MasterKey::from_bytes([0x77; 32])
}

/// A store and a database with one backup, of which every run has a copy.
struct Start {
    store: MemoryBackend,
    memory: Memory,
    version: VersionInfo,
    disk: Disk,
}

impl Start {
    /// As an older release left it: without what a maintenance key opens, if so wanted.
    fn new(has_rings: bool) -> Self {
        let store = Arc::new(Overwriting::default());
        let memory = Arc::new(Memory::default());
        let backend = Arc::clone(&store) as Arc<dyn Backend>;
        let arbiter = Arc::clone(&memory) as Arc<dyn Arbiter>;
        let random = Arc::new(SeededRandom::new(1));
        let repository = Repository::init_arbitrated(
            Arc::clone(&backend),
            Arc::clone(&arbiter),
            master(),
            random,
            options(),
        )
        .unwrap();
        let mut disk = Disk::new(8 * BLOCK);
        disk.write(0..6 * BLOCK, 1);
        let version = backup_as(&repository, &CHAIN, "one", &disk, None).unwrap();
        if !has_rings {
            let arbitrated = Arbitrated::new(backend, arbiter);
            for entry in store.list_all("t/").unwrap() {
                if matches!(Place::parse(&entry.key), Some(Place::MaintenanceRing(..))) {
                    arbitrated.delete(&entry.key).unwrap();
                }
            }
        }
        let store = MemoryBackend::from_snapshot(store.0.snapshot());
        Self { store, memory: memory.copy(), version, disk }
    }

    fn copy(&self) -> World {
        let store = MemoryBackend::from_snapshot(self.store.snapshot());
        World { store: Arc::new(Overwriting(store)), memory: Arc::new(self.memory.copy()) }
    }

    fn assert_restores(&self, repository: &Repository) {
        assert_restores(repository, &self.version, &self.disk);
    }
}

struct World {
    store: Arc<Overwriting>,
    memory: Arc<Memory>,
}

impl World {
    /// A new process, over the store itself or over one that will die.
    fn open_over(
        &self,
        backend: Arc<dyn Backend>,
        key: &MasterKey,
        seed: u64,
    ) -> Result<Repository> {
        let arbiter = Arc::clone(&self.memory) as Arc<dyn Arbiter>;
        let random = Arc::new(SeededRandom::new(seed));
        Repository::open_arbitrated(backend, arbiter, key, random, options())
    }

    fn open(&self, key: &MasterKey, seed: u64) -> Result<Repository> {
        self.open_over(Arc::clone(&self.store) as Arc<dyn Backend>, key, seed)
    }

    /// With whichever key opens it: one does at every moment.
    fn open_any(&self, seed: u64) -> Repository {
        self.open(&master(), seed).or_else(|_| self.open(&new_master(), seed)).unwrap()
    }

    /// Names of objects that hold a wrapped key, in the store or waiting in the database.
    fn wrapped_keys(&self) -> Vec<String> {
        let is_wrap = |place| {
            matches!(
                place,
                Some(Place::TenantKey(..) | Place::TenantKeyBy(..) | Place::MaintenanceRing(..))
            )
        };
        let stored = self.store.list_all("t/").unwrap();
        let stored = stored.into_iter().map(|entry| entry.key);
        let waiting = self.memory.unfinished(100).unwrap();
        let waiting = waiting.into_iter().map(|(key, _)| key);
        let all = stored.chain(waiting).filter(|key| is_wrap(Place::parse(key)));
        all.map(|key| key.to_string()).collect()
    }
}

/// Where the process dies.
#[derive(Clone, Copy, Debug)]
enum Death {
    /// At a call of the store.
    Store(Fault),
    /// At a call of the database, which took effect or did not.
    Database(bool),
}

const DEATHS: [Death; 4] = [
    Death::Store(Fault::CrashBefore),
    Death::Store(Fault::CrashAfter),
    Death::Database(false),
    Death::Database(true),
];

/// Runs `operate` with a death at every call in turn; `then` sees what a later process finds.
fn with_every_death(
    start: &Start,
    operate: impl Fn(&Repository) -> Result<()>,
    then: impl Fn(&World, Result<()>, u64),
) {
    for death in DEATHS {
        for call in 0..=CALLS_MAX {
            assert!(call < CALLS_MAX, "the operation never gets through");
            let world = start.copy();
            let faulty = Arc::new(Faulty::new(Arc::clone(&world.store) as Arc<dyn Backend>));
            let seed = 1000 + call * 10;
            let dying =
                world.open_over(Arc::clone(&faulty) as Arc<dyn Backend>, &master(), seed).unwrap();
            let (calls, asked) = (faulty.calls(), world.memory.calls());
            match death {
                Death::Store(fault) => faulty.fail_call(call, fault),
                Death::Database(takes_effect) => world.memory.fail(asked + call + 1, takes_effect),
            }
            let result = operate(&dying);
            drop(dying);
            world.memory.heal();
            let was_reached = match death {
                Death::Store(_) => faulty.calls() > calls + call,
                Death::Database(_) => world.memory.calls() > asked + call,
            };
            then(&world, result, seed + 1);
            assert_eq!(world.memory.unfinished(10).unwrap(), [], "{death:?} at call {call}");
            if !was_reached {
                assert!(call >= 2, "{death:?}: the operation asks nobody");
                break;
            }
        }
    }
}

#[test]
fn a_tenants_key_is_rotated_whatever_call_its_process_dies_at() {
    let start = Start::new(true);
    let rotate = |repository: &Repository| repository.rotate_tenant(CHAIN.tenant).map(drop);
    with_every_death(&start, rotate, |world, _, seed| {
        let repository = world.open(&master(), seed).unwrap();
        start.assert_restores(&repository);
        let number = repository.rotate_tenant(CHAIN.tenant).unwrap();
        assert!(number == 2 || number == 3, "{number}");
        let mut disk = start.disk.clone();
        disk.write(2 * BLOCK..5 * BLOCK, seed);
        let later = backup_as(&repository, &CHAIN, "two", &disk, None).unwrap();
        let again = world.open(&master(), seed + 1).unwrap();
        start.assert_restores(&again);
        assert_restores(&again, &later, &disk);
    });
}

#[test]
fn the_master_key_is_changed_whatever_call_its_process_dies_at() {
    let start = Start::new(true);
    let change = |repository: &Repository| repository.retire_master(&new_master());
    with_every_death(&start, change, |world, _, seed| {
        let found = world.open_any(seed);
        start.assert_restores(&found);
        found.retire_master(&new_master()).unwrap();
        start.assert_restores(&world.open(&new_master(), seed + 1).unwrap());
        assert!(world.open(&master(), seed + 2).is_err(), "the old key opens nothing");
    });
}

#[test]
fn a_tenants_keys_are_destroyed_whatever_call_its_process_dies_at() {
    let start = Start::new(true);
    let shred = |repository: &Repository| repository.shred_tenant(CHAIN.tenant, "test");
    with_every_death(&start, shred, |world, result, seed| {
        let repository = world.open(&master(), seed).unwrap();
        match repository.versions(&CHAIN) {
            // It has not begun.
            Ok(versions) => assert!(result.is_err() && versions.len() == 1),
            Err(error) => assert!(matches!(error, Error::Shredded { .. }), "{error}"),
        }
        shred(&repository).unwrap();
        assert_eq!(world.wrapped_keys(), Vec::<String>::new());
        let repository = world.open(&master(), seed + 1).unwrap();
        assert!(matches!(repository.versions(&CHAIN), Err(Error::Shredded { .. })));
        assert!(repository.remove_shredded(CHAIN.tenant).unwrap() > 0);
        assert_eq!(world.wrapped_keys(), Vec::<String>::new());
    });
}

/// What a change of the master key had registered and not written comes back with the next start,
/// so that is before the destruction, never after it.
#[test]
fn destroyed_keys_do_not_come_back_from_a_change_of_the_master_key_that_died() {
    let start = Start::new(true);
    let change = |repository: &Repository| repository.rotate_master(&new_master()).map(drop);
    with_every_death(&start, change, |world, _, seed| {
        let repository = world.open(&master(), seed).unwrap();
        repository.shred_tenant(CHAIN.tenant, "test").unwrap();
        drop(repository);
        for (key, seed) in [(master(), seed + 1), (new_master(), seed + 2)] {
            if let Ok(repository) = world.open(&key, seed) {
                let error = repository.versions(&CHAIN).unwrap_err();
                let is_gone = matches!(error, Error::Shredded { .. } | Error::Missing { .. });
                assert!(is_gone, "{error}");
            }
        }
        assert_eq!(world.wrapped_keys(), Vec::<String>::new());
    });
}

#[test]
fn a_maintenance_key_is_prepared_whatever_call_its_process_dies_at_and_deletes() {
    let start = Start::new(false);
    let prepare = |repository: &Repository| repository.prepare_maintenance().map(drop);
    with_every_death(&start, prepare, |world, _, seed| {
        prepare(&world.open(&master(), seed).unwrap()).unwrap();
        let small = Repository::open_arbitrated_for_maintenance(
            Arc::clone(&world.store) as Arc<dyn Backend>,
            Arc::clone(&world.memory) as Arc<dyn Arbiter>,
            &MaintenanceKey::of(&master()),
            Arc::new(SeededRandom::new(seed + 1)),
            options(),
        )
        .unwrap();
        assert_eq!(small.versions(&CHAIN).unwrap().len(), 1);
        assert!(matches!(small.rotate_tenant(CHAIN.tenant), Err(Error::NoKey { .. })));
        small.delete(&CHAIN, &[start.version.version.seq]).unwrap();
        assert!(world.open(&master(), seed + 2).unwrap().versions(&CHAIN).unwrap().is_empty());
    });
}

#[test]
fn who_opens_to_write_makes_no_repository_where_there_is_none() {
    let world = World { store: Arc::default(), memory: Arc::default() };
    let error = world.open(&master(), 1).unwrap_err();
    assert!(matches!(error, Error::NoStore { .. }), "{error}");
    assert_eq!(world.store.list_all("").unwrap(), []);
}
