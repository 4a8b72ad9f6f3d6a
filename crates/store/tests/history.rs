//! Random histories against a model: writes, trims, resizes, backups with and without change maps,
//! interrupted sessions, deletions in any order also beside an open session and into the trash and back,
//! reclaims.
//!
//! After every step: each live version restores byte for byte (I1, P7); what a deletion said it
//! would free is what it freed (I5); and the slots that are stored are exactly those reachable from
//! the maps of live versions, and of those in the trash, plus the death lists of the lineage (I4, P3). Reachability is computed
//! here, from the objects, by other code than the engine's.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod disk;
mod reachable;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use cbr_env::{Random, SeededRandom};
use cbr_store::backend::MemoryBackend;
use cbr_store::crypto::MasterKey;
use cbr_store::{ChainRef, CheckDepth, Error, Job, Options, Repository, VersionInfo};
use disk::{BLOCK, Disk, LEAF, assert_restores, backup_as};
use proptest::collection::vec;
use proptest::prelude::*;
use reachable::Objects;
use uuid::Uuid;

const CHAIN: ChainRef = ChainRef::alone(Uuid::from_u128(1), 0, Uuid::from_u128(2));
const MASTER: [u8; 32] = [9; 32];

#[derive(Clone, Debug)]
enum Step {
    Write {
        at: u64,
        length: u64,
        seed: u64,
    },
    Wipe {
        at: u64,
        length: u64,
    },
    Trim {
        at: u64,
        length: u64,
    },
    Resize {
        size: u64,
    },
    Backup {
        with_change_map: bool,
    },
    /// A session that is given up: aborted, or left behind by a crash.
    GiveUp {
        cleanly: bool,
    },
    /// The chosen versions are deleted while a session is open that then commits.
    DeleteBesideBackup {
        choice: u64,
    },
    Delete {
        choice: u64,
    },
    /// The chosen versions are deleted into the trash, taken back, or given up.
    Trash {
        choice: u64,
    },
    Undelete {
        choice: u64,
    },
    Purge {
        choice: u64,
    },
    Reclaim,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let at = 0..3 * LEAF;
    let length = prop_oneof![1..BLOCK, BLOCK..6 * BLOCK, BLOCK..LEAF / 4];
    let size = prop_oneof![
        4 => 0..3 * BLOCK,
        6 => 0..3 * LEAF,
        4 => Just(2 * LEAF),
        1 => Just(257 * LEAF + 5), // one level more
    ];
    let step = prop_oneof![
        6 => (at.clone(), length.clone(), 1..1000_u64)
            .prop_map(|(at, length, seed)| Step::Write { at, length, seed }),
        1 => (at.clone(), length.clone()).prop_map(|(at, length)| Step::Wipe { at, length }),
        2 => (at, length).prop_map(|(at, length)| Step::Trim { at, length }),
        1 => size.prop_map(|size| Step::Resize { size }),
        6 => any::<bool>().prop_map(|with_change_map| Step::Backup { with_change_map }),
        1 => any::<bool>().prop_map(|cleanly| Step::GiveUp { cleanly }),
        1 => any::<u64>().prop_map(|choice| Step::DeleteBesideBackup { choice }),
        3 => any::<u64>().prop_map(|choice| Step::Delete { choice }),
        3 => any::<u64>().prop_map(|choice| Step::Trash { choice }),
        1 => any::<u64>().prop_map(|choice| Step::Undelete { choice }),
        1 => any::<u64>().prop_map(|choice| Step::Purge { choice }),
        1 => Just(Step::Reclaim),
    ];
    vec(step, 1..32)
}

struct World {
    backend: Arc<MemoryBackend>,
    repository: Repository,
    compacts_always: bool,
    disk: Disk,
    /// What changed since the last version was made, and since which one.
    changed: Vec<Range<u64>>,
    changed_since: Option<u64>,
    live: BTreeMap<u64, (VersionInfo, Disk)>,
    trashed: BTreeMap<u64, (VersionInfo, Disk)>,
    sessions: u64,
}

impl World {
    fn new(compact_below_percent: u8) -> Self {
        let backend = Arc::new(MemoryBackend::default());
        let random: Arc<dyn Random> = Arc::new(SeededRandom::new(1));
        let options = Options {
            threads: 2,
            frame_blocks: 3,
            pack_bytes: 1 << 16,
            map_pack_bytes: 1 << 16,
            compact_below_percent,
            // Every other begin folds the log, every other reads a fold and what came after.
            fold_after: 3,
            ..Options::default()
        };
        let master = MasterKey::from_bytes(MASTER);
        let repository = Repository::init(backend.clone(), master, random, options).unwrap();
        let compacts_always = compact_below_percent == 100;
        Self {
            backend,
            repository,
            compacts_always,
            disk: Disk::new(2 * LEAF + 777),
            changed: Vec::new(),
            changed_since: None,
            live: BTreeMap::new(),
            trashed: BTreeMap::new(),
            sessions: 0,
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Write { at, length, seed } => {
                self.change(at..at + length, |disk, range| disk.write(range, seed));
            }
            Step::Wipe { at, length } => self.change(at..at + length, Disk::wipe),
            Step::Trim { at, length } => self.change(at..at + length, Disk::trim),
            Step::Resize { size } => {
                // What a disk loses and gets again is a change as well.
                self.changed.push(size..self.disk.size.max(size));
                self.disk.resize(size);
            }
            Step::Backup { with_change_map } => self.backup(with_change_map),
            Step::GiveUp { cleanly } => self.give_up(cleanly),
            Step::DeleteBesideBackup { choice } => self.delete_beside_backup(choice),
            Step::Delete { choice } => self.delete(choice),
            Step::Trash { choice } => self.trash(choice),
            Step::Undelete { choice } => self.undelete(choice),
            Step::Purge { choice } => self.purge(choice),
            Step::Reclaim => {
                self.repository.reclaim(&CHAIN).unwrap();
                self.assert_stored_is_reachable();
            }
        }
    }

    fn change(&mut self, range: Range<u64>, change: impl FnOnce(&mut Disk, Range<u64>)) {
        let range = range.start.min(self.disk.size)..range.end.min(self.disk.size);
        change(&mut self.disk, range.clone());
        self.changed.push(range);
    }

    fn backup(&mut self, with_change_map: bool) {
        self.sessions += 1;
        let owner = format!("task {}", self.sessions);
        let parent = self.kept().keys().last().copied();
        // A change map is only good against the version it counts from.
        let is_usable = with_change_map && self.changed_since == parent && parent.is_some();
        let changed = is_usable.then(|| self.changed.clone());
        let made =
            backup_as(&self.repository, &CHAIN, &owner, &self.disk, changed.as_deref()).unwrap();
        assert_eq!(made.parent, parent);
        assert_eq!(made.used_bytes, self.disk.used_bytes().min(self.disk.size));
        self.keep(made);
    }

    fn keep(&mut self, made: VersionInfo) {
        self.changed.clear();
        self.changed_since = Some(made.version.seq);
        self.live.insert(made.version.seq, (made, self.disk.clone()));
    }

    fn give_up(&mut self, cleanly: bool) {
        self.sessions += 1;
        let owner = format!("task {}", self.sessions);
        let mut session = self.repository.begin(&CHAIN, &owner).unwrap();
        session.write(&self.disk, None, &Job::quiet()).unwrap();
        if cleanly {
            session.abort().unwrap();
        } else {
            drop(session);
            let busy = self.repository.begin(&CHAIN, "another");
            assert!(matches!(busy, Err(Error::ChainBusy { .. })));
            self.repository.abort_unfinished(&CHAIN, &owner).unwrap();
        }
        assert_eq!(self.repository.find_by_owner(&CHAIN, &owner).unwrap(), None);
        self.assert_stored_is_reachable();
    }

    /// What must stay stored.
    fn kept(&self) -> BTreeMap<u64, (VersionInfo, Disk)> {
        self.live.clone().into_iter().chain(self.trashed.clone()).collect()
    }

    /// I5: nothing is freed, and what purging all the trash would free is foreseen exactly.
    fn trash(&mut self, choice: u64) {
        let seqs = chosen(&self.live, choice);
        let before = self.reachable_bytes();
        self.repository.trash(&CHAIN, &seqs, None, "test").unwrap();
        for seq in &seqs {
            self.trashed.extend(self.live.remove_entry(seq));
        }
        self.assert_stored_is_reachable();
        assert_eq!(self.reachable_bytes(), before, "nothing is freed");
        let only_trash = before - self.reachable_bytes_of(&self.live);
        assert_eq!(self.repository.trash_bytes(&CHAIN).unwrap(), only_trash);
        for (version, _) in self.trashed.values() {
            let read = self.repository.open_disk(&version.version);
            assert!(matches!(read, Err(Error::InTrash { .. })), "{read:?}");
        }
    }

    fn undelete(&mut self, choice: u64) {
        let seqs = chosen(&self.trashed, choice);
        self.repository.undelete(&CHAIN, &seqs, None, "test").unwrap();
        for seq in &seqs {
            self.live.extend(self.trashed.remove_entry(seq));
        }
        self.assert_all_restore();
    }

    fn purge(&mut self, choice: u64) {
        let seqs = chosen(&self.trashed, choice);
        let before = self.reachable_bytes();
        let foreseen = self.repository.preview_delete(&CHAIN, &seqs).unwrap();
        let freed = self.repository.purge(&CHAIN, &seqs, None, "test").unwrap();
        self.trashed.retain(|seq, _| !seqs.contains(seq));
        assert_eq!(freed.freed_bytes, foreseen, "what was foreseen");
        assert_eq!(before - self.reachable_bytes(), foreseen, "what became unreachable");
        self.assert_stored_is_reachable();
        let again = self.repository.purge(&CHAIN, &seqs, None, "test").unwrap();
        assert_eq!((again.freed_bytes, again.removed_object_bytes), (foreseen, 0));
    }

    fn delete(&mut self, choice: u64) {
        let seqs = chosen(&self.live, choice);
        let before = self.reachable_bytes();
        let preview = self.repository.preview_delete(&CHAIN, &seqs).unwrap();
        let usage = self.repository.usage(&CHAIN).unwrap();
        assert_eq!(usage.needed_bytes(), before, "all that is reachable");
        for sizes in usage.versions() {
            let alone = self.repository.preview_delete(&CHAIN, &[sizes.version.seq]).unwrap();
            assert_eq!(sizes.unique_bytes, alone, "only {} needs it", sizes.version);
            assert_eq!(
                sizes.unique_bytes,
                before - self.reachable_bytes_without(sizes.version.seq)
            );
        }
        assert_eq!(self.repository.what_if(&CHAIN, &seqs).unwrap(), preview, "what if");
        let freed = self.repository.delete(&CHAIN, &seqs).unwrap();
        self.live.retain(|seq, _| !seqs.contains(seq));
        assert_eq!(freed.freed_bytes, preview, "what was promised");
        assert_eq!(before - self.reachable_bytes(), preview, "what became unreachable");
        self.assert_stored_is_reachable();
        // BAK-37, and a repeated deletion changes nothing and says the same.
        if !seqs.is_empty() {
            let again = self.repository.delete(&CHAIN, &seqs).unwrap();
            assert_eq!((again.freed_bytes, again.removed_object_bytes), (preview, 0));
        }
    }

    fn delete_beside_backup(&mut self, choice: u64) {
        self.sessions += 1;
        let owner = format!("task {}", self.sessions);
        let mut session = self.repository.begin(&CHAIN, &owner).unwrap();
        let seqs = chosen(&self.live, choice);
        let predicted = self.repository.what_if(&CHAIN, &seqs).unwrap();
        let freed = self.repository.delete(&CHAIN, &seqs).unwrap();
        assert_eq!(freed.freed_bytes, predicted, "what if, beside an open session");
        self.live.retain(|seq, _| !seqs.contains(seq));
        session.write(&self.disk, None, &Job::quiet()).unwrap();
        self.repository.reclaim(&CHAIN).unwrap();
        let made = session.commit(owner.as_bytes()).unwrap();
        self.keep(made);
        self.repository.reclaim(&CHAIN).unwrap();
        self.assert_stored_is_reachable();
    }

    fn assert_all_restore(&self) {
        for (version, disk) in self.live.values() {
            assert_restores(&self.repository, version, disk);
        }
        let expected: Vec<_> = self.live.values().map(|(version, _)| version.clone()).collect();
        assert_eq!(self.repository.versions(&CHAIN).unwrap(), expected);
    }

    fn assert_stored_is_reachable(&self) {
        // I6: what the log says about sizes is what the maps say.
        let audit = self.repository.audit(&Job::quiet()).unwrap();
        assert!(audit.is_right(), "{audit:?}");
        assert_eq!(audit.chains.len(), usize::from(!self.kept().is_empty()));
        let Some(objects) = objects(self.backend.as_ref()) else { return };
        let (stored, reachable) = (objects.stored(), objects.reachable(&seqs(&self.kept())));
        let missing: Vec<_> = reachable.difference(&stored).collect();
        assert!(missing.is_empty(), "needed and not stored: {missing:?}");
        if self.compacts_always {
            let leaked: Vec<_> = stored.difference(&reachable).collect();
            assert!(leaked.is_empty(), "stored and not needed: {leaked:?}");
        }
    }

    fn reachable_bytes(&self) -> u64 {
        self.reachable_bytes_of(&self.kept())
    }

    fn reachable_bytes_without(&self, seq: u64) -> u64 {
        let mut kept = self.kept();
        kept.remove(&seq);
        self.reachable_bytes_of(&kept)
    }

    fn reachable_bytes_of(&self, live: &BTreeMap<u64, (VersionInfo, Disk)>) -> u64 {
        let Some(objects) = objects(self.backend.as_ref()) else { return 0 };
        objects.reachable(&seqs(live)).iter().map(|(_, _, _, bytes)| u64::from(*bytes)).sum()
    }
}

/// The versions whose bit is set in `choice`.
fn chosen(of: &BTreeMap<u64, (VersionInfo, Disk)>, choice: u64) -> Vec<u64> {
    let bits = (0..64).map(|bit| choice >> bit & 1 == 1);
    of.keys().zip(bits).filter(|(_, is_chosen)| *is_chosen).map(|(seq, _)| *seq).collect()
}

fn seqs(live: &BTreeMap<u64, (VersionInfo, Disk)>) -> BTreeMap<ChainRef, BTreeSet<u64>> {
    BTreeMap::from([(CHAIN, live.keys().copied().collect())])
}

/// The objects of the one chain; after a sweep each pack has one generation.
fn objects(backend: &MemoryBackend) -> Option<Objects<'_>> {
    let objects = Objects::open(backend, MASTER, CHAIN.domain())?;
    objects.assert_one_generation_each();
    Some(objects)
}

fn live_through(steps: &[Step], compact_below_percent: u8) {
    let mut world = World::new(compact_below_percent);
    for step in steps {
        world.step(step);
        if matches!(step, Step::Delete { .. } | Step::DeleteBesideBackup { .. }) {
            world.assert_all_restore();
        }
    }
    world.assert_all_restore();
    let report = world.repository.check(CheckDepth::ReadData, &Job::quiet()).unwrap();
    assert!(report.is_clean(), "{report:#?}");
    let everything: Vec<u64> = world.kept().into_keys().collect();
    world.repository.delete(&CHAIN, &everything).unwrap();
    if let Some(objects) = objects(world.backend.as_ref()) {
        assert_eq!(objects.stored(), BTreeSet::new(), "nothing is left of an empty chain");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 300, ..ProptestConfig::default() })]

    /// I1, I4, I5, P3, P7; BAK-33, BAK-36, BAK-37.
    #[test]
    fn any_history_with_exact_compaction_keeps_what_is_needed_and_nothing_else(steps in steps()) {
        live_through(&steps, 100);
    }

    /// The same where packs are rewritten only when it pays.
    #[test]
    fn any_history_with_lazy_compaction_keeps_what_is_needed(steps in steps()) {
        live_through(&steps, 60);
    }
}
