//! Deleting, sweeping, checking and reading.

use std::collections::BTreeSet;
use std::sync::Arc;

use cbr_store::{ChainAudit, CheckDepth, DiskReader, Error, Job, VersionRef};

use crate::actor::Actor;
use crate::chance::Chance;
use crate::disk::{BLOCK, Disk, Target};
use crate::model::Known;

/// How many blocks are read at once of a disk that stays open.
const BLOCKS_READ: u64 = 4;

/// A version that is open for reading.
pub(crate) struct Reading {
    chain: usize,
    seq: u64,
    life: u64,
    reader: DiskReader,
}

pub(crate) fn index(choice: u64, length: usize) -> usize {
    usize::try_from(choice % length as u64).unwrap()
}

impl Actor {
    /// The acknowledged versions of a chain that nobody has asked to delete.
    pub(crate) fn live(&self, number: usize) -> Vec<u64> {
        let inner = self.world.lock();
        let of_chain = inner.model.versions.range((number, 0)..=(number, u64::MAX));
        let is_live = |known: &Known| !known.delete_asked && !known.is_moved;
        of_chain.filter(|(_, known)| is_live(known)).map(|((_, seq), _)| *seq).collect()
    }

    /// The versions of which somebody was told that they are deleted.
    fn deleted(&self, number: usize) -> Vec<u64> {
        let inner = self.world.lock();
        let of_chain = inner.model.versions.range((number, 0)..=(number, u64::MAX));
        of_chain.filter(|(_, known)| known.is_deleted).map(|((_, seq), _)| *seq).collect()
    }

    pub(crate) fn delete(&mut self, number: usize, choice: u64, count: u64) {
        let live = self.live(number);
        if live.is_empty() {
            return;
        }
        let nth =
            |n: u64| live[index(choice.rotate_left(7 * u32::try_from(n).unwrap()), live.len())];
        let seqs: BTreeSet<u64> = (0..count).map(nth).collect();
        let seqs: Vec<u64> = seqs.into_iter().collect();
        for seq in &seqs {
            let mut inner = self.world.lock();
            if let Some(known) = inner.model.versions.get_mut(&(number, *seq)) {
                known.delete_asked = true;
            }
        }
        let chain = self.chain(number);
        let is_done = self.repeat("delete", Some(number), |r| r.delete(&chain, &seqs).map(drop));
        for seq in seqs.iter().filter(|_| is_done) {
            let mut inner = self.world.lock();
            if let Some(known) = inner.model.versions.get_mut(&(number, *seq)) {
                known.is_deleted = true;
            }
        }
    }

    /// What `cbr repo gc` does: a plan that is shown, and carried out when somebody agrees.
    pub(crate) fn planned_reclaim(&mut self, number: usize) {
        let chain = self.chain(number);
        let world = Arc::clone(&self.world);
        self.repeat("reclaim", Some(number), |repository| {
            let plan = repository.plan_reclaim(Some(&chain))?;
            if !plan.chains.is_empty() {
                world.lock().saw("a sweep was planned and carried out later");
            }
            repository.execute(&plan, true, &Job::quiet()).map(drop)
        });
    }

    pub(crate) fn check(&mut self, deep: bool) {
        let depth = if deep { CheckDepth::ReadData } else { CheckDepth::Structure };
        let chains: Vec<usize> = self.world.lock().model.disks.keys().copied().collect();
        for number in chains {
            self.list(number);
        }
        let began = self.begin("check");
        let report = self.repository().and_then(|r| r.check(depth, &Job::quiet()));
        match report {
            Err(error) => self.refused("check", began, &error, None),
            Ok(report) => self.saw_problems("check", began, &report.problems),
        }
    }

    /// A list shows every version that was there before and after, and none that was deleted
    /// before; or it fails.
    fn list(&mut self, number: usize) {
        let (before, gone) = (self.live(number), self.deleted(number));
        self.begin("list");
        let chain = self.chain(number);
        let Ok(listed) = self.repository().and_then(|r| r.versions(&chain)) else { return };
        let after = self.live(number);
        let has = |seq: &u64| listed.iter().any(|info| info.version.seq == *seq);
        let mut inner = self.world.lock();
        if inner.model.shredded.contains_key(&self.setting.tenant_of(number)) {
            return;
        }
        for seq in before.iter().filter(|seq| after.contains(seq) && !has(seq)) {
            inner.violation(format!("live version {seq} is not listed"));
        }
        for seq in gone.iter().filter(|seq| has(seq)) {
            inner.violation(format!("deleted version {seq} is listed"));
        }
    }

    pub(crate) fn audit(&mut self) {
        let began = self.begin("check");
        let report = self.repository().and_then(|r| r.audit(&Job::quiet()));
        match report {
            Err(error) => self.refused("audit", began, &error, None),
            Ok(report) => {
                // A key that is ended meanwhile is missing to who was started with it; no count differs.
                let is_key = report.chains.iter().all(ChainAudit::is_right)
                    && report.unreadable.iter().all(|(_, what)| what.contains("/k/"));
                let is_hit = self.was_hit(began) || (is_key && self.keys_changed(began));
                let mut inner = self.world.lock();
                inner.saw("a recount ran");
                let is_excused = is_hit || inner.is_harmed() || !inner.model.shredded.is_empty();
                if !report.is_right() && !is_excused {
                    inner.violation(format!("a false alarm of the recount: {report:?}"));
                }
            }
        }
    }

    /// A version to look at, its disk, and its name.
    fn pick(&self, number: usize, choice: u64) -> Option<(u64, Arc<Disk>, VersionRef)> {
        let live = self.live(number);
        if live.is_empty() {
            return None;
        }
        let seq = live[index(choice, live.len())];
        let disk = Arc::clone(&self.world.lock().model.versions[&(number, seq)].disk);
        Some((seq, disk, VersionRef { chain: self.chain(number), seq }))
    }

    pub(crate) fn restore(&mut self, number: usize, choice: u64) {
        let Some((seq, disk, version)) = self.pick(number, choice) else { return };
        let began = self.begin("restore");
        let target = Target::new(disk.bytes());
        let result = self.repository().and_then(|r| r.restore(&version, &target, &Job::quiet()));
        match result {
            Ok(_) => {
                if let Some(block) = target.first_difference(&disk) {
                    let what = format!("version {seq} restored block {block} wrongly");
                    self.world.lock().violation(what);
                }
            }
            Err(error) => self.not_read((number, seq), began, &error),
        }
    }

    /// A version could not be read: was that allowed?
    fn not_read(&mut self, at: (usize, u64), began: crate::actor::Began, error: &Error) {
        let is_excused = self.is_excused(began, error, Some(at.0));
        let is_transient = error.is_transient();
        let mut inner = self.world.lock();
        let known = &inner.model.versions[&at];
        let is_deleted = known.delete_asked || known.is_moved;
        if is_deleted {
            inner.saw("a version was deleted while it was read");
        }
        if inner.is_harmed() {
            inner.saw("a restore refused damage");
        } else if !is_excused && !is_deleted && !is_transient {
            inner.violation(format!("live version {} does not restore: {error}", at.1));
        }
    }

    pub(crate) fn restore_deleted(&mut self, number: usize, choice: u64) {
        let deleted = self.deleted(number);
        if deleted.is_empty() {
            return;
        }
        self.list(number);
        let seq = deleted[index(choice, deleted.len())];
        let disk = Arc::clone(&self.world.lock().model.versions[&(number, seq)].disk);
        self.begin("restore");
        let target = Target::new(disk.bytes());
        let version = VersionRef { chain: self.chain(number), seq };
        let result = self.repository().and_then(|r| r.restore(&version, &target, &Job::quiet()));
        let mut inner = self.world.lock();
        match result {
            Ok(_) => inner.violation(format!("version {seq} was deleted, and restores")),
            Err(Error::NoSuchVersion { .. }) => inner.saw("a deleted version was refused"),
            Err(_) => {}
        }
    }

    pub(crate) fn verify(&mut self, number: usize, choice: u64) {
        let Some((seq, _, version)) = self.pick(number, choice) else { return };
        let began = self.begin("check");
        match self.repository().and_then(|r| r.verify(&version, &Job::quiet())) {
            Err(error) => self.not_read((number, seq), began, &error),
            Ok(verified) => {
                let is_hit = self.was_hit(began);
                let mut inner = self.world.lock();
                inner.saw("a version was verified");
                let known = &inner.model.versions[&(number, seq)];
                let is_gone = known.delete_asked || known.is_moved;
                if !verified.lost.is_empty() && !is_hit && !inner.is_harmed() && !is_gone {
                    inner.violation(format!("a false alarm: version {seq} lacks {verified:?}"));
                }
            }
        }
    }

    /// Reads a few blocks of the version that is open, or opens one.
    pub(crate) fn read(&mut self, number: usize, choice: u64) {
        let life = self.world.lock().life(self.me);
        let is_open = self.reading.as_ref().is_some_and(|open| open.life == life);
        if !is_open {
            let Some((seq, _, version)) = self.pick(number, choice) else { return };
            let began = self.begin("restore");
            match self.repository().and_then(|r| r.open_disk(&version)) {
                Err(error) => return self.not_read((number, seq), began, &error),
                Ok(reader) => {
                    let life = self.world.lock().life(self.me);
                    self.reading = Some(Reading { chain: number, seq, life, reader });
                }
            }
        }
        let Some(open) = self.reading.take() else { return };
        let at = (open.chain, open.seq);
        let disk = Arc::clone(&self.world.lock().model.versions[&at].disk);
        let began = self.begin("restore");
        let mut chance = Chance::new(choice);
        for _ in 0..BLOCKS_READ {
            let block = chance.below(disk.blocks.max(1));
            let mut bytes = vec![0; usize::try_from(BLOCK).unwrap()];
            if let Err(error) = open.reader.read_at(block * BLOCK, &mut bytes) {
                self.not_read(at, began, &error);
                break;
            }
            if !disk.has(block, &bytes) {
                let what = format!("block {block} of version {} is read wrongly", open.seq);
                self.world.lock().violation(what);
            }
        }
        let is_live = {
            let inner = self.world.lock();
            let known = &inner.model.versions[&at];
            !known.delete_asked && !known.is_moved
        };
        if is_live {
            self.reading = Some(open);
        }
    }
}
