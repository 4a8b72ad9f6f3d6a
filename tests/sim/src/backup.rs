//! Making versions, and taking over from those who are believed dead.

use std::collections::BTreeSet;
use std::sync::Arc;

use cbr_store::{Error, Job, Result, Spot, VersionInfo};

use crate::actor::{ATTEMPTS_MAX, Actor};
use crate::disk::Disk;
use crate::model::Known;
use crate::plan::{End, Op};

/// A backup to be made.
pub(crate) struct Task {
    pub(crate) chain: usize,
    pub(crate) owner: String,
    pub(crate) disk: Arc<Disk>,
    pub(crate) with_map: bool,
    pub(crate) end: End,
}

impl Actor {
    /// The chain's disk, changed; and the name of who backs it up.
    pub(crate) fn edit(&mut self, op: &Op) -> (String, Arc<Disk>) {
        let count = self.next_count();
        let owner = format!("actor {} task {count}", self.me);
        let mut inner = self.world.lock();
        let Op::Backup { chain, edits, resize, clones, .. } = op else {
            return (owner, Arc::default());
        };
        let of = |chain: &usize| {
            let disk = inner.model.disks.get(chain);
            disk.map(|(disk, _)| Disk::clone(disk))
        };
        let cloned = clones.as_ref().and_then(of);
        let (is_clone, own) = (cloned.is_some(), of(chain));
        let fresh = || Disk { blocks: 10, ..Disk::default() };
        let mut disk = cloned.or(own).unwrap_or_else(fresh);
        if is_clone {
            inner.saw("a disk was cloned");
        }
        if let Some(blocks) = *resize {
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
        inner.model.disks.insert(*chain, (Arc::clone(&disk), owner.clone()));
        inner.model.owners.insert((*chain, owner.clone()), Arc::clone(&disk));
        (owner, disk)
    }

    /// Another worker ends what the latest backup of the chain began, and makes it instead.
    pub(crate) fn take_over(&mut self, chain: usize) {
        let latest = self.world.lock().model.disks.get(&chain).cloned();
        let Some((disk, owner)) = latest else { return };
        self.world.lock().saw("a session was taken over");
        self.back_up(Task { chain, owner, disk, with_map: false, end: End::Commit }, true);
    }

    pub(crate) fn back_up(&mut self, task: Task, mut again: bool) {
        for _ in 0..ATTEMPTS_MAX {
            let began = self.begin(if again { "recovery" } else { "backup" });
            match self.try_backup(&task, again) {
                Ok(Some(version)) => return self.acknowledge(&task, &version),
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
                        self.refused("backup", began, &error, Some(task.chain));
                    }
                    again = true;
                }
            }
        }
    }

    /// What is known to be damaged where the chain lies.
    fn known_spots(&self, chain: usize) -> Vec<Spot> {
        let inner = self.world.lock();
        let spots = inner.model.spots.get(&self.chain(chain).domain());
        spots.into_iter().flatten().copied().collect()
    }

    /// One attempt; the version, or nothing if none was wanted.
    fn try_backup(&mut self, task: &Task, again: bool) -> Result<Option<VersionInfo>> {
        let Task { chain: number, owner, disk, with_map, end } = task;
        let (world, me, chain) = (Arc::clone(&self.world), self.me, self.chain(*number));
        let spots = self.known_spots(*number);
        let has_budget = self.setting.dedup_ram_bytes < 100_000;
        let repository = self.repository()?;
        if again {
            repository.abort_unfinished(&chain, owner)?;
            if let Some(version) = repository.find_by_owner(&chain, owner)? {
                world.lock().saw("an unacknowledged commit was found by its owner");
                return Ok(Some(version));
            }
        }
        world.lock().doing(me, "backup");
        let mut session = repository.begin(&chain, owner)?;
        session.distrust(&spots);
        let parent = session.parent().and_then(|seq| {
            let inner = world.lock();
            Some(Arc::clone(&inner.model.versions.get(&(*number, seq))?.disk))
        });
        let changed = parent.filter(|_| *with_map).map(|parent| disk.changed(&parent));
        if changed.is_some() {
            world.lock().saw("a change map was used");
        }
        let stats = session.write(disk.as_ref(), changed.as_deref(), &Job::quiet())?;
        {
            let mut inner = world.lock();
            if stats.stored_bytes == 0 {
                inner.saw("a backup stored nothing");
            }
            if stats.healed_bytes > 0 {
                inner.saw("a backup healed older versions");
            }
            if stats.borrowed_bytes > 0 && has_budget {
                inner.saw("blocks were borrowed with little memory");
            }
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
        let Task { chain: number, owner, disk, .. } = task;
        let (number, chain) = (*number, self.chain(*number));
        let mut inner = self.world.lock();
        let seq = version.version.seq;
        inner.saw("a backup was committed");
        let found = inner.oracle.owner(chain, seq).map(str::to_owned);
        let is_shredded = inner.model.shredded.contains_key(&self.setting.tenant_of(number));
        if found.as_deref() != Some(owner.as_str()) && !is_shredded {
            inner.violation(format!("{owner} was told that it made version {seq}, of {found:?}"));
        }
        if (version.disk_bytes, version.used_bytes) != (disk.bytes(), disk.used_bytes())
            && !inner.is_harmed()
        {
            inner.violation(format!("version {seq} has wrong sizes: {version:?}"));
        }
        let packs: BTreeSet<_> = inner.oracle.packs_of(chain, seq);
        if packs.len() > 2 {
            inner.saw("a backup of one session has several packs");
        }
        let disk = Arc::clone(disk);
        let known = Known { disk, delete_asked: false, is_deleted: false, is_moved: false };
        inner.model.versions.entry((number, seq)).or_insert(known);
    }
}
