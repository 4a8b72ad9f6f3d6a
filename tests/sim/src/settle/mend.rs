//! At rest, when something is damaged: the next backups heal what they can, and build on nothing
//! that is known to be damaged (P5; incidents I07, I14, I23).

use std::collections::BTreeSet;
use std::sync::Arc;

use cbr_store::format::id::{DomainId, PackKind};
use cbr_store::{CheckReport, Job, Problem, Repository, Result, Spot, VersionRef};

use super::Rest;
use crate::disk::{BLOCK, Disk};

impl Rest<'_> {
    pub(super) fn mend(&self, repository: &Repository, found: &CheckReport) -> Result<()> {
        for number in self.chains() {
            self.back_up(repository, number, &found.problems)?;
        }
        let mut failed = BTreeSet::new();
        for number in self.chains() {
            self.versions(repository, number, &mut failed)?;
        }
        let after = self.check(repository, &failed)?;
        if after.healed > found.healed {
            self.lock().saw("damage was healed in the end");
        }
        for problem in &after.problems {
            self.could_be_healed(problem);
        }
        Ok(())
    }

    /// Another backup of the disk as it is now, by somebody who knows what is damaged.
    fn back_up(&self, repository: &Repository, number: usize, found: &[Problem]) -> Result<()> {
        let chain = self.plan.setting.chain(number);
        let Some((disk, _)) = self.lock().model.disks.get(&number).cloned() else {
            return Ok(());
        };
        let spots: Vec<Spot> = found
            .iter()
            .filter(|problem| problem.domain == Some(chain.domain()))
            .filter_map(|problem| problem.spot)
            .collect();
        for owner in repository.unfinished(&chain)? {
            // What it wrote may be damaged, and then it is not removed.
            let _ = repository.abort_unfinished(&chain, &owner);
        }
        let owner = format!("mender {number}");
        self.lock().model.owners.insert((number, owner.clone()), Arc::clone(&disk));
        let mut session = repository.begin(&chain, &owner)?;
        session.distrust(&spots);
        session.write(disk.as_ref(), None, &Job::quiet())?;
        let version = session.commit(b"")?.version;
        let is_whole = repository.verify(&version, &Job::quiet())?.lost.is_empty();
        self.demand(is_whole, &format!("version {} builds on known damage", version.seq));
        Ok(())
    }

    /// A block of a slot that is still lost is on no disk any more.
    fn could_be_healed(&self, problem: &Problem) {
        let (Some(domain), Some(Spot { kind: PackKind::Data, slot: Some(_), .. })) =
            (problem.domain, problem.spot)
        else {
            return;
        };
        let there = self.contents(domain);
        for affected in &problem.affected {
            let Some(disk) = self.disk(affected.version) else { continue };
            let blocks =
                affected.ranges.iter().flat_map(|range| range.start / BLOCK..range.end / BLOCK);
            let mut seeds = blocks.filter_map(|block| disk.seeds.get(&block));
            if let Some(seed) = seeds.find(|seed| there.contains(seed)) {
                self.demand(false, &format!("block content {seed} could be healed: {problem:?}"));
            }
        }
    }

    /// What is on the disks of the domain now.
    fn contents(&self, domain: DomainId) -> BTreeSet<u64> {
        let inner = self.lock();
        let disks = inner.model.disks.iter();
        let disks = disks.filter(|(chain, _)| self.plan.setting.chain(**chain).domain() == domain);
        disks.flat_map(|(_, (disk, _))| disk.seeds.values().copied()).collect()
    }

    fn disk(&self, version: VersionRef) -> Option<Arc<Disk>> {
        let inner = self.lock();
        let owner = inner.oracle.owner(version.chain, version.seq)?.to_owned();
        let number =
            (0..self.plan.chains).find(|n| self.plan.setting.chain(*n) == version.chain)?;
        inner.model.owners.get(&(number, owner)).cloned()
    }
}
