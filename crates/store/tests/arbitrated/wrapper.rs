//! A store that overwrites, made one that does not by an arbiter: racing writers, crashes between every
//! two effects, a lost memory (P1, P21; docs/adr on the arbiter).

use std::sync::Arc;

use cbr_env::SeededRandom;
use cbr_store::backend::layer::{Arbiter, Arbitrated, Fault, Faulty};
use cbr_store::backend::{
    Backend, BackendError, BackendExt, Decided, Key, MemoryBackend, Put, survey,
};
use cbr_store::{CheckDepth, Error, Job, Repository, contract};

use crate::disk::{BLOCK, Disk, assert_restores, backup_as};
use crate::memory_arbiter::Memory;
use crate::store::{CHAIN, Overwriting, key, master, options, pair};

#[test]
fn with_an_arbiter_an_overwriting_store_keeps_the_contract() {
    let (_, memory, arbitrated) = pair();
    contract::check(&arbitrated);
    assert!(memory.names().is_empty(), "names of removed objects are forgotten");
}

#[test]
fn the_survey_tells_a_store_that_overwrites_from_one_that_does_not() {
    let random = SeededRandom::new(1);
    let broken = |backend: &dyn Backend| {
        let probes = survey(backend, &random).unwrap();
        let names = probes.into_iter().filter(|probe| !probe.holds).map(|probe| probe.name);
        names.collect::<Vec<_>>()
    };
    let (store, _, arbitrated) = pair();
    let expected = ["an object is never overwritten", "of racing creators one wins"];
    assert_eq!(broken(store.as_ref()), expected);
    assert_eq!(broken(&arbitrated), Vec::<String>::new());
    assert_eq!(store.list_all("").unwrap(), []);
}

#[test]
fn of_racing_writers_one_wins_and_all_see_its_bytes() {
    for round in 0..200 {
        let (store, _, arbitrated) = pair();
        let name = key("t/claim");
        let decided: Vec<_> = std::thread::scope(|scope| {
            let writer = |body: u8| arbitrated.put_decided(&name, &[&[body; 100]]).unwrap();
            let threads: Vec<_> =
                (0..4).map(|body| scope.spawn(move || (body, writer(body)))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let winners: Vec<u8> =
            decided.iter().filter(|(_, it)| *it == Decided::Ours).map(|(body, _)| *body).collect();
        let [winner] = winners[..] else { panic!("round {round}: {winners:?} won") };
        let body = vec![winner; 100];
        assert_eq!(store.get(&name).unwrap().unwrap(), body);
        let losers = decided.iter().filter(|(body, _)| *body != winner);
        assert!(losers.clone().all(|(_, it)| *it == Decided::Other(body.clone())), "round {round}");
    }
}

/// The process dies before or after each of its effects. Then others come, in both ways; then the
/// dead one turns out to have been asleep, and does what it was about to do.
#[test]
fn every_crash_point_resolves_to_one_body_for_all() {
    let mut points = 0;
    for effect in 0..5_u64 {
        for takes_effect in [false, true] {
            for in_arbiter in [false, true] {
                for comes_first in ["another writer", "the next start"] {
                    let (store, memory, _) = pair();
                    let faulty = Arc::new(Faulty::new(Arc::clone(&store) as Arc<dyn Backend>));
                    let dying = Arbitrated::new(
                        Arc::clone(&faulty) as Arc<dyn Backend>,
                        Arc::clone(&memory) as Arc<dyn Arbiter>,
                    );
                    if in_arbiter {
                        memory.fail(effect + 1, takes_effect);
                    } else {
                        let fault =
                            if takes_effect { Fault::CrashAfter } else { Fault::CrashBefore };
                        faulty.fail_call(effect, fault);
                    }
                    let name = key("t/outcome");
                    let first = dying.put_new(&name, &[b"first"]);
                    memory.heal();
                    faulty.heal();
                    let registered = memory.names().contains_key(&name);

                    let living = Arbitrated::new(
                        Arc::clone(&store) as Arc<dyn Backend>,
                        Arc::clone(&memory) as Arc<dyn Arbiter>,
                    );
                    if comes_first == "the next start" {
                        living.finish().unwrap();
                    }
                    let second = living.put_decided(&name, &[b"second"]).unwrap();
                    let there = store.get(&name).unwrap().unwrap();
                    let at =
                        format!("{effect} {takes_effect} {in_arbiter} {comes_first}: {first:?}");
                    if registered {
                        assert_eq!(second, Decided::Other(b"first".to_vec()), "{at}");
                    } else {
                        assert_eq!(second, Decided::Ours, "{at}");
                        assert!(first.is_err(), "{at}");
                    }
                    if let Ok(Put::Created) = first {
                        assert_eq!(there, b"first", "{at}");
                    }
                    // The sleeper wakes up right before its write of what it registered.
                    if registered {
                        assert_eq!(store.put_new(&name, &[b"first"]).unwrap(), Put::Created);
                    }
                    assert_eq!(store.get(&name).unwrap().unwrap(), there, "{at}");
                    living.finish().unwrap();
                    assert_eq!(memory.unfinished(10).unwrap(), [], "{at}");
                    points += 1;
                }
            }
        }
    }
    assert_eq!(points, 40);
}

#[test]
fn a_lost_memory_overwrites_nothing_that_was_written() {
    let (store, _, arbitrated) = pair();
    let name = key("store.v1");
    assert_eq!(arbitrated.put_new(&name, &[b"first"]).unwrap(), Put::Created);
    let forgetful =
        Arbitrated::new(Arc::clone(&store) as Arc<dyn Backend>, Arc::new(Memory::default()));
    assert_eq!(forgetful.put_new(&name, &[b"second"]).unwrap(), Put::Existed);
    assert_eq!(store.get(&name).unwrap().unwrap(), b"first");
}

/// P21: also when the store does not show for a while what it has.
#[test]
fn a_written_name_is_never_given_away_again_although_the_store_denies_it() {
    let (store, _, arbitrated) = pair();
    let name = key("t/claim");
    assert_eq!(arbitrated.put_new(&name, &[b"first"]).unwrap(), Put::Created);
    store.delete(&name).unwrap();
    assert_eq!(arbitrated.put_new(&name, &[b"second"]).unwrap(), Put::Existed);
    assert!(arbitrated.put_decided(&name, &[b"second"]).is_err(), "loudly");
    assert_eq!(store.get(&name).unwrap(), None);
}

#[test]
fn a_repository_on_an_overwriting_store_needs_the_arbiter_to_write_and_none_to_read() {
    let (store, memory, _) = pair();
    let (store, memory) = (store as Arc<dyn Backend>, memory as Arc<dyn Arbiter>);
    let random = || Arc::new(SeededRandom::new(3));
    let refused = Repository::init(Arc::clone(&store), master(), random(), options()).unwrap_err();
    assert!(matches!(refused, Error::Backend(BackendError::Refused { .. })), "{refused}");

    let init = || {
        let (store, memory) = (Arc::clone(&store), Arc::clone(&memory));
        Repository::init_arbitrated(store, memory, master(), random(), options()).unwrap()
    };
    let repository = init();
    assert!(repository.is_arbitrated());
    let mut disk = Disk::new(40 * BLOCK);
    disk.write(0..20 * BLOCK, 1);
    let first = backup_as(&repository, &CHAIN, "one", &disk, None).unwrap();

    // Another process, database lost: everything can be read, nothing written.
    let reader = Repository::open(Arc::clone(&store), master(), random(), options()).unwrap();
    assert_restores(&reader, &first, &disk);
    let error = reader.begin(&CHAIN, "two").unwrap_err();
    assert!(matches!(error, Error::NoArbiter { .. }), "{error}");
    assert!(error.to_string().contains("only reading is possible"), "{error}");
    assert!(matches!(reader.delete(&CHAIN, &[1]), Err(Error::NoArbiter { .. })));

    // Life goes on, with compaction: its packs race and are decided as well.
    let repository = init();
    disk.write(3 * BLOCK..17 * BLOCK, 2);
    let second = backup_as(&repository, &CHAIN, "two", &disk, None).unwrap();
    repository.delete(&CHAIN, &[first.version.seq]).unwrap();
    assert_restores(&repository, &second, &disk);
    let report = repository.check(CheckDepth::ReadData, &Job::quiet()).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

#[test]
fn packs_of_one_session_are_not_asked_about_and_rewritten_ones_are() {
    let (store, memory, _) = pair();
    let repository = Repository::init_arbitrated(
        Arc::clone(&store) as Arc<dyn Backend>,
        Arc::clone(&memory) as Arc<dyn Arbiter>,
        master(),
        Arc::new(SeededRandom::new(3)),
        options(),
    )
    .unwrap();
    let mut disk = Disk::new(64 * BLOCK);
    disk.write(0..64 * BLOCK, 1);
    let first = backup_as(&repository, &CHAIN, "one", &disk, None).unwrap();
    disk.write(0..60 * BLOCK, 2);
    backup_as(&repository, &CHAIN, "two", &disk, None).unwrap();
    repository.delete(&CHAIN, &[first.version.seq]).unwrap();
    let names = memory.names();
    let packs: Vec<&str> =
        names.keys().map(Key::as_str).filter(|key| key.contains("/p/")).collect();
    let stored = store.list_all("").unwrap();
    assert!(stored.iter().any(|entry| entry.key.as_str().ends_with(".00000000")));
    assert!(!packs.is_empty(), "the deletion rewrote no pack: the test shows nothing");
    assert!(packs.iter().all(|key| !key.ends_with(".00000000")), "{packs:?}");
    assert!(names.values().all(Option::is_none), "no bytes stay in the database");
}

/// Objects moved to a store that overwrites, although the repository was made on one that does not.
#[test]
fn a_repository_that_was_moved_to_a_worse_store_is_arbitrated_from_then_on() {
    let good = MemoryBackend::default();
    let good = Arc::new(good);
    let random = || Arc::new(SeededRandom::new(3));
    let backend = Arc::clone(&good) as Arc<dyn Backend>;
    Repository::init(backend, master(), random(), options()).unwrap();
    let store = Arc::new(Overwriting(MemoryBackend::from_snapshot(good.snapshot())));
    let memory = Arc::new(Memory::default());
    let repository = Repository::init_arbitrated(
        Arc::clone(&store) as Arc<dyn Backend>,
        Arc::clone(&memory) as Arc<dyn Arbiter>,
        master(),
        random(),
        options(),
    )
    .unwrap();
    let mut disk = Disk::new(8 * BLOCK);
    disk.write(0..4 * BLOCK, 1);
    backup_as(&repository, &CHAIN, "one", &disk, None).unwrap();
    assert!(memory.names().keys().any(|key| key.as_str().contains(".claim")));
}
