//! What the two proofs do when they disagree.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use cbr_env::SeededRandom;
use uuid::Uuid;

use super::reclaim::ReclaimAction;
use super::sweep::Sweep;
use crate::backend::{BackendExt, MemoryBackend};
use crate::format::id::PackKind;
use crate::format::place::{self, Place};
use crate::job::Meter;
use crate::{BlockSource, ChainRef, Job, MasterKey, Options, Repository};

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

/// Three versions, of which the second is deleted without its packs having gone.
fn world() -> (Arc<MemoryBackend>, Repository, ChainRef) {
    let backend = Arc::new(MemoryBackend::default());
    let options = Options { threads: 1, frame_blocks: 1, ..Options::default() };
    let master = MasterKey::from_bytes([3; 32]);
    let random = Arc::new(SeededRandom::new(1));
    let repository = Repository::init(backend.clone(), master, random, options).unwrap();
    let chain = ChainRef::alone(Uuid::from_u128(1), 0, Uuid::from_u128(2));
    for (n, blocks) in [[1, 2, 3], [1, 5, 6], [1, 7, 8]].into_iter().enumerate() {
        let mut session = repository.begin(&chain, &format!("task {n}")).unwrap();
        session.write(&Blocks(blocks.to_vec()), None, &Job::quiet()).unwrap();
        session.commit(b"").unwrap();
    }
    (backend, repository, chain)
}

fn packs(backend: &MemoryBackend) -> usize {
    let all = backend.list_all("t/").unwrap();
    all.iter().filter(|entry| matches!(Place::parse(&entry.key), Some(Place::Pack(..)))).count()
}

/// P9, I4: if births and deaths ever gave up something that a map points to, it stays, and is named.
#[test]
fn what_the_bookkeeping_gives_up_and_a_map_still_points_to_stays() {
    for kind in [PackKind::Data, PackKind::Meta] {
        let (backend, repository, chain) = world();
        let log = repository.log(&chain).unwrap().unwrap();
        let packs_of_chain = repository.packs(&log);
        let known = &repository.known;
        let sweep = Sweep { log: &log, packs: &packs_of_chain, compact_below_percent: 60, known };
        // A defect is planted: the plan takes every pack of a kind for garbage.
        let mut look = sweep.look_for_tests().unwrap();
        let all: Vec<_> = look.listed_packs().filter(|name| name.0 == kind).collect();
        assert_eq!(all.len(), 3, "{kind:?}");
        for name in &all {
            look.give_up(*name);
        }
        let plan = sweep.conclude(look).unwrap();
        assert_eq!((plan.rescued.len(), plan.steps.len()), (3, 0), "{kind:?}");
        let before = packs(&backend);
        let job = Job::quiet();
        assert_eq!(sweep.carry_out(&plan, &Meter::new(&job, 0)).unwrap(), 0);
        assert_eq!(packs(&backend), before);
        for name in all {
            let key = place::pack(&packs_of_chain.pack(name.0, name.1), 0).to_string();
            assert!(plan.rescued.contains(&key), "{key}");
        }
    }
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
