//! What the two proofs do when they disagree.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cbr_env::SeededRandom;
use uuid::Uuid;

use super::kept::MemoryFiles;
use super::memory::KnownMaps;
use super::reclaim::{ReclaimAction, Unexplained};
use super::sweep::Sweep;
use crate::backend::layer::Switching;
use crate::backend::{Backend, BackendExt, Key, MemoryBackend};
use crate::cache::CacheFiles;
use crate::format::id::PackKind;
use crate::format::place::{self, Place};
use crate::format::record::{Deed, Delete};
use crate::job::Meter;
use crate::{BlockSource, ChainRef, Error, Job, MasterKey, Options, Repository, VersionRef};

/// A disk of one block per byte, filled with it.
struct Blocks(Vec<u8>);

impl BlockSource for Blocks {
    fn size_bytes(&self) -> u64 {
        self.0.len() as u64 * 65_536
    }

    fn extents(&self) -> io::Result<Vec<Range<u64>>> {
        Ok(std::iter::once(0..self.size_bytes()).collect())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        for (at, byte) in into.iter_mut().enumerate() {
            let block = (offset + at as u64) / 65_536;
            *byte = self.0[usize::try_from(block).map_err(io::Error::other)?];
        }
        Ok(())
    }
}

fn open(backend: &Arc<MemoryBackend>) -> Repository {
    open_any(backend.clone())
}

/// Opened over this, which is told what to do only then.
fn open_over(backend: Arc<Switching>, plan: impl FnOnce(&Switching)) -> Repository {
    let repository = open_any(backend.clone());
    plan(&backend);
    repository
}

/// Each process has its own random numbers.
static SEED: AtomicU64 = AtomicU64::new(1);

fn open_any(backend: Arc<dyn Backend>) -> Repository {
    // All slots of a disk in one pack, and dead ones are not left in it.
    let options =
        Options { threads: 1, frame_blocks: 1, compact_below_percent: 100, ..Options::default() };
    let master = MasterKey::from_bytes([3; 32]);
    let random = Arc::new(SeededRandom::new(SEED.fetch_add(1, Ordering::Relaxed)));
    Repository::init(backend, master, random, options).unwrap()
}

/// Backs up; says how much was borrowed.
fn backup(repository: &Repository, chain: &ChainRef, blocks: &[u8]) -> u64 {
    let mut session = repository.begin(chain, "a task").unwrap();
    let stats = session.write(&Blocks(blocks.to_vec()), None, &Job::quiet()).unwrap();
    session.commit(b"").unwrap();
    stats.borrowed_bytes
}

fn restores(repository: &Repository, chain: &ChainRef, seq: u64, blocks: &[u8]) -> bool {
    let version = VersionRef { chain: *chain, seq };
    let Ok(reader) = repository.open_disk(&version) else { return false };
    let mut content = vec![0; blocks.len() * 65_536];
    let read = reader.read_at(0, &mut content);
    let mut found = content.chunks_exact(65_536).zip(blocks);
    read.is_ok() && found.all(|(block, byte)| block.iter().all(|found| found == byte))
}

/// Three versions of a chain.
fn world() -> (Arc<MemoryBackend>, Repository, ChainRef) {
    let backend = Arc::new(MemoryBackend::default());
    let repository = open(&backend);
    let chain = ChainRef::alone(Uuid::from_u128(1), 0, Uuid::from_u128(2));
    for blocks in [[1, 2, 3], [1, 5, 6], [1, 7, 8]] {
        backup(&repository, &chain, &blocks);
    }
    (backend, repository, chain)
}

/// One of the chains that share blocks.
fn sharing(n: u128) -> ChainRef {
    ChainRef::sharing(Uuid::from_u128(1), 0, Uuid::from_u128(n))
}

/// Chain 2 and its clone, chain 3, which has let go of one block of it and written another.
fn shared_world() -> (Arc<MemoryBackend>, Repository) {
    let backend = Arc::new(MemoryBackend::default());
    let repository = open(&backend);
    backup(&repository, &sharing(2), &ORIGINAL);
    backup(&repository, &sharing(3), &CLONE);
    assert_eq!(data_packs(&backend), 2, "the clone wrote one block and borrowed the others");
    (backend, repository)
}

const ORIGINAL: [u8; 6] = [1, 2, 3, 4, 5, 6];
const CLONE: [u8; 6] = [1, 2, 3, 4, 5, 9];

/// As if the process had died between a delete record and the sweep.
fn only_record(repository: &Repository, chain: &ChainRef, seqs: &[u64]) {
    let log = repository.log(chain).unwrap().unwrap();
    log.put_deletes(log.read().unwrap(), |history| {
        let left = seqs.iter().copied().filter(|seq| history.is_kept(*seq));
        let seqs: Vec<u64> = left.collect();
        (!seqs.is_empty()).then(|| Delete { seqs, by: String::new(), deed: Deed::Delete })
    })
    .unwrap();
}

fn end(repository: &Repository, chain: &ChainRef, seq: u64) {
    let log = repository.log(chain).unwrap().unwrap();
    let claim = log.claim(seq).unwrap().unwrap();
    assert!(log.put_abort(seq, &claim, "test").unwrap());
}

/// The sweep of a chain's domain.
fn with_sweep<T>(
    repository: &Repository,
    chain: &ChainRef,
    work: impl FnOnce(&Sweep<'_>) -> T,
) -> T {
    with_sweep_knowing(&repository.known, repository, chain, work)
}

fn with_sweep_knowing<T>(
    known: &KnownMaps,
    repository: &Repository,
    chain: &ChainRef,
    work: impl FnOnce(&Sweep<'_>) -> T,
) -> T {
    let log = repository.log(chain).unwrap().unwrap();
    let (packs, kept) = (repository.packs(&log), repository.kept.as_ref());
    work(&Sweep { log: &log, packs: &packs, compact_below_percent: 100, known, kept })
}

fn data_packs(backend: &MemoryBackend) -> usize {
    let is_data = |key: &Key| match Place::parse(key) {
        Some(Place::Pack(pack, _)) => pack.kind == PackKind::Data,
        _ => false,
    };
    backend.list_all("t/").unwrap().iter().filter(|entry| is_data(&entry.key)).count()
}

fn packs(backend: &MemoryBackend) -> usize {
    let all = backend.list_all("t/").unwrap();
    all.iter().filter(|entry| matches!(Place::parse(&entry.key), Some(Place::Pack(..)))).count()
}

/// P9, I4: if the bookkeeping ever gave up something that a map points to, it stays, and is named.
#[test]
fn what_the_bookkeeping_gives_up_and_a_map_still_points_to_stays() {
    let (lone, shared) = (world(), shared_world());
    for (backend, repository, chain) in [lone, (shared.0, shared.1, sharing(3))] {
        for kind in [PackKind::Data, PackKind::Meta] {
            with_sweep(&repository, &chain, |sweep| {
                // A defect is planted: the plan takes every pack of a kind for garbage.
                let mut look = sweep.look_for_tests().unwrap();
                let all: Vec<_> = look.listed_packs().filter(|name| name.0 == kind).collect();
                assert!(all.len() > 1, "{chain} {kind:?}");
                for name in &all {
                    look.give_up(*name);
                }
                let plan = sweep.conclude(&look).unwrap();
                assert_eq!(
                    (plan.rescued.len(), plan.steps.len()),
                    (all.len(), 0),
                    "{chain} {kind:?}"
                );
                let before = packs(&backend);
                let job = Job::quiet();
                assert_eq!(sweep.carry_out(&plan, &Meter::new(&job, 0)).unwrap(), 0);
                assert_eq!(packs(&backend), before);
                for name in all {
                    let key = place::pack(&sweep.packs.pack(name.0, name.1), 0).to_string();
                    assert!(plan.rescued.contains(&key), "{key}");
                }
            });
        }
    }
}

/// P9, I4: what is remembered of maps says of every slot what the maps say, however little there is room for.
#[test]
fn a_memory_of_maps_proves_what_the_maps_prove() {
    let is_right = |known: &KnownMaps, repository: &Repository, chain: &ChainRef| {
        with_sweep_knowing(known, repository, chain, |sweep| {
            let (mut saved, mut gone) = (0, 0);
            let all: Vec<_> = sweep.look_for_tests().unwrap().listed_packs().collect();
            for name in all {
                for entry in sweep.packs.index(name.0, name.1).unwrap().slots() {
                    let slot = entry.head.slot;
                    // Behind the one node of each map lie lists, to which no map points.
                    if name.0 == PackKind::Meta && slot > 0 {
                        continue;
                    }
                    let mut look = sweep.look_for_tests().unwrap();
                    let dead = look.dead.get(&name);
                    let is_dead = look.plan.remove.contains(&name)
                        || dead.is_some_and(|dead| dead.contains(&slot));
                    look.give_up_slot(name, slot);
                    let anew = KnownMaps::default();
                    let known = if sweep.kept.is_some() { &anew } else { sweep.known };
                    let sweep = Sweep { known, ..*sweep };
                    let rescued = sweep.conclude(&look).unwrap().rescued;
                    assert_eq!(rescued.is_empty(), is_dead, "{name:?} {slot}: {rescued:?}");
                    *if is_dead { &mut gone } else { &mut saved } += 1;
                }
            }
            (saved, gone)
        })
    };
    for (room, has_cache) in [(0, false), (1_500, false), (1 << 20, false), (0, true)] {
        let known = KnownMaps::with_room(room);
        let ((_, mut lone, chain), (_, mut shared)) = (world(), shared_world());
        if has_cache {
            // Each question is a new process's, which begins with what those before it left.
            let files = Arc::new(MemoryFiles::default());
            (lone, shared) = (lone.with_cache(files.clone()), shared.with_cache(files));
        }
        // Two slots of the first version's pack and its map are dead; of the original its map and its last block.
        for (repository, chain, dead) in [(lone, chain, 3), (shared, sharing(2), 2)] {
            only_record(&repository, &chain, &[1]);
            for _ in 0..2 {
                let (saved, gone) = is_right(&known, &repository, &chain);
                assert!(saved > 5 && gone >= dead, "{room}: {saved} saved, {gone} gone");
            }
            assert!(known.bytes() <= room);
            let (right, wrong) = repository.compare_kept_maps(&chain).unwrap();
            assert!(wrong == 0 && (right > 0) == has_cache, "{right} right, {wrong} wrong");
        }
        assert_eq!(known.bytes() > 0, room > 0);
    }
}

/// What was kept of a tenant's maps goes with its keys, also what somebody else has left meanwhile.
#[test]
fn what_was_kept_of_maps_goes_with_the_keys() {
    let (_, repository, chain) = world();
    let files = Arc::new(MemoryFiles::default());
    let repository = repository.with_cache(files.clone());
    repository.delete(&chain, &[1]).unwrap();
    let [name] = files.names().unwrap().try_into().unwrap();
    repository.shred_tenant(chain.tenant, "test").unwrap();
    assert!(files.names().unwrap().is_empty());
    assert!(repository.delete(&chain, &[2]).is_err());
    files.replace(&name, &mut std::iter::once(vec![1])).unwrap();
    repository.remove_shredded(chain.tenant).unwrap();
    assert!(files.names().unwrap().is_empty());
}

/// P7, P9, P10: the books forget the borrowers of a deleted version. The second proof saves each slot;
/// without it the clone would be lost, and is: the test would see it.
#[test]
fn a_plan_that_forgets_who_borrows_costs_nothing_with_the_second_proof_and_a_disk_without() {
    for is_proven in [true, false] {
        let (_, repository) = shared_world();
        only_record(&repository, &sharing(2), &[1]);
        // What is really free goes first: the last block of the original.
        assert!(repository.reclaim(&sharing(2)).unwrap().removed_object_bytes > 0);
        let opened = with_sweep(&repository, &sharing(3), |sweep| {
            let mut look = sweep.look_for_tests().unwrap();
            let lender = look.listed_packs().find(|name| {
                name.0 == PackKind::Data
                    && sweep.packs.index(name.0, name.1).unwrap().slots().len() == 5
            });
            look.give_up_slot(lender.unwrap(), 2);
            let plan =
                if is_proven { sweep.conclude(&look) } else { sweep.conclude_unproven(&look) }
                    .unwrap();
            assert_eq!(plan.rescued.len(), usize::from(is_proven));
            sweep.carry_out(&plan, &Meter::new(&Job::quiet(), 0)).unwrap();
            plan.steps.len()
        });
        assert_eq!(opened, usize::from(!is_proven));
        assert_eq!(restores(&repository, &sharing(3), 1, &CLONE), is_proven);
    }
}

/// P10: where chains share blocks, what no deletion explains does not go either.
#[test]
fn above_the_ceiling_nothing_of_a_shared_domain_is_even_retired() {
    let (backend, repository) = shared_world();
    let plan = with_sweep(&repository, &sharing(2), |sweep| {
        let mut look = sweep.look_for_tests().unwrap();
        let all: Vec<_> = look.listed_packs().collect();
        for name in all {
            look.give_up(name);
        }
        sweep.conclude_unproven(&look).unwrap()
    });
    assert_eq!(plan.unexplained.bytes, plan.stored_bytes);
    let refused = plan.check_ceiling();
    assert!(matches!(refused, Err(Error::AboveCeiling { .. })), "{refused:?}");
    // A slot of which a borrower's version still lives is not explained by its author's deletion.
    only_record(&repository, &sharing(2), &[1]);
    let plan = with_sweep(&repository, &sharing(2), |sweep| {
        let look = sweep.look_for_tests().unwrap();
        sweep.conclude(&look).unwrap()
    });
    assert_eq!(plan.unexplained, Unexplained::default(), "{plan:?}");
    assert_eq!(data_packs(&backend), 2);
}

/// The plan of a shared domain is what is done; what a session may have borrowed waits for it, and
/// the plan says so. Nothing is retired by planning.
#[test]
fn a_plan_of_a_shared_domain_says_what_goes_now_and_what_waits() {
    let (backend, repository) = shared_world();
    only_record(&repository, &sharing(2), &[1]);
    only_record(&repository, &sharing(3), &[1]);
    let session = repository.begin(&sharing(4), "a third").unwrap();
    let before = backend.snapshot();
    let plan = repository.plan_reclaim(None).unwrap();
    assert_eq!(backend.snapshot(), before, "planning changes nothing");
    let [of_domain] = plan.chains.as_slice() else { panic!("{plan:?}") };
    let of_kind = |action| of_domain.steps.iter().filter(move |step| step.action == action);
    let waiting: u64 = of_domain.steps.iter().map(|step| step.waiting_bytes).sum();
    assert_eq!(of_kind(ReclaimAction::Retire).count(), 2, "{of_domain:?}");
    assert_eq!(of_kind(ReclaimAction::Remove).count(), 2, "both maps go: {of_domain:?}");
    let done = repository.execute(&plan, false, &Job::quiet()).unwrap();
    assert_eq!(done.removed_object_bytes, plan.freed_bytes());
    assert_eq!((data_packs(&backend), packs(&backend)), (2, 2));

    // The session may have borrowed; it did not, and ends.
    drop(session);
    let still = repository.plan_reclaim(Some(&sharing(4))).unwrap();
    assert_eq!(still.freed_bytes(), 0, "{still:?}");
    end(&repository, &sharing(4), 1);
    let rest = repository.plan_reclaim(Some(&sharing(3))).unwrap();
    assert_eq!(rest.freed_bytes(), waiting);
    let done = repository.execute(&rest, false, &Job::quiet()).unwrap();
    assert_eq!((done.removed_object_bytes, packs(&backend)), (waiting, 0));
    assert!(repository.plan_reclaim(None).unwrap().chains.is_empty());
}

/// I6: the recount of a shared domain sees a byte too many, as that of a chain alone does.
#[test]
fn chains_that_share_are_counted_together() {
    let (_, repository) = shared_world();
    backup(&repository, &sharing(3), &[1, 2, 3, 7, 7, 9]);
    let audit = repository.audit(&Job::quiet()).unwrap();
    assert!(audit.is_right(), "{audit:?}");
    let [one] = audit.chains.as_slice() else { panic!("{audit:?}") };
    assert_eq!((one.chain, one.chains, one.versions), (sharing(2), 2, 3));
    repository.delete(&sharing(2), &[1]).unwrap();
    let audit = repository.audit(&Job::quiet()).unwrap();
    assert!(audit.is_right() && audit.chains[0].chain == sharing(3), "{audit:?}");
}

/// P10: the second proof does not keep what is really dead, also when it knows the maps already.
#[test]
fn what_both_proofs_give_up_goes() {
    let (backend, repository, chain) = world();
    let before = packs(&backend);
    for seq in [2, 1] {
        let freed = repository.delete(&chain, &[seq]).unwrap();
        assert!(freed.removed_object_bytes > 0 && freed.rescued_packs == 0, "{freed:?}");
    }
    assert!(packs(&backend) < before);
    assert!(repository.plan_reclaim(None).unwrap().chains.is_empty(), "everything was done");
}

/// A plan says what is done, changes nothing, and is done only as far as it is still right.
#[test]
fn a_plan_is_what_is_done_and_what_was_not_planned_is_left_alone() {
    let (backend, repository, chain) = world();
    let session = repository.begin(&chain, "task 9").unwrap();
    repository.delete(&chain, &[1, 2, 3]).unwrap();
    let pinned = repository.plan_reclaim(Some(&chain)).unwrap();
    assert!(pinned.chains.is_empty(), "the session builds on version 3: {pinned:?}");
    drop(session);
    let log = repository.log(&chain).unwrap().unwrap();
    let claim = log.claim(4).unwrap().unwrap();
    log.put_abort(4, &claim, "test").unwrap();
    let before = packs(&backend);
    let plan = repository.plan_reclaim(None).unwrap();
    assert_eq!(packs(&backend), before, "planning changes nothing");
    assert!(plan.blocked.is_empty());
    let nothing = repository.execute(&pinned, false, &Job::quiet()).unwrap();
    assert_eq!((nothing.removed_object_bytes, packs(&backend)), (0, before), "was not planned");
    let steps = &plan.chains[0].steps;
    assert!(steps.iter().all(|step| step.action == ReclaimAction::Remove), "{steps:?}");
    let done = repository.execute(&plan, false, &Job::quiet()).unwrap();
    assert_eq!(done.removed_object_bytes, plan.freed_bytes());
    assert_eq!(packs(&backend), 0);
    let again = repository.execute(&plan, false, &Job::quiet()).unwrap();
    assert_eq!(again.removed_object_bytes, 0, "an old plan does nothing twice");
}

/// P7, R8: while a sweep runs, a version of another disk is deleted, and later a clone of it is backed
/// up: at every pair of calls. What the sweep has not retired it must not remove, though it sees it dead.
#[test]
fn what_dies_under_a_sweep_is_left_to_the_next_one() {
    const OTHER: [u8; 6] = [21, 22, 23, 24, 25, 26];
    let (start, repository) = shared_world();
    backup(&repository, &sharing(5), &OTHER);
    // Something is dead already, so that the sweep retires it and looks again.
    only_record(&repository, &sharing(3), &[1]);
    drop(repository);
    let start = start.snapshot();
    let (mut pairs, borrowed) = (0, Arc::new(AtomicU64::new(0)));
    let mut calls = u64::MAX;
    for first in 0.. {
        for second in first + 1..calls {
            let memory = Arc::new(MemoryBackend::from_snapshot(start.clone()));
            let inner = Arc::new(Switching::new(memory.clone()));
            let outer = Switching::new(inner.clone());
            let repository = open_over(Arc::new(outer), |outer| {
                let deleter = memory.clone();
                inner.before_call(first, move || {
                    only_record(&open(&deleter), &sharing(5), &[1]);
                });
                let (cloner, borrowed) = (memory.clone(), borrowed.clone());
                outer.before_call(second, move || {
                    let bytes = backup(&open(&cloner), &sharing(6), &OTHER);
                    borrowed.fetch_add(bytes, Ordering::Relaxed);
                });
            });
            repository.reclaim(&sharing(2)).unwrap();
            let repository = open(&memory);
            if repository.versions(&sharing(6)).unwrap().is_empty() {
                // The sweep has fewer calls than that.
                calls = second;
                break;
            }
            pairs += 1;
            assert!(restores(&repository, &sharing(6), 1, &OTHER), "{first}, {second}");
        }
        if first + 1 >= calls {
            break;
        }
    }
    let borrowed = borrowed.load(Ordering::Relaxed);
    assert!(pairs > 100 && borrowed > 0, "{pairs} pairs, borrowed {borrowed} bytes");
}
