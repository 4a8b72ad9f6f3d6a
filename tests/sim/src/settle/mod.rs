//! After a run: everything heals, and what is left must be exactly right.

mod keys;
mod mend;
mod notes;
mod trash;

use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard};

use cbr_env::SeededRandom;
use cbr_store::backend::Key;
use cbr_store::format::id::DomainId;
use cbr_store::format::place::Place;
use cbr_store::{CheckDepth, CheckReport, Job, MasterKey, Repository, Result, VersionRef};

use crate::actor::options;
use crate::cache::Cache;
use crate::disk::{Disk, Target};
use crate::model::{Known, Reign};
use crate::oracle::Slot;
use crate::plan::Plan;
use crate::port::Port;
use crate::world::{Inner, World};

/// Opens the repository on what is left, brings it to rest, and looks.
pub(crate) fn settle(world: &Arc<World>, plan: &Plan) {
    world.lock().land(true);
    let is_harmed = world.lock().is_harmed();
    let mut rest = Rest { world, plan, is_harmed, opened: 0 };
    if let Err(error) = rest.run() {
        world.lock().violation(format!("after everything healed: {error}"));
    }
}

struct Rest<'a> {
    world: &'a Arc<World>,
    plan: &'a Plan,
    is_harmed: bool,
    opened: u64,
}

impl Rest<'_> {
    fn run(&mut self) -> Result<()> {
        self.keys()?;
        let repository = self.open(self.reigning())?;
        self.sweep(&repository)?;
        for number in self.chains() {
            self.trash(&repository, number)?;
        }
        self.notes(&repository)?;
        self.kept_maps(&repository)?;
        let mut failed = BTreeSet::new();
        for number in self.chains() {
            self.versions(&repository, number, &mut failed)?;
        }
        let report = self.check(&repository, &failed)?;
        if self.is_harmed {
            return self.mend(&repository, &report);
        }
        let what = format!("it has {} bytes that nobody needs", report.leftover_bytes);
        self.demand(report.leftover_bytes == 0, &what);
        let what = format!("{} objects have strange names", report.unknown_objects);
        self.demand(report.unknown_objects == 0, &what);
        for number in self.chains() {
            self.removal(&repository, number)?;
        }
        self.demand_empty();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.world.lock()
    }

    /// The newest master key.
    fn reigning(&self) -> usize {
        self.lock().model.reigning(Reign::InForce).last().copied().unwrap_or_default()
    }

    /// The chains whose tenants have their keys still.
    fn chains(&self) -> Vec<usize> {
        let inner = self.lock();
        let is_there = |chain: &usize| {
            !inner.model.shredded.contains_key(&self.plan.setting.tenant_of(*chain))
        };
        (0..self.plan.chains).filter(is_there).collect()
    }

    /// A new process that nothing happens to.
    fn open(&mut self, master: usize) -> Result<Repository> {
        self.opened += 1;
        let bytes = self.lock().model.masters[master].bytes;
        let random = Arc::new(SeededRandom::new(self.plan.seed ^ (self.opened << 48) ^ 0xe0d));
        let options = options(self.plan.compact_below_percent, &self.plan.setting);
        let backend = Port::open(self.world, None)?;
        let repository = Repository::open(backend, MasterKey::from_bytes(bytes), random, options)?;
        if !self.plan.setting.has_cache {
            return Ok(repository);
        }
        Ok(repository.with_cache(Arc::new(Cache::new(self.world, None))))
    }

    fn demand(&self, holds: bool, what: &str) {
        if !holds {
            self.lock().violation(format!("at rest: {what}"));
        }
    }

    /// Unresolved sessions end, and sweeps run.
    fn sweep(&self, repository: &Repository) -> Result<()> {
        let swept = (|| {
            let chains = self.chains();
            for number in &chains {
                let chain = self.plan.setting.chain(*number);
                for owner in repository.unfinished(&chain)? {
                    repository.abort_unfinished(&chain, &owner)?;
                }
            }
            for number in chains.iter().chain(&chains) {
                repository.reclaim(&self.plan.setting.chain(*number))?;
            }
            Ok(())
        })();
        match swept {
            Err(_) if self.is_harmed => Ok(()),
            swept => swept,
        }
    }

    /// What the cache says of nodes is what they say: too little would only show where the first proof is wrong too.
    fn kept_maps(&self, repository: &Repository) -> Result<()> {
        for number in self.chains() {
            let chain = self.plan.setting.chain(number);
            let (right, wrong) = repository.compare_kept_maps(&chain)?;
            self.demand(wrong == 0, &format!("the cache is wrong about {wrong} nodes of {chain}"));
            if right > 0 {
                self.lock().saw("a cache was compared with the maps");
            }
        }
        Ok(())
    }

    /// Every version is as its maker knows it.
    fn versions(
        &self,
        repository: &Repository,
        number: usize,
        failed: &mut BTreeSet<VersionRef>,
    ) -> Result<()> {
        let listed = repository.versions(&self.plan.setting.chain(number))?;
        let found: BTreeSet<u64> = listed.iter().map(|info| info.version.seq).collect();
        let lost: Vec<u64> = {
            let inner = self.lock();
            let known = inner.model.versions.range((number, 0)..=(number, u64::MAX));
            let chain = self.plan.setting.chain(number);
            let is_expected = |seq: u64, known: &Known| {
                !known.delete_asked && (!known.is_moved || inner.oracle.is_live(chain, seq))
            };
            let acknowledged = known.filter(|((_, seq), known)| is_expected(*seq, known));
            acknowledged.map(|((_, seq), _)| *seq).filter(|seq| !found.contains(seq)).collect()
        };
        self.demand(lost.is_empty(), &format!("acknowledged versions are lost: {lost:?}"));
        for info in listed {
            let seq = info.version.seq;
            let Some(disk) = self.disk_of(number, &info.owner) else {
                self.demand(false, &format!("version {seq} is of {}", info.owner));
                continue;
            };
            let is_back = {
                let inner = self.lock();
                inner.model.versions.get(&(number, seq)).is_some_and(|known| known.is_deleted)
            };
            self.demand(!is_back, &format!("deleted version {seq} is there again"));
            if !self.restores(repository, info.version, &disk) {
                failed.insert(info.version);
            }
        }
        Ok(())
    }

    fn disk_of(&self, number: usize, owner: &str) -> Option<Arc<Disk>> {
        self.lock().model.owners.get(&(number, owner.to_owned())).cloned()
    }

    fn restores(&self, repository: &Repository, version: VersionRef, disk: &Disk) -> bool {
        let target = Target::new(disk.bytes());
        match repository.restore(&version, &target, &Job::quiet()) {
            Ok(_) => {
                let difference = target.first_difference(disk);
                let what = format!("version {} restores {difference:?} wrongly", version.seq);
                self.demand(difference.is_none(), &what);
                true
            }
            Err(error) => {
                self.lock().saw("a restore refused damage");
                let what = format!("version {} does not restore: {error}", version.seq);
                self.demand(self.is_harmed, &what);
                false
            }
        }
    }

    /// P5: who cannot be restored is exactly who a check names.
    fn check(&self, from: &Repository, failed: &BTreeSet<VersionRef>) -> Result<CheckReport> {
        let report = from.check(CheckDepth::ReadData, &Job::quiet())?;
        if !report.is_clean() {
            self.lock().saw("a check found damage");
            self.demand(self.is_harmed, &format!("it is damaged: {:?}", report.problems));
        }
        let affected: BTreeSet<VersionRef> = report
            .problems
            .iter()
            .flat_map(|problem| problem.affected.iter().map(|affected| affected.version))
            .collect();
        self.demand(affected == *failed, &format!("affected {affected:?}, failed {failed:?}"));
        Ok(report)
    }

    fn stored_bytes(&self) -> u64 {
        self.lock().oracle.stored().iter().map(|slot| u64::from(slot.2)).sum()
    }

    fn of_existing(&self, slots: BTreeSet<Slot>) -> BTreeSet<Slot> {
        let chains = self.chains();
        let tenants: BTreeSet<_> =
            chains.iter().map(|number| self.plan.setting.chain(*number).tenant).collect();
        slots.into_iter().filter(|slot| tenants.contains(&slot.0.domain.tenant)).collect()
    }

    /// Nothing is left that nobody needs; what a deletion frees is known before; the rest stays.
    fn removal(&self, repository: &Repository, number: usize) -> Result<()> {
        let chain = self.plan.setting.chain(number);
        let strays = self.lock().oracle.strays();
        self.demand(strays.is_empty(), &format!("packs of no version: {strays:?}"));
        let is_exact = self.plan.compact_below_percent == 100;
        if is_exact {
            let (needed, stored) = {
                let inner = self.lock();
                (inner.oracle.needed(), inner.oracle.stored())
            };
            let leaked: Vec<_> = self.of_existing(stored).difference(&needed).copied().collect();
            self.demand(leaked.is_empty(), &format!("stored and not needed: {leaked:?}"));
        }
        let all: Vec<u64> =
            repository.versions(&chain)?.iter().map(|info| info.version.seq).collect();
        let half: Vec<u64> =
            all.iter().copied().filter(|seq| (self.plan.seed >> (seq % 60)) & 1 == 0).collect();
        for part in [half, all.clone()] {
            if part.is_empty() {
                continue;
            }
            let before = self.stored_bytes();
            let said = repository.preview_delete(&chain, &part)?;
            let freed = repository.delete(&chain, &part)?.freed_bytes;
            let gone = before - self.stored_bytes();
            let is_new = part.len() < all.len();
            if is_exact && is_new {
                let what = format!("said {said}, reported {freed}, freed {gone}");
                self.demand(said == freed && freed == gone, &what);
            }
            for other in self.chains() {
                for info in repository.versions(&self.plan.setting.chain(other))? {
                    if let Some(disk) = self.disk_of(other, &info.owner) {
                        self.restores(repository, info.version, &disk);
                    }
                }
            }
        }
        if !all.is_empty() {
            self.lock().saw("everything was deleted in the end");
        }
        repository.reclaim(&chain)?;
        Ok(())
    }

    /// Packs and patches are gone when all versions are.
    fn demand_empty(&self) {
        let domains: BTreeSet<DomainId> =
            self.chains().iter().map(|number| self.plan.setting.chain(*number).domain()).collect();
        let left: Vec<Key> = {
            let inner = self.lock();
            let is_left = |key: &&Key| match Place::parse(key) {
                Some(Place::Pack(pack, _) | Place::Patch(pack, _)) => {
                    domains.contains(&pack.domain)
                }
                _ => false,
            };
            inner.objects.keys().filter(is_left).cloned().collect()
        };
        self.demand(left.is_empty(), &format!("left when nothing lives: {left:?}"));
    }
}
