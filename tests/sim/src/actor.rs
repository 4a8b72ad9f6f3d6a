//! What an actor does: the operations of a plan, repeated after failures as the service would.

use std::collections::BTreeSet;
use std::sync::Arc;

use cbr_env::SeededRandom;
use cbr_store::backend::Backend;
use cbr_store::{
    ChainRef, CheckDepth, Error, Job, MasterKey, Options, Repository, Result, VersionInfo,
    VersionRef,
};
use uuid::Uuid;

use crate::disk::{Disk, Target};
use crate::plan::{End, Harm, Op};
use crate::world::{Known, MASTER, Port, World};

/// How often an operation is tried.
const ATTEMPTS_MAX: usize = 6;

/// The chain of that number. All belong to one tenant.
pub(crate) fn chain(number: usize) -> ChainRef {
    ChainRef::alone(Uuid::from_u128(1), 0, Uuid::from_u128(100 + number as u128))
}

/// Tiny packs, no threads.
pub(crate) fn options(compact_below_percent: u8) -> Options {
    Options {
        threads: 0,
        memory_bytes: 32 << 20,
        zstd_level: 1,
        frame_blocks: 2,
        pack_bytes: 1 << 10,
        map_pack_bytes: 1 << 10,
        compact_below_percent,
        ..Options::default()
    }
}

/// A backup to be made.
struct Task {
    number: usize,
    owner: String,
    disk: Arc<Disk>,
    with_map: bool,
    end: End,
}

/// An actor at work.
pub(crate) struct Actor {
    pub(crate) world: Arc<World>,
    pub(crate) me: usize,
    pub(crate) seed: u64,
    pub(crate) compact_below_percent: u8,
    repository: Option<(u64, Repository)>,
    /// Numbers its processes and its backups.
    count: u64,
}

impl Actor {
    pub(crate) fn new(world: &Arc<World>, me: usize, seed: u64, compact_below_percent: u8) -> Self {
        let world = Arc::clone(world);
        Self { world, me, seed, compact_below_percent, repository: None, count: 0 }
    }

    /// Does one operation.
    pub(crate) fn perform(&mut self, op: &Op) {
        match op {
            Op::Backup { chain, edits, resize, with_map, end } => {
                let (owner, disk) = self.edit(*chain, edits, *resize);
                let (number, with_map, end) = (*chain, *with_map, *end);
                self.back_up(&Task { number, owner, disk, with_map, end }, false);
            }
            Op::TakeOver { chain } => {
                let latest = self.world.lock().model.disks.get(chain).cloned();
                let Some((disk, owner)) = latest else { return };
                self.world.lock().saw("a session was taken over");
                let (number, with_map, end) = (*chain, false, End::Commit);
                self.back_up(&Task { number, owner, disk, with_map, end }, true);
            }
            Op::Delete { chain, choice, count } => self.delete(*chain, *choice, *count),
            Op::Reclaim { chain: number } => {
                self.repeat("reclaim", |repository| repository.reclaim(&chain(*number)).map(drop));
            }
            Op::Check { deep } => self.check(*deep),
            Op::Restore { chain, choice } => self.restore(*chain, *choice),
            Op::Corrupt { harm, choice } => self.corrupt(*harm, *choice),
        }
        self.world.lock().doing(self.me, "");
    }

    /// The repository of the living process; a dead one is replaced.
    fn repository(&mut self) -> Result<&Repository> {
        let life = self.world.lock().life(self.me);
        if self.repository.as_ref().is_none_or(|(of, _)| *of != life) {
            self.repository = None;
            self.count += 1;
            let seed = (self.seed << 16) ^ ((self.me as u64) << 8) ^ self.count;
            let backend: Arc<dyn Backend> = Arc::new(Port::new(&self.world, self.me));
            let random = Arc::new(SeededRandom::new(seed));
            let options = options(self.compact_below_percent);
            let master = MasterKey::from_bytes(MASTER);
            let repository = Repository::open(backend, master, random, options)?;
            self.repository = Some((life, repository));
        }
        let none = || Error::Invalid { what: "no repository".to_owned() };
        self.repository.as_ref().map(|(_, repository)| repository).ok_or_else(none)
    }

    /// Tries until it works; the last error otherwise.
    fn repeat(&mut self, doing: &'static str, call: impl Fn(&Repository) -> Result<()>) -> bool {
        for _ in 0..ATTEMPTS_MAX {
            let faults = self.begin(doing);
            let result = self.repository().and_then(&call);
            match result {
                Ok(()) => return true,
                Err(error) => self.refused(doing, faults, &error),
            }
        }
        false
    }

    fn begin(&self, doing: &'static str) -> u64 {
        let mut inner = self.world.lock();
        inner.doing(self.me, doing);
        inner.faults_of(self.me)
    }

    /// An operation failed: was it allowed to?
    fn refused(&self, doing: &str, faults: u64, error: &Error) {
        let mut inner = self.world.lock();
        if matches!(error, Error::Implausible { .. }) {
            inner.saw("a sweep refused to delete");
        }
        let is_excused = inner.faults_of(self.me) > faults || inner.is_harmed();
        let is_legal = matches!(error, Error::ChainBusy { .. } | Error::SessionLost { .. });
        if !is_excused && !is_legal {
            inner.saw("refused without a fault");
            if !error.is_transient() && !matches!(error, Error::Implausible { .. }) {
                inner.violation(format!("{doing} failed without a fault: {error}"));
            }
        }
    }

    /// The chain's disk, changed; and the name of who backs it up.
    fn edit(
        &mut self,
        chain: usize,
        edits: &[(u64, u64)],
        resize: Option<u64>,
    ) -> (String, Arc<Disk>) {
        self.count += 1;
        let owner = format!("actor {} task {}", self.me, self.count);
        let mut inner = self.world.lock();
        let (mut disk, _) = inner.model.disks.get(&chain).map_or_else(
            || (Disk { blocks: 10, ..Disk::default() }, String::new()),
            |(disk, owner)| (Disk::clone(disk), owner.clone()),
        );
        if let Some(blocks) = resize {
            inner.saw(if blocks > disk.blocks { "a disk grew" } else { "a disk shrank" });
            disk.resize(blocks);
        }
        for (at, fill) in edits {
            if *at >= disk.blocks {
                disk.resize(at + 1);
            }
            disk.set(*at, *fill);
        }
        let disk = Arc::new(disk);
        inner.model.disks.insert(chain, (Arc::clone(&disk), owner.clone()));
        inner.model.owners.insert((chain, owner.clone()), Arc::clone(&disk));
        (owner, disk)
    }

    fn back_up(&mut self, task: &Task, mut again: bool) {
        for _ in 0..ATTEMPTS_MAX {
            let faults = self.begin(if again { "recovery" } else { "backup" });
            match self.try_backup(task, again) {
                Ok(Some(version)) => return self.acknowledge(task, &version),
                Ok(None) => return,
                Err(Error::ChainBusy { owner }) if owner != task.owner => {
                    self.world.lock().saw("the chain was busy");
                }
                Err(error) => {
                    if matches!(error, Error::SessionLost { .. }) {
                        self.world.lock().saw("a zombie lost its session");
                    }
                    // A zombie's parent may be gone: nothing pins it any more.
                    if !self.world.lock().oracle.was_aborted(&task.owner) {
                        self.refused("backup", faults, &error);
                    }
                    again = true;
                }
            }
        }
    }

    /// One attempt; the version, or nothing if none was wanted.
    fn try_backup(&mut self, task: &Task, again: bool) -> Result<Option<VersionInfo>> {
        let Task { number, owner, disk, with_map, end } = task;
        let (world, me) = (Arc::clone(&self.world), self.me);
        let repository = self.repository()?;
        let chain = chain(*number);
        if again {
            repository.abort_unfinished(&chain, owner)?;
            if let Some(version) = repository.find_by_owner(&chain, owner)? {
                world.lock().saw("an unacknowledged commit was found by its owner");
                return Ok(Some(version));
            }
        }
        world.lock().doing(me, "backup");
        let mut session = repository.begin(&chain, owner)?;
        let parent = session.parent().and_then(|seq| {
            let inner = world.lock();
            Some(Arc::clone(&inner.model.versions.get(&(*number, seq))?.disk))
        });
        let changed = parent.filter(|_| *with_map).map(|parent| disk.changed(&parent));
        if changed.is_some() {
            world.lock().saw("a change map was used");
        }
        let stats = session.write(disk.as_ref(), changed.as_deref(), &Job::quiet())?;
        if stats.stored_bytes == 0 {
            world.lock().saw("a backup stored nothing");
        }
        match end {
            End::Commit => session.commit(owner.as_bytes()).map(Some),
            End::Abort => {
                world.lock().saw("a backup was aborted by its owner");
                session.abort().map(|()| None)
            }
            End::Drop => {
                world.lock().saw("a backup was left behind");
                Ok(None)
            }
        }
    }

    fn acknowledge(&self, task: &Task, version: &VersionInfo) {
        let Task { number, owner, disk, .. } = task;
        let number = *number;
        let mut inner = self.world.lock();
        let seq = version.version.seq;
        inner.saw("a backup was committed");
        let found = inner.oracle.owner(chain(number), seq).map(str::to_owned);
        if found.as_deref() != Some(owner.as_str()) && !inner.is_harmed() {
            inner.violation(format!("{owner} was told that it made version {seq}, of {found:?}"));
        }
        if (version.disk_bytes, version.used_bytes) != (disk.bytes(), disk.used_bytes()) {
            inner.violation(format!("version {seq} has wrong sizes: {version:?}"));
        }
        let packs = inner.oracle.packs_of(chain(number), seq).len();
        if packs > 2 {
            inner.saw("a backup of one session has several packs");
        }
        let known = Known { disk: Arc::clone(disk), delete_asked: false, is_deleted: false };
        inner.model.versions.entry((number, seq)).or_insert(known);
    }

    fn live(&self, number: usize) -> Vec<u64> {
        let inner = self.world.lock();
        let of_chain = inner.model.versions.range((number, 0)..=(number, u64::MAX));
        of_chain.filter(|(_, known)| !known.delete_asked).map(|((_, seq), _)| *seq).collect()
    }

    fn delete(&mut self, number: usize, choice: u64, count: u64) {
        let live = self.live(number);
        if live.is_empty() {
            return;
        }
        let seqs: BTreeSet<u64> = (0..count)
            .map(|n| {
                live[usize::try_from(
                    choice.rotate_left(7 * u32::try_from(n).unwrap()) % live.len() as u64,
                )
                .unwrap()]
            })
            .collect();
        let seqs: Vec<u64> = seqs.into_iter().collect();
        for seq in &seqs {
            let mut inner = self.world.lock();
            if let Some(known) = inner.model.versions.get_mut(&(number, *seq)) {
                known.delete_asked = true;
            }
        }
        let is_done =
            self.repeat("delete", |repository| repository.delete(&chain(number), &seqs).map(drop));
        for seq in seqs.iter().filter(|_| is_done) {
            let mut inner = self.world.lock();
            if let Some(known) = inner.model.versions.get_mut(&(number, *seq)) {
                known.is_deleted = true;
            }
        }
    }

    fn check(&mut self, deep: bool) {
        let depth = if deep { CheckDepth::ReadData } else { CheckDepth::Structure };
        let chains: Vec<usize> = self.world.lock().model.disks.keys().copied().collect();
        for number in chains {
            self.list(number);
        }
        let faults = self.begin("check");
        let report = self.repository().and_then(|r| r.check(depth, &Job::quiet()));
        match report {
            Err(error) => self.refused("check", faults, &error),
            Ok(report) if report.is_clean() => {}
            Ok(report) => {
                let mut inner = self.world.lock();
                inner.saw("a check found damage");
                if inner.faults_of(self.me) == faults && !inner.is_harmed() {
                    inner.violation(format!("a false alarm: {:?}", report.problems));
                }
            }
        }
    }

    /// A list shows every version that was there before and after, or it fails.
    fn list(&mut self, number: usize) {
        let before = self.live(number);
        self.begin("list");
        let Ok(listed) = self.repository().and_then(|r| r.versions(&chain(number))) else { return };
        let after = self.live(number);
        for seq in before.iter().filter(|seq| after.contains(seq)) {
            if listed.iter().all(|info| info.version.seq != *seq) {
                self.world.lock().violation(format!("live version {seq} is not listed"));
            }
        }
    }

    fn restore(&mut self, number: usize, choice: u64) {
        let live = self.live(number);
        if live.is_empty() {
            return;
        }
        let seq = live[usize::try_from(choice % live.len() as u64).unwrap()];
        let disk = Arc::clone(&self.world.lock().model.versions[&(number, seq)].disk);
        let faults = self.begin("restore");
        let target = Target::new(disk.bytes());
        let version = VersionRef { chain: chain(number), seq };
        let result = self.repository().and_then(|r| r.restore(&version, &target, &Job::quiet()));
        let mut inner = self.world.lock();
        let is_deleted = inner.model.versions[&(number, seq)].delete_asked;
        if is_deleted {
            inner.saw("a version was deleted while it was read");
        }
        match result {
            Ok(_) => {
                if let Some(block) = target.first_difference(&disk) {
                    inner.violation(format!("version {seq} restored block {block} wrongly"));
                }
            }
            Err(error) => {
                let is_excused = is_deleted || inner.faults_of(self.me) > faults;
                if inner.is_harmed() {
                    inner.saw("a restore refused damage");
                } else if !is_excused {
                    inner.violation(format!("live version {seq} does not restore: {error}"));
                }
            }
        }
    }

    fn corrupt(&self, harm: Harm, choice: u64) {
        let mut inner = self.world.lock();
        let keys: Vec<_> = inner
            .objects
            .keys()
            .filter(|key| key.as_str().contains("/p/") || key.as_str().contains("/m/"))
            .cloned()
            .collect();
        if keys.is_empty() {
            return;
        }
        let pick = |choice: u64| keys[usize::try_from(choice % keys.len() as u64).unwrap()].clone();
        let key = pick(choice);
        let mut object = inner.objects[&key].clone();
        match harm {
            Harm::Flip => {
                let at = usize::try_from((choice >> 20) % object.len() as u64).unwrap();
                object[at] ^= 1 << (choice >> 61);
            }
            Harm::Truncate => object.truncate(object.len() / 3 * 2),
            Harm::Swap => object.clone_from(&inner.objects[&pick(choice >> 16)]),
            Harm::Lose => {
                inner.objects.remove(&key);
                return;
            }
        }
        inner.objects.insert(key, object);
    }
}
