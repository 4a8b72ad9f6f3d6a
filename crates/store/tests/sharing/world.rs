//! One tenant, some chains that share, a repository in memory.

use std::sync::Arc;

use cbr_env::{Random, SeededRandom};
use cbr_store::backend::{Backend, MemoryBackend};
use cbr_store::crypto::{MasterKey, TenantKey, TenantKeys};
use cbr_store::format::place;
use cbr_store::format::record::Record;
use cbr_store::{ChainRef, CheckDepth, Job, Options, Repository, VersionInfo, WriteStats};
use uuid::Uuid;

use crate::disk::{BLOCK, Disk, LEAF};
use crate::reachable::Objects;

pub(crate) const TENANT: Uuid = Uuid::from_u128(1);
pub(crate) const MASTER: [u8; 32] = [9; 32];

pub(crate) fn chain(n: u128) -> ChainRef {
    ChainRef::sharing(TENANT, 0, Uuid::from_u128(n))
}

/// Small frames and packs, so that a small disk has many; whatever is dead is compacted away.
pub(crate) fn options() -> Options {
    Options {
        threads: 1,
        frame_blocks: 3,
        pack_bytes: 1 << 16,
        map_pack_bytes: 1 << 16,
        compact_below_percent: 100,
        dedup_ram_bytes: 8 << 20,
        ..Options::default()
    }
}

/// A new process opens the repository, and makes it if it is not there.
pub(crate) fn open(backend: Arc<dyn Backend>, seed: u64, options: Options) -> Repository {
    let random: Arc<dyn Random> = Arc::new(SeededRandom::new(seed));
    Repository::init(backend, MasterKey::from_bytes(MASTER), random, options).unwrap()
}

pub(crate) fn repository() -> Repository {
    let options = Options { threads: 2, pack_bytes: 1 << 20, ..Options::default() };
    open(Arc::new(MemoryBackend::default()), 1, options)
}

pub(crate) fn backup(
    repository: &Repository,
    chain: &ChainRef,
    disk: &Disk,
) -> (WriteStats, VersionInfo) {
    let mut session = repository.begin(chain, "a task").unwrap();
    let stats = session.write(disk, None, &Job::quiet()).unwrap();
    (stats, session.commit(b"a card").unwrap())
}

/// A disk with `leaves` full leaves, hardly two blocks of it equal.
pub(crate) fn disk(leaves: u64, seed: u64) -> Disk {
    let mut disk = Disk::new(leaves * LEAF + 777);
    for at in (0..leaves * LEAF).step_by(usize::try_from(4 * BLOCK).unwrap()) {
        disk.write(at..at + 4 * BLOCK, seed + at / BLOCK);
    }
    disk
}

#[track_caller]
pub(crate) fn assert_clean(repository: &Repository) {
    let report = repository.check(CheckDepth::ReadData, &Job::quiet()).unwrap();
    assert!(report.is_clean(), "{:#?}", report.problems);
}

/// The tenant's keys.
pub(crate) fn tenant_keys(backend: &MemoryBackend) -> TenantKeys {
    let key = place::tenant_key(TENANT, 1);
    let object = backend.get(&key).unwrap().unwrap();
    let master = MasterKey::from_bytes(MASTER).keys();
    TenantKeys::derive(TENANT, 1, &TenantKey::open(&object, &key, &master).unwrap())
}

/// The objects of the domain that all chains share.
pub(crate) fn shared_objects(backend: &MemoryBackend) -> Option<Objects<'_>> {
    Objects::open(backend, MASTER, chain(2).domain())
}
