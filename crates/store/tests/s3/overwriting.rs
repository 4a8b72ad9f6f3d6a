//! A server that ignores `If-None-Match` is found out, and used through an arbiter (P21).

use std::sync::Arc;

use cbr_env::SeededRandom;
use cbr_store::backend::layer::{Arbiter, Arbitrated};
use cbr_store::backend::{Backend, BackendError, probe, survey};
use cbr_store::{CheckDepth, Error, Job, MasterKey, Options, Repository, contract};

use crate::bucket::Bucket;
use crate::disk::{BLOCK, Disk, assert_restores, backup_as};
use crate::history::CHAIN;
use crate::memory_arbiter::Memory;

fn overwriting() -> (Bucket, Arc<dyn Backend>, Arc<dyn Arbiter>) {
    let bucket = Bucket::start();
    bucket.proxy.ignore_conditions();
    let backend = Arc::new(bucket.backend());
    (bucket, backend, Arc::new(Memory::default()))
}

#[test]
fn a_server_that_overwrites_is_found_out() {
    let (_bucket, backend, arbiter) = overwriting();
    let random = SeededRandom::new(4);
    let probes = survey(&*backend, &random).unwrap();
    let broken: Vec<&str> =
        probes.iter().filter(|probe| !probe.holds).map(|probe| probe.name.as_str()).collect();
    assert!(broken.contains(&"an object is never overwritten"), "{broken:?}");
    let refused = probe(&*backend, &random).unwrap_err();
    assert!(matches!(refused, BackendError::Refused { .. }), "{refused}");
    probe(&Arbitrated::new(backend, arbiter), &random).unwrap();
}

#[test]
fn with_an_arbiter_a_server_that_overwrites_keeps_the_contract() {
    let (_bucket, backend, arbiter) = overwriting();
    contract::check(&Arbitrated::new(backend, arbiter));
}

#[test]
fn a_repository_on_it_is_written_with_the_arbiter_and_read_without() {
    let (_bucket, backend, arbiter) = overwriting();
    let open = || {
        let random = Arc::new(SeededRandom::new(5));
        let (backend, arbiter) = (Arc::clone(&backend), Arc::clone(&arbiter));
        let options = Options { threads: 1, pack_bytes: 1 << 18, ..Options::default() };
        let master = MasterKey::from_bytes([9; 32]);
        Repository::init_arbitrated(backend, arbiter, master, random, options).unwrap()
    };
    let repository = open();
    let mut disk = Disk::new(32 * BLOCK);
    disk.write(0..20 * BLOCK, 1);
    let first = backup_as(&repository, &CHAIN, "one", &disk, None).unwrap();
    disk.write(2 * BLOCK..19 * BLOCK, 2);
    let second = backup_as(&open(), &CHAIN, "two", &disk, None).unwrap();
    repository.delete(&CHAIN, &[first.version.seq]).unwrap();

    let (random, master) = (Arc::new(SeededRandom::new(6)), MasterKey::from_bytes([9; 32]));
    let reader = Repository::open(backend, master, random, Options::default()).unwrap();
    assert_restores(&reader, &second, &disk);
    assert!(matches!(reader.begin(&CHAIN, "three"), Err(Error::NoArbiter { .. })));
    let report = reader.check(CheckDepth::ReadData, &Job::quiet()).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}
