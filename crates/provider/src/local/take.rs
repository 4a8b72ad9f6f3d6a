//! Taking the disks of a snapshot, and giving them back.
//!
//! ```text
//! plan ─▶ record "begun" ─▶ make ready ─▶ (freeze) ─▶ take each disk ─▶ (thaw) ─▶ settle ─▶ record "open"
//! ```
//! A crash at any arrow leaves a record or a directory by which [`Shared::undo`]
//! finds everything. Not here: freezing and thawing (`freeze.rs`).

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use cbr_model::ResourceId;
use rustix::fs::ioctl_ficlone;
use rustix::io::Errno;

use super::catalogue::{Catalogue, Entry, ServerEntry, device_name};
use super::config::PoolConfig;
use super::durable::Directory;
use super::guard::{ReadGuard, unreadable};
use super::in_use::Usage;
use super::place::{Access, Place};
use super::service::{Changing, SNAPSHOTS, Shared};
use super::state::DiskRecord;
use crate::disk::DiskReader;
use crate::error::{Doing, ProviderError, Result};
use crate::resource::VolumeFormat;
use crate::snapshot::{DiskSelection, SnapshotDisk, SnapshotName};

/// What to do about a volume that is in use and cannot be copied by reflink.
const REMEDY: &str = "its file system cannot make reflink copies: move the image to XFS or btrfs, \
                      or stop what uses it during the backup";

/// Longer than the step of the kernel's clock for file times. Two writes within one
/// step leave the same time; so reading in place begins only in a later step.
const FILE_TIME_STEP: Duration = Duration::from_millis(20);

/// What a snapshot is going to take.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) resource: ResourceId,
    /// The server, if it is one that is backed up.
    pub(crate) server: Option<ServerEntry>,
    /// The servers that may write to the disks.
    pub(crate) users: Vec<ServerEntry>,
    disks: Vec<Planned>,
}

#[derive(Clone, Debug)]
struct Planned {
    entry: Entry,
    bootable: bool,
    device: String,
}

impl Plan {
    /// How many disks there are.
    pub(crate) fn len(&self) -> usize {
        self.disks.len()
    }

    /// Does beforehand what takes time: makes the directories of the copies, durably, and writes
    /// out what the cache of this host holds of the images, which a copy would wait for.
    pub(crate) fn make_ready(&self, name: &SnapshotName) -> Result<()> {
        for disk in &self.disks {
            let Place::File { directory, file, .. } = &disk.entry.place else { continue };
            let doing = || format!("prepare snapshot {name} of volume {}", disk.entry.id);
            let pool = Directory::open(directory).doing(doing)?;
            pool.open_file(file, false).and_then(|image| image.sync_all()).doing(doing)?;
            pool.make_subdirectory(SNAPSHOTS)
                .and_then(|snapshots| snapshots.make_subdirectory(&name.to_string()))
                .doing(doing)?;
        }
        Ok(())
    }
}

impl Shared {
    /// Finds out which disks are meant.
    pub(crate) fn plan(&self, resource: ResourceId, selection: &DiskSelection) -> Result<Plan> {
        let catalogue = self.catalogue()?;
        if let Ok(server) = catalogue.server(resource) {
            return plan_server(&catalogue, server, selection);
        }
        let entry = catalogue.volume(resource)?;
        let attachments = catalogue.attachments(resource);
        let users = attachments.iter().filter_map(|a| catalogue.server(a.server).ok()).cloned();
        let disk = Planned {
            entry: entry.clone(),
            bootable: attachments.iter().any(|attachment| attachment.index == 0),
            device: attachments.first().map(|a| a.device.clone()).unwrap_or_default(),
        };
        Ok(Plan { resource, server: None, users: users.collect(), disks: vec![disk] })
    }

    /// Takes every disk, as quickly as possible: the server may be standing still.
    ///
    /// `running` says why the disks may not be read in place. The lock was taken before the
    /// server was frozen: waiting for it would be waiting in a frozen server.
    pub(crate) fn take(
        &self,
        plan: &Plan,
        name: &SnapshotName,
        running: Option<&str>,
        _alone: &Changing,
    ) -> Result<Vec<DiskRecord>> {
        let mut usage = None;
        let mut records = Vec::new();
        for disk in &plan.disks {
            let volume = disk.entry.id;
            if let Err(why) = &disk.entry.size_bytes {
                let why = format!("volume {volume} cannot be used: {why}");
                return Err(ProviderError::refused(why, "then try again"));
            }
            if self.state.restore(volume)?.is_some() {
                let why = format!("volume {volume} holds an unfinished restore");
                return Err(ProviderError::refused(why, "restore it again first"));
            }
            if let Some(copied) = copy(disk, name)? {
                records.push(copied);
                continue;
            }
            if let Some(running) = running {
                return Err(ProviderError::in_use(volume, format!("{running}; {REMEDY}")));
            }
            let usage = usage.get_or_insert_with(Usage::scan);
            records.push(self.take_in_place(disk, name, usage)?);
        }
        Ok(records)
    }

    fn take_in_place(
        &self,
        disk: &Planned,
        name: &SnapshotName,
        usage: &Usage,
    ) -> Result<DiskRecord> {
        let volume = disk.entry.id;
        let guard = ReadGuard::acquire(volume, &disk.entry.place, usage, REMEDY)?;
        let fingerprint = Some(guard.fingerprint(volume)?);
        self.handles().readers.insert((*name, volume), Arc::new(guard));
        Ok(DiskRecord { fingerprint, ..disk.record(disk.entry.place.clone()) })
    }

    /// Makes copies durable, and makes sure that everything can be read.
    pub(crate) fn settle(&self, name: &SnapshotName, disks: &mut [DiskRecord]) -> Result<()> {
        if disks.iter().any(|record| record.fingerprint.is_some()) {
            std::thread::sleep(FILE_TIME_STEP);
        }
        for record in disks {
            let volume = record.disk.volume;
            if record.fingerprint.is_none() {
                let doing = || format!("make snapshot {name} of volume {volume} durable");
                sync_copy(&record.place).doing(doing)?;
            }
            record.disk.size_bytes = self.read_disk(name, record)?.size_bytes();
        }
        Ok(())
    }

    /// A reader of one disk of an open snapshot.
    pub(crate) fn read_disk(
        &self,
        name: &SnapshotName,
        record: &DiskRecord,
    ) -> Result<Arc<dyn DiskReader>> {
        let volume = record.disk.volume;
        if record.fingerprint.is_some() {
            return Ok(Arc::clone(&self.guard(name, record)?.reader));
        }
        let opened = record.place.open(Access::Read).and_then(|file| record.place.reader(file));
        opened.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ProviderError::not_found("open snapshot", name),
            _ => unreadable(volume, error),
        })
    }

    /// The guard of a disk that is read in place; taken again after a restart of ours.
    fn guard(&self, name: &SnapshotName, record: &DiskRecord) -> Result<Arc<ReadGuard>> {
        let volume = record.disk.volume;
        let mut handles = self.handles();
        if let Some(guard) = handles.readers.get(&(*name, volume)) {
            return Ok(Arc::clone(guard));
        }
        let guard = ReadGuard::acquire(volume, &record.place, &Usage::scan(), REMEDY)?;
        if let Some(before) = &record.fingerprint {
            guard.check(volume, before)?;
        }
        let guard = Arc::new(guard);
        handles.readers.insert((*name, volume), Arc::clone(&guard));
        Ok(guard)
    }

    /// Fails unless what was read in place is still what it was.
    pub(crate) fn confirm(&self, name: &SnapshotName) -> Result<()> {
        for record in self.state.open_disks(name)? {
            if let Some(before) = &record.fingerprint {
                self.guard(name, &record)?.check(record.disk.volume, before)?;
            }
        }
        Ok(())
    }

    /// Removes everything a snapshot left, and its record last.
    ///
    /// A pool that cannot be read does not keep the copies in the others, and if the record says
    /// that the snapshot has none there, it does not matter at all.
    pub(crate) fn undo(&self, name: &SnapshotName) -> Result<()> {
        let _alone = self.changing();
        self.handles().readers.retain(|(open, _), _| open != name);
        let disks = self.state.snapshot(name)?.and_then(|record| record.disks);
        let mut failed = None;
        for pool in &self.config.pools {
            let may_have_copies = disks
                .as_ref()
                .is_none_or(|disks| disks.iter().any(|record| record.place.is_beneath(&pool.path)));
            let removed = remove_copies(pool, name)
                .doing(|| format!("remove snapshot {name} from pool {}", pool.name));
            if let Err(error) = removed
                && may_have_copies
            {
                failed.get_or_insert(error);
            }
        }
        failed.map_or_else(|| self.state.snapshots.remove(&name.to_string()), Err)
    }
}

impl Planned {
    fn record(&self, place: Place) -> DiskRecord {
        let disk = SnapshotDisk {
            volume: self.entry.id,
            name: self.entry.name.clone(),
            size_bytes: self.entry.size_bytes.as_ref().copied().unwrap_or(0),
            bootable: self.bootable,
            device: self.device.clone(),
        };
        DiskRecord { disk, place, fingerprint: None }
    }
}

fn plan_server(
    catalogue: &Catalogue,
    server: &ServerEntry,
    selection: &DiskSelection,
) -> Result<Plan> {
    let name = &server.config.name;
    if let Some(problem) = &server.problem {
        let why = format!("server {name} is in fault: {problem}");
        return Err(ProviderError::refused(why, "correct its volumes in the configuration"));
    }
    if let DiskSelection::Only(wanted) = selection
        && let Some(missing) = wanted.iter().find(|id| !server.volumes.contains(id))
    {
        return Err(ProviderError::not_found("volume of the server", missing));
    }
    let mut disks = Vec::new();
    for (index, volume) in server.volumes.iter().enumerate() {
        if selection.includes(*volume) {
            let entry = catalogue.volume(*volume)?.clone();
            disks.push(Planned { entry, bootable: index == 0, device: device_name(index) });
        }
    }
    if disks.is_empty() {
        let why = format!("no disk of server {name} is selected");
        return Err(ProviderError::refused(why, "select at least one"));
    }
    // A shared disk (RES-11) may be written by the other servers that have it.
    let uses = |user: &&ServerEntry| disks.iter().any(|disk| user.volumes.contains(&disk.entry.id));
    let users = catalogue.servers.iter().filter(uses).cloned().collect();
    Ok(Plan { resource: server.id, server: Some(server.clone()), users, disks })
}

/// Makes a reflink copy; `None` where that is not possible.
fn copy(disk: &Planned, name: &SnapshotName) -> Result<Option<DiskRecord>> {
    let Place::File { directory, file, format } = &disk.entry.place else { return Ok(None) };
    let doing = || format!("copy volume {} for snapshot {name}", disk.entry.id);
    let pool = Directory::open(directory).doing(doing)?;
    let source = pool.open_file(file, false).doing(doing)?;
    let extension = if *format == VolumeFormat::Qcow2 { "qcow2" } else { "raw" };
    let copy = format!("{}.{extension}", disk.entry.id);
    let copies = pool
        .subdirectory(SNAPSHOTS)
        .and_then(|snapshots| snapshots.subdirectory(&name.to_string()))
        .doing(doing)?;
    copies.remove_file(&copy).doing(doing)?;
    let target = copies.create_file(&copy).doing(doing)?;
    match ioctl_ficlone(&target, &source) {
        Ok(()) => {}
        Err(Errno::OPNOTSUPP | Errno::XDEV | Errno::INVAL | Errno::NOTTY | Errno::NOSYS) => {
            copies.remove_file(&copy).doing(doing)?;
            return Ok(None);
        }
        Err(error) => return Err(error).doing(doing),
    }
    let directory = directory.join(SNAPSHOTS).join(name.to_string());
    let place = Place::File { directory, file: copy, format: *format };
    Ok(Some(disk.record(place)))
}

fn sync_copy(place: &Place) -> io::Result<()> {
    let file: File = place.open(Access::Read)?;
    file.sync_all()?;
    if let Place::File { directory, .. } = place {
        // The copy, its directory and the directory of all snapshots.
        for directory in directory.ancestors().take(2) {
            Directory::open(directory)?.sync()?;
        }
    }
    Ok(())
}

fn remove_copies(pool: &PoolConfig, name: &SnapshotName) -> io::Result<()> {
    let copies = pool.open()?.subdirectory(SNAPSHOTS).and_then(|snapshots| {
        let copies = snapshots.subdirectory(&name.to_string())?;
        Ok((snapshots, copies))
    });
    let (snapshots, copies) = match copies {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for file in copies.file_names()? {
        copies.remove_file(&file)?;
    }
    copies.sync()?;
    snapshots.remove_directory(&name.to_string())?;
    snapshots.sync()
}
