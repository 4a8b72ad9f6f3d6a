//! Power cuts of the local backend, systematically: short scenarios, cut after every change, with
//! every policy of what survives; then everything that was acknowledged is there (P2, P3; I2).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use cbr_env::SeededRandom;
use cbr_store::backend::{Backend, FileOps, LocalBackend, LocalOptions, Os};
use cbr_store::{ChainRef, CheckDepth, Error, Job, MasterKey, Repository, Result, VersionRef};

use crate::actor::options;
use crate::chance::Chance;
use crate::disk::{Disk, Target};
use crate::files::{Effect, Recorder, Tree, read_tree, scratch, write_tree};
use crate::model::MASTER;
use crate::plan::Setting;
use crate::power::{POLICIES, Policy, after_power_cut};

/// What a caller was told, and after how many changes.
#[derive(Clone, Copy, Debug)]
enum Told {
    /// The owner's version is there.
    Committed(VersionRef),
    /// The deletion was asked for.
    DeleteAsked(VersionRef),
    /// The version is gone.
    Deleted(VersionRef),
}

/// A scenario that was played once.
struct Played {
    chains: Vec<ChainRef>,
    base: Tree,
    effects: Vec<Effect>,
    told: Vec<(usize, Told)>,
    /// What each owner's version must restore to.
    disks: BTreeMap<String, Disk>,
}

/// What the crash states showed.
#[derive(Debug, Default)]
pub struct CrashSummary {
    /// States that were looked at.
    pub states: u64,
    /// What was wrong, and where.
    pub failures: Vec<String>,
}

/// Plays `scenarios` and cuts the power after every `stride`th change, with all policies.
pub fn crash_states(scenarios: u64, stride: usize, threads: usize) -> CrashSummary {
    let next = AtomicU64::new(0);
    let summary = Mutex::new(CrashSummary::default());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= scenarios {
                        return;
                    }
                    let played = play(number);
                    for cut in (0..=played.effects.len()).step_by(stride) {
                        for policy in POLICIES {
                            let seed = (number << 32) ^ ((cut as u64) << 8) ^ policy as u64;
                            let failure = cut_power(&played, cut, policy, seed).err();
                            let mut summary = summary.lock().unwrap();
                            summary.states += 1;
                            if let Some(what) = failure
                                && summary.failures.len() < 20
                            {
                                let place = format!("scenario {number}, change {cut}, {policy:?}");
                                summary.failures.push(format!("{place}: {what}"));
                            }
                        }
                    }
                }
            });
        }
    });
    summary.into_inner().unwrap()
}

/// Every third scenario has two chains that share blocks.
const SHARING: Setting = Setting {
    tenants: 1,
    sharing: 2,
    dedup_ram_bytes: 8 << 20,
    fold_after: 4,
    pack_bytes: 0,
    page: 0,
    overwrites: false,
    has_cache: false,
};

fn open(root: &Path, files: Box<dyn FileOps>, seed: u64) -> Result<Repository> {
    let local = LocalOptions { reserve_bytes: 0, ..LocalOptions::default() };
    let backend: Arc<dyn Backend> = Arc::new(LocalBackend::open_with(root, local, files)?);
    let random = Arc::new(SeededRandom::new(seed));
    Repository::init(backend, MasterKey::from_bytes(MASTER), random, options(100, &SHARING))
}

/// Two or three operations; the first scenario also makes the repository.
fn play(number: u64) -> Played {
    let mut chance = Chance::new(number ^ 0xc0de);
    let directory = scratch();
    let root = directory.path();
    let chains = match number % 3 {
        2 => vec![SHARING.chain(0), SHARING.chain(1)],
        _ => vec![Setting::default().chain(0)],
    };
    let mut disk = Disk { blocks: 6, ..Disk::default() };
    let (base, effects, told, disks) = Default::default();
    let mut played = Played { chains, base, effects, told, disks };
    let mut live = Vec::new();
    if number > 0 {
        let repository = open(root, Box::new(Os), number).unwrap();
        for n in 0..number % 4 {
            disk.set(n, 50 + n);
            let owner = format!("before {n}");
            let version = back_up(&repository, &played.chain(n), &owner, &disk, true);
            let version = version.unwrap().unwrap();
            played.told.push((0, Told::Committed(version)));
            played.disks.insert(owner, disk.clone());
            live.push(version);
        }
        played.base = read_tree(root);
    }
    let recorder = Recorder::new(root);
    let repository = open(root, Box::new(recorder.clone()), number ^ 0xff00).unwrap();
    for n in 0..2 + number % 2 {
        let roll = chance.below(6);
        if roll < 2 && !live.is_empty() {
            let version = live.remove(usize::try_from(chance.below(live.len() as u64)).unwrap());
            played.told.push((recorder.count(), Told::DeleteAsked(version)));
            repository.delete(&version.chain, &[version.seq]).unwrap();
            played.told.push((recorder.count(), Told::Deleted(version)));
            continue;
        }
        for _ in 0..=chance.below(4) {
            disk.set(chance.below(6), 1 + chance.below(1 << 30));
        }
        let owner = format!("task {n}");
        played.disks.insert(owner.clone(), disk.clone());
        let made = back_up(&repository, &played.chain(n + 1), &owner, &disk, roll != 5);
        if let Some(version) = made.unwrap() {
            played.told.push((recorder.count(), Told::Committed(version)));
            live.push(version);
        }
    }
    played.effects = recorder.effects();
    played
}

impl Played {
    fn chain(&self, n: u64) -> ChainRef {
        self.chains[usize::try_from(n % self.chains.len() as u64).unwrap()]
    }
}

fn back_up(
    repository: &Repository,
    chain: &ChainRef,
    owner: &str,
    disk: &Disk,
    commits: bool,
) -> Result<Option<VersionRef>> {
    let mut session = repository.begin(chain, owner)?;
    session.write(disk, None, &Job::quiet())?;
    if commits {
        return Ok(Some(session.commit(b"")?.version));
    }
    session.abort().map(|()| None)
}

/// What is left after the cut; an error says what is wrong with it.
fn cut_power(played: &Played, cut: usize, policy: Policy, seed: u64) -> Result<(), String> {
    let mut chance = Chance::new(seed);
    let tree = after_power_cut(&played.base, &played.effects[..cut], policy, &mut chance);
    let directory = scratch();
    write_tree(directory.path(), &tree);
    let look = Look { played, cut };
    let opened = open(directory.path(), Box::new(Os), seed).map_err(|e| format!("open: {e}"))?;
    look.versions(&opened)?;
    let later = look.goes_on(&opened).map_err(|error| format!("afterwards: {error}"))?;
    later.map_or(Ok(()), Err)
}

struct Look<'a> {
    played: &'a Played,
    cut: usize,
}

impl Look<'_> {
    /// What was acknowledged before the cut is as it was acknowledged.
    fn versions(&self, repository: &Repository) -> Result<(), String> {
        let (mut there, mut maybe, mut gone) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (_, told) in self.played.told.iter().filter(|(at, _)| *at <= self.cut) {
            match told {
                Told::Committed(version) => drop(there.insert(*version)),
                Told::DeleteAsked(version) => drop(maybe.insert(*version)),
                Told::Deleted(version) => drop(gone.insert(*version)),
            }
        }
        let mut listed = Vec::new();
        for chain in &self.played.chains {
            listed.extend(repository.versions(chain).map_err(|e| format!("list: {e}"))?);
        }
        let found: BTreeSet<VersionRef> = listed.iter().map(|info| info.version).collect();
        let is_lost = |version: &&VersionRef| !maybe.contains(version) && !found.contains(version);
        if let Some(version) = there.iter().find(is_lost) {
            return Err(format!("{version:?} was acknowledged and is lost"));
        }
        if let Some(version) = gone.intersection(&found).next() {
            return Err(format!("{version:?} was deleted and is there again"));
        }
        for info in &listed {
            let disk = &self.played.disks[&info.owner];
            restores(repository, info.version, disk)?;
        }
        Ok(())
    }

    /// The service recovers, sweeps, and makes another backup.
    fn goes_on(&self, repository: &Repository) -> Result<Option<String>, Error> {
        for chain in &self.played.chains {
            for owner in repository.unfinished(chain)? {
                repository.abort_unfinished(chain, &owner)?;
            }
        }
        for chain in self.played.chains.iter().chain(&self.played.chains) {
            repository.reclaim(chain)?;
        }
        let mut disk = Disk { blocks: 6, ..Disk::default() };
        disk.set(1, 4711);
        let chain = &self.played.chains[0];
        if let Some(version) = back_up(repository, chain, "afterwards", &disk, true)?
            && let Err(what) = restores(repository, version, &disk)
        {
            return Ok(Some(what));
        }
        let report = repository.check(CheckDepth::ReadData, &Job::quiet())?;
        let is_right = report.is_clean() && report.leftover_bytes == 0;
        Ok((!is_right).then(|| format!("a check finds {report:?}")))
    }
}

/// The version restores to this disk.
fn restores(from: &Repository, version: VersionRef, disk: &Disk) -> Result<(), String> {
    let target = Target::new(disk.bytes());
    from.restore(&version, &target, &Job::quiet())
        .map_err(|error| format!("version {} does not restore: {error}", version.seq))?;
    match target.first_difference(disk) {
        None => Ok(()),
        Some(block) => Err(format!("version {} restores block {block} wrongly", version.seq)),
    }
}
