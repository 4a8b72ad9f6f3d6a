//! A small disk, its repository, and what must hold about them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use cbr_env::{Random, RandomExt, SeededRandom};
use cbr_store::backend::{Backend, BackendExt, Entry, Key, MemoryBackend};
use cbr_store::crypto::{TenantKey, TenantKeys};
use cbr_store::format::id::SessionNonce;
use cbr_store::format::place::{self, Place};
use cbr_store::format::record::{Claim, Outcome, Record};
use cbr_store::{
    BlockSource, BlockTarget, ChainRef, Job, MasterKey, Options, Repository, Result, VersionInfo,
    VersionRef,
};
use uuid::Uuid;

pub(crate) const BLOCK: usize = 64 * 1024;
pub(crate) const CHAIN: ChainRef = ChainRef::alone(Uuid::from_u128(1), 0, Uuid::from_u128(2));

pub(crate) fn master() -> MasterKey {
    MasterKey::from_bytes([0x11; 32])
}

/// Small packs and single-block slots, so that a small disk has many of each.
pub(crate) fn options() -> Options {
    Options {
        threads: 1,
        memory_bytes: 32 << 20,
        frame_blocks: 1,
        pack_bytes: 1 << 17,
        map_pack_bytes: 1 << 16,
        fold_after: 2,
        ..Options::default()
    }
}

/// Every process has randomness of its own; all of it repeats with the run's seed.
#[derive(Debug)]
pub(crate) struct Seeds(AtomicU64);

impl Seeds {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed << 20))
    }

    pub(crate) fn random(&self) -> Arc<dyn Random> {
        Arc::new(SeededRandom::new(self.0.fetch_add(1, Ordering::Relaxed)))
    }
}

/// A new process opens the repository, and makes it if it is not there.
pub(crate) fn open(backend: &Arc<dyn Backend>, seeds: &Seeds) -> Result<Repository> {
    Repository::init(Arc::clone(backend), master(), seeds.random(), options())
}

/// A disk in memory, as source and as target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disk(pub(crate) Vec<u8>);

impl Disk {
    /// Blocks of noise where `seeds` says so, zeros where it says 0.
    pub(crate) fn of(seeds: &[u64]) -> Self {
        let mut bytes = Vec::with_capacity(seeds.len() * BLOCK);
        for seed in seeds {
            bytes.extend_from_slice(&block(*seed));
        }
        Self(bytes)
    }

    pub(crate) fn with(&self, at: usize, seed: u64) -> Self {
        let mut bytes = self.0.clone();
        bytes[at * BLOCK..(at + 1) * BLOCK].copy_from_slice(&block(seed));
        Self(bytes)
    }
}

/// Noise, then zeros: half and half, or (seeds from a million on) a sixty-fourth.
///
/// Each is made once: thousands of cases use the same few, and the noise costs more than the engine does.
fn block(seed: u64) -> Arc<[u8]> {
    static MADE: LazyLock<Mutex<HashMap<u64, Arc<[u8]>>>> = LazyLock::new(Mutex::default);
    let mut made = MADE.lock().unwrap();
    Arc::clone(made.entry(seed).or_insert_with(|| {
        let mut block = vec![0; BLOCK];
        let noise = match seed {
            0 => 0,
            1..1_000_000 => BLOCK / 2,
            _ => BLOCK / 64,
        };
        SeededRandom::new(seed).fill(&mut block[..noise]);
        block.into()
    }))
}

impl BlockSource for Disk {
    fn size_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn extents(&self) -> io::Result<Vec<Range<u64>>> {
        let all = 0..self.size_bytes();
        Ok(vec![all])
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        into.copy_from_slice(&self.0[start..start + into.len()]);
        Ok(())
    }
}

/// A disk full of old bytes, to restore onto.
pub(crate) struct Target(Mutex<Vec<u8>>);

impl Target {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Mutex::new(vec![0xee; bytes]))
    }

    pub(crate) fn into_disk(self) -> Disk {
        Disk(self.0.into_inner().unwrap())
    }
}

impl BlockTarget for Target {
    fn size_bytes(&self) -> u64 {
        self.0.lock().unwrap().len() as u64
    }

    fn is_known_zero(&self) -> bool {
        false
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        self.0.lock().unwrap()[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        let start = usize::try_from(range.start).map_err(io::Error::other)?;
        let end = usize::try_from(range.end).map_err(io::Error::other)?;
        self.0.lock().unwrap()[start..end].fill(0);
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Begins, writes, commits.
pub(crate) fn backup(repository: &Repository, owner: &str, disk: &Disk) -> Result<VersionInfo> {
    let mut session = repository.begin(&CHAIN, owner)?;
    session.write(disk, None, &Job::quiet())?;
    session.commit(owner.as_bytes())
}

/// What a task does when it runs again: end what it had begun, see whether it was done, do it.
pub(crate) fn backup_again(
    repository: &Repository,
    owner: &str,
    disk: &Disk,
) -> Result<VersionInfo> {
    repository.abort_unfinished(&CHAIN, owner)?;
    match repository.find_by_owner(&CHAIN, owner)? {
        Some(version) => Ok(version),
        None => backup(repository, owner, disk),
    }
}

/// Restores onto a disk full of old bytes.
pub(crate) fn restore(repository: &Repository, seq: u64, disk_bytes: usize) -> Result<Disk> {
    let target = Target::new(disk_bytes);
    repository.restore(&VersionRef { chain: CHAIN, seq }, &target, &Job::quiet())?;
    Ok(target.into_disk())
}

/// P1, P2: exactly these versions are listed, and each restores to its disk.
pub(crate) fn assert_versions(repository: &Repository, expected: &BTreeMap<u64, Disk>) {
    let listed = repository.versions(&CHAIN).unwrap();
    let seqs: Vec<u64> = listed.iter().map(|info| info.version.seq).collect();
    assert_eq!(seqs, expected.keys().copied().collect::<Vec<_>>());
    for (seq, disk) in expected {
        assert!(restore(repository, *seq, disk.0.len()).unwrap() == *disk, "version {seq}");
    }
}

/// P3: every pack belongs to a session that committed, and every object is of a known kind.
pub(crate) fn assert_no_leak(backend: &dyn Backend) {
    let keys = tenant_keys(backend);
    let mut committed: BTreeSet<SessionNonce> = BTreeSet::new();
    let (mut packs, mut claims) = (Vec::new(), Vec::new());
    for Entry { key, .. } in backend.list_all("").unwrap() {
        let bytes = || backend.get(&key).unwrap().unwrap();
        match Place::parse(&key) {
            Some(Place::Pack(pack, _)) => packs.push((key, pack.id)),
            Some(Place::Claim(_, seq)) => {
                claims.push((seq, Claim::open(&bytes(), &key, keys.as_ref().unwrap()).unwrap()));
            }
            Some(Place::Outcome(..)) => {
                let outcome = Outcome::open(&bytes(), &key, keys.as_ref().unwrap()).unwrap();
                if let Outcome::Commit(commit) = outcome {
                    committed.insert(commit.nonce);
                }
            }
            Some(_) => {}
            None => assert!(key.as_str().starts_with("probe/"), "{key} is nothing"),
        }
    }
    for (key, id) in packs {
        assert!(committed.contains(&id.session()), "{key} leaked");
    }
    for (seq, _) in claims {
        let outcome = backend.get(&place::outcome(&CHAIN, seq)).unwrap();
        assert!(outcome.is_some(), "claim {seq} is still open");
    }
}

/// P3: when all versions are deleted, also those in the trash, no pack is left.
pub(crate) fn assert_all_can_go(repository: &Repository, backend: &MemoryBackend) {
    let mut versions = repository.versions(&CHAIN).unwrap();
    versions.extend(repository.trashed(&CHAIN).unwrap());
    let seqs: Vec<u64> = versions.iter().map(|info| info.version.seq).collect();
    repository.delete(&CHAIN, &seqs).unwrap();
    repository.reclaim(&CHAIN).unwrap();
    let left: Vec<Key> = packs(backend);
    assert_eq!(left, Vec::<Key>::new());
}

pub(crate) fn packs(backend: &dyn Backend) -> Vec<Key> {
    let all = backend.list_all("").unwrap().into_iter().map(|entry| entry.key);
    all.filter(|key| matches!(Place::parse(key), Some(Place::Pack(..)))).collect()
}

pub(crate) fn tenant_keys(backend: &dyn Backend) -> Option<TenantKeys> {
    let key = place::tenant_key(CHAIN.tenant, 1);
    let object = backend.get(&key).unwrap()?;
    let tenant_key = TenantKey::open(&object, &key, &master().keys()).unwrap();
    Some(TenantKeys::derive(CHAIN.tenant, 1, &tenant_key))
}

/// Which disks are expected; kept beside the repository, as a user's memory would be.
pub(crate) type Expected = BTreeMap<u64, Disk>;

/// A number below `end`.
pub(crate) fn below(random: &dyn Random, end: u64) -> u64 {
    u64::from_le_bytes(random.bytes()) % end
}

/// The objects of a repository, and what is in it.
#[derive(Clone)]
pub(crate) struct Start {
    pub(crate) objects: BTreeMap<Key, Vec<u8>>,
    pub(crate) expected: Expected,
}

/// Four versions; each changes a few blocks, one of them twice.
pub(crate) fn four_versions() -> Start {
    static MADE: LazyLock<Start> = LazyLock::new(make_four_versions);
    MADE.clone()
}

fn make_four_versions() -> Start {
    let (memory, seeds) = (Arc::new(MemoryBackend::default()), Seeds::new(1000));
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open(&backend, &seeds).unwrap();
    let mut expected = Expected::new();
    let mut disk = Disk::of(&[1, 2, 0, 3, 4, 5, 6, 7]);
    for (n, at) in [(0, 0), (1, 1), (2, 4), (3, 1)] {
        disk = disk.with(at, 100 + n);
        let info = backup(&repository, &format!("old {n}"), &disk).unwrap();
        expected.insert(info.version.seq, disk.clone());
    }
    Start { objects: memory.snapshot(), expected }
}
