//! After a run: everything heals, and what is left must be exactly right.

use std::collections::BTreeSet;
use std::sync::Arc;

use cbr_env::SeededRandom;
use cbr_store::backend::{Backend, MemoryBackend};
use cbr_store::{CheckDepth, Job, MasterKey, Repository, Result, VersionRef};

use crate::actor::{chain, options};
use crate::disk::{Disk, Target};
use crate::oracle::Slot;
use crate::plan::Plan;
use crate::world::{Inner, MASTER};

/// Opens the repository on what is left, brings it to rest, and looks.
pub(crate) fn settle(inner: &mut Inner, plan: &Plan) {
    let memory = Arc::new(MemoryBackend::from_snapshot(inner.objects.clone()));
    let mut rest = Rest { inner, plan, memory };
    if let Err(error) = rest.run()
        && !plan.is_harmed()
    {
        rest.inner.violation(format!("after everything healed: {error}"));
    }
}

struct Rest<'a> {
    inner: &'a mut Inner,
    plan: &'a Plan,
    memory: Arc<MemoryBackend>,
}

impl Rest<'_> {
    fn run(&mut self) -> Result<()> {
        let backend: Arc<dyn Backend> = self.memory.clone();
        let random = Arc::new(SeededRandom::new(self.plan.seed ^ 0xe0d));
        let options = options(self.plan.compact_below_percent);
        let master = MasterKey::from_bytes(MASTER);
        let repository = Repository::open(backend, master, random, options)?;
        let mut failed = Vec::new();
        for number in 0..self.plan.chains {
            self.versions(&repository, number, &mut failed)?;
        }
        let report = repository.check(CheckDepth::ReadData, &Job::quiet())?;
        if !report.is_clean() {
            self.inner.saw("a check found damage");
            self.demand(self.plan.is_harmed(), &format!("it is damaged: {:?}", report.problems));
        }
        // P5: who cannot be restored is exactly who the check names.
        let affected: BTreeSet<VersionRef> = report
            .problems
            .iter()
            .flat_map(|problem| problem.affected.iter().map(|affected| affected.version))
            .collect();
        let failed: BTreeSet<VersionRef> = failed.into_iter().collect();
        self.demand(affected == failed, &format!("affected {affected:?}, failed {failed:?}"));
        if self.plan.is_harmed() {
            return Ok(());
        }
        (0..self.plan.chains).try_for_each(|number| self.removal(&repository, number))
    }

    fn demand(&mut self, holds: bool, what: &str) {
        if !holds {
            self.inner.violation(format!("at rest: {what}"));
        }
    }

    /// Unresolved sessions end, sweeps run, and every version is as its maker knows it.
    fn versions(
        &mut self,
        repository: &Repository,
        number: usize,
        failed: &mut Vec<VersionRef>,
    ) -> Result<()> {
        let chain = chain(number);
        let is_harmed = self.plan.is_harmed();
        let swept = (|| {
            for owner in repository.unfinished(&chain)? {
                repository.abort_unfinished(&chain, &owner)?;
            }
            repository.reclaim(&chain)?;
            repository.reclaim(&chain)
        })();
        match swept {
            Err(_) if is_harmed => {}
            other => drop(other?),
        }
        let listed = repository.versions(&chain)?;
        let known = &self.inner.model.versions;
        let acknowledged: BTreeSet<u64> = known
            .range((number, 0)..=(number, u64::MAX))
            .filter(|(_, known)| !known.delete_asked)
            .map(|((_, seq), _)| *seq)
            .collect();
        let found: BTreeSet<u64> = listed.iter().map(|info| info.version.seq).collect();
        let lost: Vec<_> = acknowledged.difference(&found).collect();
        self.demand(lost.is_empty(), &format!("acknowledged versions are lost: {lost:?}"));
        for info in listed {
            let seq = info.version.seq;
            let owner = (number, info.owner.clone());
            let Some(disk) = self.inner.model.owners.get(&owner).cloned() else {
                self.demand(false, &format!("version {seq} is of {}", info.owner));
                continue;
            };
            let known = self.inner.model.versions.get(&(number, seq));
            let is_back = known.is_some_and(|known| known.is_deleted);
            self.demand(!is_back, &format!("deleted version {seq} is there again"));
            if !self.restores(repository, info.version, &disk) {
                failed.push(info.version);
            }
        }
        Ok(())
    }

    fn restores(&mut self, repository: &Repository, version: VersionRef, disk: &Disk) -> bool {
        let target = Target::new(disk.bytes());
        match repository.restore(&version, &target, &Job::quiet()) {
            Ok(_) => {
                let difference = target.first_difference(disk);
                let what = format!("version {} restores {difference:?} wrongly", version.seq);
                self.demand(difference.is_none(), &what);
                true
            }
            Err(error) => {
                self.inner.saw("a restore refused damage");
                let what = format!("version {} does not restore: {error}", version.seq);
                self.demand(self.plan.is_harmed(), &what);
                false
            }
        }
    }

    fn stored(&self) -> BTreeSet<Slot> {
        self.inner.oracle.stored(&self.memory.snapshot())
    }

    /// Nothing is left that nobody needs; what a deletion frees is known before; the rest stays.
    fn removal(&mut self, repository: &Repository, number: usize) -> Result<()> {
        let chain = chain(number);
        let strays = self.inner.oracle.strays(&self.memory.snapshot());
        self.demand(strays.is_empty(), &format!("packs of no version: {strays:?}"));
        let is_exact = self.plan.compact_below_percent == 100;
        if is_exact {
            let needed = self.inner.oracle.needed();
            let leaked: Vec<_> = self.stored().difference(&needed).copied().collect();
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
            let bytes = |slots: BTreeSet<Slot>| slots.iter().map(|s| u64::from(s.2)).sum::<u64>();
            let before = bytes(self.stored());
            let said = repository.preview_delete(&chain, &part)?;
            let freed = repository.delete(&chain, &part)?.freed_bytes;
            let after = bytes(self.stored());
            let is_new = part.len() < all.len();
            if is_exact && is_new {
                let what = format!("said {said}, reported {freed}, freed {}", before - after);
                self.demand(said == freed && freed == before - after, &what);
            }
            for info in repository.versions(&chain)? {
                let owner = (number, info.owner.clone());
                if let Some(disk) = self.inner.model.owners.get(&owner).cloned() {
                    self.restores(repository, info.version, &disk);
                }
            }
        }
        if !all.is_empty() {
            self.inner.saw("everything was deleted in the end");
        }
        repository.reclaim(&chain)?;
        let domain = chain.domain();
        let left: Vec<_> = self.stored().into_iter().filter(|s| s.0.domain == domain).collect();
        self.demand(left.is_empty(), &format!("left of an empty chain: {left:?}"));
        Ok(())
    }
}
