//! Random histories of several disks of one tenant that write equal blocks, clone each other, are
//! backed up, and lose versions in any order, also beside a session that borrows.
//!
//! After every deletion: each live version restores byte for byte (I1, P7); what a deletion said it
//! would free is what became unreachable (I5); and the slots that are stored are exactly those
//! reachable from the maps of live versions of all chains, plus their lists (I4, P3).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cbr_store::backend::MemoryBackend;
use cbr_store::format::place::Place;
use cbr_store::{ChainRef, Job, Repository, VersionInfo};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::disk::{BLOCK, Disk, LEAF, assert_restores, backup_as};
use crate::world::{assert_clean, chain, open, options, shared_objects};

const DISKS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Write {
        disk: usize,
        at: u64,
        blocks: u64,
        seed: u64,
    },
    Trim {
        disk: usize,
        at: u64,
        blocks: u64,
    },
    Wipe {
        disk: usize,
        at: u64,
    },
    Resize {
        disk: usize,
        blocks: u64,
    },
    Clone {
        from: usize,
        to: usize,
    },
    Backup {
        disk: usize,
    },
    GiveUp {
        disk: usize,
    },
    Delete {
        disk: usize,
        choice: u64,
    },
    /// Versions of `other` go while a session of `disk` is open, before or after it has written.
    DeleteBeside {
        disk: usize,
        other: usize,
        choice: u64,
        writes_first: bool,
    },
    Reclaim {
        disk: usize,
    },
    /// Another process goes on: what was remembered is gone.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let disk = 0..DISKS;
    // Blocks are equal where seed and place within 64 blocks are, so few seeds mean many equals.
    let (at, blocks, seed) = (0..330_u64, 1..90_u64, 1..4_u64);
    let step = prop_oneof![
        6 => (disk.clone(), at.clone(), blocks.clone(), seed)
            .prop_map(|(disk, at, blocks, seed)| Step::Write { disk, at, blocks, seed }),
        2 => (disk.clone(), at, blocks).prop_map(|(disk, at, blocks)| Step::Trim { disk, at, blocks }),
        1 => (disk.clone(), 0..330_u64).prop_map(|(disk, at)| Step::Wipe { disk, at }),
        1 => (disk.clone(), 1..400_u64).prop_map(|(disk, blocks)| Step::Resize { disk, blocks }),
        2 => (disk.clone(), disk.clone()).prop_map(|(from, to)| Step::Clone { from, to }),
        8 => disk.clone().prop_map(|disk| Step::Backup { disk }),
        1 => disk.clone().prop_map(|disk| Step::GiveUp { disk }),
        4 => (disk.clone(), any::<u64>()).prop_map(|(disk, choice)| Step::Delete { disk, choice }),
        2 => (disk.clone(), disk.clone(), any::<u64>(), any::<bool>()).prop_map(
            |(disk, other, choice, writes_first)| {
                Step::DeleteBeside { disk, other, choice, writes_first }
            },
        ),
        1 => disk.prop_map(|disk| Step::Reclaim { disk }),
        1 => Just(Step::Restart),
    ];
    vec(step, 1..40)
}

struct World {
    backend: Arc<MemoryBackend>,
    repository: Repository,
    disks: Vec<Disk>,
    live: BTreeMap<ChainRef, BTreeMap<u64, (VersionInfo, Disk)>>,
    count: u64,
}

fn of(disk: usize) -> ChainRef {
    chain(2 + disk as u128)
}

impl World {
    fn new() -> Self {
        let backend = Arc::new(MemoryBackend::default());
        let repository = open(backend.clone(), 1, options());
        let disks = vec![Disk::new(LEAF + 40 * BLOCK + 777); DISKS];
        let live = (0..DISKS).map(|disk| (of(disk), BTreeMap::new())).collect();
        Self { backend, repository, disks, live, count: 0 }
    }

    fn owner(&mut self) -> String {
        self.count += 1;
        format!("task {}", self.count)
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Write { disk, at, blocks, seed } => {
                self.disks[disk].write(at * BLOCK..(at + blocks) * BLOCK, seed);
            }
            Step::Trim { disk, at, blocks } => {
                self.disks[disk].trim(at * BLOCK..(at + blocks) * BLOCK);
            }
            Step::Wipe { disk, at } => self.disks[disk].wipe(at * BLOCK..at * BLOCK + 9),
            Step::Resize { disk, blocks } => self.disks[disk].resize(blocks * BLOCK + 5),
            Step::Clone { from, to } => self.disks[to] = self.disks[from].clone(),
            Step::Backup { disk } => {
                let owner = self.owner();
                let (repository, content) = (&self.repository, &self.disks[disk]);
                let made = backup_as(repository, &of(disk), &owner, content, None).unwrap();
                assert_eq!(made.used_bytes, content.used_bytes().min(content.size));
                self.keep(disk, made);
            }
            Step::GiveUp { disk } => self.give_up(disk),
            Step::Delete { disk, choice } => self.delete(disk, choice),
            Step::DeleteBeside { disk, other, choice, writes_first } => {
                self.delete_beside((disk, other), choice, writes_first);
            }
            Step::Reclaim { disk } => {
                // By a plan, which says what will be done: rewritten packs get new tables, so their
                // bytes are foreseen but for those.
                let plan = self.repository.plan_reclaim(Some(&of(disk))).unwrap();
                let before = self.pack_bytes();
                let done = self.repository.execute(&plan, false, &Job::quiet()).unwrap();
                assert_eq!(before - self.pack_bytes(), done.removed_object_bytes);
                self.assert_stored_is_reachable();
            }
            Step::Restart => {
                let seed = 1000 + self.count;
                self.count += 1;
                self.repository = open(self.backend.clone(), seed, options());
            }
        }
    }

    fn keep(&mut self, disk: usize, made: VersionInfo) {
        let content = self.disks[disk].clone();
        self.live.get_mut(&of(disk)).unwrap().insert(made.version.seq, (made, content));
    }

    fn give_up(&mut self, disk: usize) {
        let owner = self.owner();
        let mut session = self.repository.begin(&of(disk), &owner).unwrap();
        session.write(&self.disks[disk], None, &Job::quiet()).unwrap();
        drop(session);
        self.repository.abort_unfinished(&of(disk), &owner).unwrap();
        self.assert_stored_is_reachable();
    }

    /// The live versions whose bit is set in `choice`.
    fn chosen(&self, disk: usize, choice: u64) -> Vec<u64> {
        let bits = (0..64).map(|bit| choice >> bit & 1 == 1);
        let live = self.live[&of(disk)].keys().zip(bits);
        live.filter(|(_, is_chosen)| *is_chosen).map(|(seq, _)| *seq).collect()
    }

    fn delete(&mut self, disk: usize, choice: u64) {
        let seqs = self.chosen(disk, choice);
        let before = self.reachable_bytes();
        let predicted = self.repository.predict_delete(&of(disk), &seqs).unwrap();
        let freed = self.repository.delete(&of(disk), &seqs).unwrap();
        self.live.get_mut(&of(disk)).unwrap().retain(|seq, _| !seqs.contains(seq));
        assert_eq!(freed.freed_bytes, predicted.freed_bytes, "what was promised");
        let freed_bytes = before - self.reachable_bytes();
        assert_eq!(freed_bytes, predicted.freed_bytes, "what became unreachable");
        self.assert_stored_is_reachable();
        if !seqs.is_empty() {
            let again = self.repository.delete(&of(disk), &seqs).unwrap();
            // What the lists said may be gone with them; nothing else is.
            assert!([freed_bytes, 0].contains(&again.freed_bytes), "{again:?}, {freed_bytes}");
            assert_eq!(again.removed_object_bytes, 0);
            assert_eq!((freed.rescued_packs, again.rescued_packs), (0, 0));
        }
        self.assert_all_restore();
    }

    fn delete_beside(&mut self, (disk, other): (usize, usize), choice: u64, writes_first: bool) {
        let owner = self.owner();
        let mut session = self.repository.begin(&of(disk), &owner).unwrap();
        if writes_first {
            session.write(&self.disks[disk], None, &Job::quiet()).unwrap();
        }
        let seqs = self.chosen(other, choice);
        self.repository.delete(&of(other), &seqs).unwrap();
        self.live.get_mut(&of(other)).unwrap().retain(|seq, _| !seqs.contains(seq));
        if !writes_first {
            session.write(&self.disks[disk], None, &Job::quiet()).unwrap();
        }
        self.repository.reclaim(&of(other)).unwrap();
        let made = session.commit(owner.as_bytes()).unwrap();
        self.keep(disk, made);
        self.assert_all_restore();
        self.repository.reclaim(&of(disk)).unwrap();
        self.assert_stored_is_reachable();
        self.assert_all_restore();
    }

    fn assert_all_restore(&self) {
        for (chain, live) in &self.live {
            for (version, content) in live.values() {
                assert_restores(&self.repository, version, content);
            }
            let expected: Vec<_> = live.values().map(|(version, _)| version.clone()).collect();
            assert_eq!(self.repository.versions(chain).unwrap(), expected);
        }
    }

    fn seqs(&self) -> BTreeMap<ChainRef, BTreeSet<u64>> {
        self.live.iter().map(|(chain, live)| (*chain, live.keys().copied().collect())).collect()
    }

    /// The bytes of all packs.
    fn pack_bytes(&self) -> u64 {
        let objects = self.backend.snapshot();
        let is_pack = |key| matches!(Place::parse(key), Some(Place::Pack(..)));
        objects.iter().filter(|(key, _)| is_pack(key)).map(|(_, bytes)| bytes.len() as u64).sum()
    }

    fn assert_stored_is_reachable(&self) {
        // I6: what the logs and lists say about sizes is what the maps say.
        let audit = self.repository.audit(&Job::quiet()).unwrap();
        assert!(audit.is_right(), "{audit:?}");
        // Nothing is left to do, and the plan says so.
        let plan = self.repository.plan_reclaim(None).unwrap();
        assert!(plan.chains.is_empty() && plan.blocked.is_empty(), "{plan:?}");
        let Some(objects) = shared_objects(self.backend.as_ref()) else { return };
        let (stored, reachable) = (objects.stored(), objects.reachable(&self.seqs()));
        let missing: Vec<_> = reachable.difference(&stored).collect();
        assert!(missing.is_empty(), "needed and not stored: {missing:?}");
        let leaked: Vec<_> = stored.difference(&reachable).collect();
        assert!(leaked.is_empty(), "stored and not needed: {leaked:?}");
    }

    fn reachable_bytes(&self) -> u64 {
        let Some(objects) = shared_objects(self.backend.as_ref()) else { return 0 };
        objects.reachable(&self.seqs()).iter().map(|(_, _, _, bytes)| u64::from(*bytes)).sum()
    }
}

/// `PROPTEST_CASES`, or some.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").map_or(20, |cases| cases.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 300, ..ProptestConfig::default() })]

    /// I1, I4, I5, I6, P3, P7, P9.
    #[test]
    fn any_history_of_sharing_disks_keeps_what_is_needed_and_nothing_else(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        world.assert_all_restore();
        assert_clean(&world.repository);
        for disk in 0..DISKS {
            world.delete(disk, u64::MAX);
        }
        if let Some(objects) = shared_objects(world.backend.as_ref()) {
            assert_eq!(objects.stored(), BTreeSet::new(), "nothing is left of an empty domain");
        }
    }
}
