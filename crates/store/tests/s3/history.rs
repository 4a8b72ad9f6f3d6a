//! Backups, restores and deletions over a store that misbehaves: each ends right, or says that it
//! did not; and nothing that was committed is ever lost (P1, P9, P10, P21).

use std::ops::Range;
use std::sync::Arc;

use cbr_env::SeededRandom;
use cbr_store::backend::Backend;
use cbr_store::{ChainRef, CheckDepth, Job, MasterKey, Options, Repository, VersionInfo};
use uuid::Uuid;

use crate::bucket::{Bucket, seeds};
use crate::disk::{BLOCK, Dirty, Disk, assert_restores, backup_as};
use crate::proxy::{TRANSIENT, Toxic};

pub(crate) const CHAIN: ChainRef = ChainRef::alone(Uuid::from_u128(1), 0, Uuid::from_u128(2));

/// A place in a bucket where processes may open a repository.
pub(crate) trait Site {
    /// The way there.
    fn bucket(&self) -> &Bucket;
    /// A new process opens the repository, and makes it if need be.
    fn open(&self, seed: u64) -> Repository;
}

impl Site for Bucket {
    fn bucket(&self) -> &Bucket {
        self
    }

    fn open(&self, seed: u64) -> Repository {
        let backend: Arc<dyn Backend> = Arc::new(self.backend());
        let random = Arc::new(SeededRandom::new(seed));
        Repository::init(backend, MasterKey::from_bytes([9; 32]), random, options()).unwrap()
    }
}

pub(crate) fn options() -> Options {
    Options { threads: 1, pack_bytes: 1 << 18, ..Options::default() }
}

#[test]
fn a_history_in_a_bucket_restores_and_leaves_nothing_unknown() {
    restores_and_leaves_nothing_unknown(&Bucket::start());
}

pub(crate) fn restores_and_leaves_nothing_unknown(site: &impl Site) {
    let repository = site.open(1);
    let mut disk = Disk::new(40 * BLOCK);
    let mut made: Vec<(VersionInfo, Disk)> = Vec::new();
    for step in 0..4 {
        disk.write(step * 7 * BLOCK..(step * 7 + 9) * BLOCK, step + 1);
        made.push((backup_as(&repository, &CHAIN, "a task", &disk, None).unwrap(), disk.clone()));
    }
    repository.delete(&CHAIN, &[made.remove(1).0.version.seq]).unwrap();
    for (version, disk) in &made {
        assert_restores(&repository, version, disk);
    }
    let report = repository.check(CheckDepth::ReadData, &Job::quiet()).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(report.unknown_objects, 0);
}

#[test]
fn a_history_over_a_bad_store_ends_right_or_in_an_error() {
    let seeds = seeds(0..16);
    let least = seeds.end - seeds.start;
    let (succeeded, faults) = ends_right_or_in_an_error(seeds, Bucket::start);
    assert!(succeeded > 3 * least && faults > 6 * least, "{succeeded} {faults}");
}

/// Every step may fail, loudly. What said that it succeeded holds when the store is well again.
/// One request in 25 to 5 goes wrong. Counts steps that succeeded, and faults.
pub(crate) fn ends_right_or_in_an_error<S: Site>(
    seeds: Range<u64>,
    make: impl Fn() -> S,
) -> (u64, u64) {
    let (mut succeeded, mut failed, mut faults) = (0, 0, 0);
    for seed in seeds {
        let site = make();
        let (bucket, repository) = (site.bucket(), site.open(seed + 100));
        bucket.proxy.seed(seed, 25 - 20 * (seed % 2), &TRANSIENT);
        let mut disk = Disk::new(24 * BLOCK);
        let mut live: Vec<(VersionInfo, Disk)> = Vec::new();
        for step in 0..5 {
            disk.write(step * 4 * BLOCK..(step * 4 + 6) * BLOCK, seed * 10 + step + 1);
            match backup_as(&repository, &CHAIN, "a task", &disk, None) {
                Ok(version) => live.push((version, disk.clone())),
                Err(_) => failed += 1,
            }
            if step == 3 && live.len() > 1 {
                let (version, disk) = live.remove(0);
                match repository.delete(&CHAIN, &[version.version.seq]) {
                    Ok(_) => succeeded += 1,
                    // Perhaps it is deleted, perhaps not: that is what the error says.
                    Err(_) => drop((failed += 1, disk)),
                }
            }
            for (version, disk) in &live {
                let target = Dirty::new(version.disk_bytes);
                if repository.restore(&version.version, &target, &Job::quiet()).is_ok() {
                    assert_eq!(target.first_difference(disk), None, "seed {seed}: wrong bytes");
                    succeeded += 1;
                } else {
                    failed += 1;
                }
            }
        }
        faults += bucket.proxy.hits().values().sum::<u64>();
        bucket.proxy.heal();
        // What an operator has when the night is over: a process that starts anew.
        let repository = site.open(seed + 200);
        for (version, disk) in &live {
            assert_restores(&repository, version, disk);
        }
        let report = repository.check(CheckDepth::ReadData, &Job::quiet()).unwrap();
        assert!(report.problems.is_empty(), "seed {seed}: {:?}", report.problems);
    }
    println!("{succeeded} steps succeeded, {failed} failed, {faults} faults");
    (succeeded, faults)
}

#[test]
fn a_store_that_denies_objects_for_a_while_causes_no_deletion() {
    let hits = denials_cause_no_deletion(seeds(0..8), Bucket::start);
    assert!(hits > 10, "{hits} faults");
}

/// P9, P10: a store that denies what it has, and lists what it had, makes nobody delete what is needed.
/// Counts faults.
pub(crate) fn denials_cause_no_deletion<S: Site>(seeds: Range<u64>, make: impl Fn() -> S) -> u64 {
    let mut hits = 0;
    for seed in seeds {
        let site = make();
        let (bucket, repository) = (site.bucket(), site.open(seed + 300));
        let mut disk = Disk::new(24 * BLOCK);
        let mut live = Vec::new();
        for step in 0..4 {
            disk.write(step * 4 * BLOCK..(step * 4 + 8) * BLOCK, seed * 10 + step + 1);
            live.push((
                backup_as(&repository, &CHAIN, "a task", &disk, None).unwrap(),
                disk.clone(),
            ));
        }
        let toxics = [Toxic::NotFound, Toxic::StaleListing, Toxic::PartialListing];
        bucket.proxy.seed(seed, 4, &toxics);
        for _ in 0..3 {
            let (version, _) = live.remove(0);
            // It may be refused, or not find what it looks for.
            let _ = repository.delete(&CHAIN, &[version.version.seq]);
        }
        hits += bucket.proxy.hits().values().sum::<u64>();
        bucket.proxy.heal();
        let repository = site.open(seed + 400);
        for (version, disk) in &live {
            assert_restores(&repository, version, disk);
        }
        let report = repository.check(CheckDepth::ReadData, &Job::quiet()).unwrap();
        assert!(report.problems.is_empty(), "seed {seed}: {:?}", report.problems);
    }
    hits
}
