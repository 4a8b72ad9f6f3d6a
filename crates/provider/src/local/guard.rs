//! Holding a disk that is read in place.
//!
//! The lock keeps well-behaved programmes from writing, the fingerprint notices the
//! others. After a restart of ours the lock is gone until the disk is opened again;
//! what happened in between is noticed too, because the fingerprint was stored.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use cbr_model::ResourceId;

use super::durable::Directory;
use super::factory::unfinished;
use super::in_use::Usage;
use super::place::{Access, Fingerprint, Place};
use super::{lock, qcow2};
use crate::disk::{DiskReader, DiskWriter};
use crate::error::{Doing, ProviderError, Result};

/// A disk nobody else may write to while this exists.
#[derive(Debug)]
pub(crate) struct ReadGuard {
    file: File,
    pub(crate) reader: Arc<dyn DiskReader>,
}

impl ReadGuard {
    /// Opens a disk that nobody uses. `remedy` says what to do if somebody does.
    pub(crate) fn acquire(
        volume: ResourceId,
        place: &Place,
        usage: &Usage,
        remedy: &str,
    ) -> Result<Self> {
        let file = claim(volume, place, Access::Read, usage, remedy)?;
        let reader = file
            .try_clone()
            .and_then(|clone| place.reader(clone))
            .map_err(|error| unreadable(volume, error))?;
        Ok(Self { file, reader })
    }

    /// The state of the disk now.
    pub(crate) fn fingerprint(&self, volume: ResourceId) -> Result<Fingerprint> {
        Fingerprint::take(&self.file).map_err(|error| unreadable(volume, error))
    }

    /// Fails if the disk is no longer what it was.
    pub(crate) fn check(&self, volume: ResourceId, before: &Fingerprint) -> Result<()> {
        match before.difference(&self.fingerprint(volume)?) {
            None => Ok(()),
            Some(how) => Err(ProviderError::Changed { volume, how: how.to_owned() }),
        }
    }
}

/// What an interrupted restore left: of so many bytes nothing is needed, they are written anew.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nobodys {
    /// From the beginning of the disk.
    pub(crate) bytes: u64,
    /// The size of the whole disk.
    pub(crate) disk_bytes: u64,
}

/// Opens a disk that nobody uses for writing; it stays locked as long as the writer exists.
///
/// An image that the interruption damaged is made anew if it holds nothing but what is nobody's, after
/// the caller has noted that. So the restore goes on.
pub(crate) fn open_writer(
    volume: ResourceId,
    place: &Place,
    usage: &Usage,
    nobodys: Option<(Nobodys, &mut dyn FnMut() -> Result<()>)>,
) -> Result<Arc<dyn DiskWriter>> {
    let remedy = "stop what uses it before restoring";
    let file = claim(volume, place, Access::Write, usage, remedy)?;
    let opened = file.try_clone().and_then(|clone| place.writer(clone));
    match (opened, place, nobodys) {
        (Err(why), Place::File { directory, file: name, .. }, Some((nobodys, renews)))
            if qcow2::Inconsistent::is_cause_of(&why) && nobodys.is_all_of(&file) =>
        {
            tracing::warn!(volume.id = %volume, error = &why as &dyn std::error::Error,
                "an interrupted restore left a damaged image; it is made anew");
            renews()?;
            let doing = || format!("make the image of volume {volume} anew");
            let image = renew(directory, name, &file, nobodys.disk_bytes).doing(doing)?;
            place.writer(image)
        }
        (opened, ..) => opened,
    }
    .map_err(|error| unreadable(volume, error))
}

impl Nobodys {
    /// What cannot be told is not assumed.
    fn is_all_of(self, image: &File) -> bool {
        self.bytes >= self.disk_bytes
            || qcow2::is_empty_from(image, self.bytes).unwrap_or_else(|error| {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "a damaged image is kept"
                );
                false
            })
    }
}

/// Replaces a locked qcow2 image by an empty one, which is locked before it has the name. At
/// every moment there is the old or the new one, so a power cut leaves a volume of known size.
fn renew(directory: &Path, name: &str, old: &File, size_bytes: u64) -> io::Result<File> {
    let directory = Directory::open(directory)?;
    let temporary = unfinished(name);
    directory.remove_file(&temporary)?;
    let image = directory.create_file(&temporary)?;
    lock::lock_for_writing(&image)?;
    let like = old.metadata()?;
    image.set_permissions(like.permissions())?;
    std::os::unix::fs::fchown(&image, Some(like.uid()), Some(like.gid()))?;
    qcow2::create(image.try_clone()?, size_bytes)?;
    image.sync_all()?;
    directory.rename(&temporary, name)?;
    Ok(image)
}

/// Makes sure that nobody uses a disk that is about to be deleted.
pub(crate) fn claim_for_deletion(volume: ResourceId, place: &Place) -> Result<()> {
    claim(volume, place, Access::Write, &Usage::scan(), "stop what uses it first").map(drop)
}

/// Opens, looks who else has it, and locks.
fn claim(
    volume: ResourceId,
    place: &Place,
    access: Access,
    usage: &Usage,
    remedy: &str,
) -> Result<File> {
    let in_use = |why: &str| ProviderError::in_use(volume, format!("{why}; {remedy}"));
    let file = place.open(access).map_err(|error| match error.kind() {
        io::ErrorKind::ResourceBusy => {
            // Look again without claiming it, to say who has it.
            let holder = place.open(Access::Look).ok().and_then(|f| place.holder(&f, usage));
            in_use(holder.as_deref().unwrap_or("another programme claims the device"))
        }
        io::ErrorKind::NotFound => ProviderError::not_found("volume", volume),
        _ => ProviderError::Io { doing: format!("open volume {volume}"), source: error },
    })?;
    if let Some(holder) = place.holder(&file, usage) {
        return Err(in_use(&holder));
    }
    let locked = match access {
        Access::Write => lock::lock_for_writing(&file),
        Access::Read | Access::Look => lock::lock_for_reading(&file),
    };
    locked.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::PermissionDenied => {
            in_use("another programme or a running backup has locked it")
        }
        _ => ProviderError::Io { doing: format!("lock volume {volume}"), source: error },
    })?;
    Ok(file)
}

/// An image that cannot be read is not going to be readable by asking again.
pub(crate) fn unreadable(volume: ResourceId, error: io::Error) -> ProviderError {
    if error.kind() == io::ErrorKind::InvalidData {
        let why = format!("volume {volume} cannot be used: {error}");
        ProviderError::refused(why, "then try again")
    } else {
        ProviderError::Io { doing: format!("read volume {volume}"), source: error }
    }
}
