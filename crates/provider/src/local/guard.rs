//! Holding a disk that is read in place.
//!
//! The lock keeps well-behaved programmes from writing, the fingerprint notices the
//! others. After a restart of ours the lock is gone until the disk is opened again;
//! what happened in between is noticed too, because the fingerprint was stored.

use std::fs::File;
use std::io;
use std::sync::Arc;

use cbr_model::ResourceId;

use super::in_use::Usage;
use super::lock;
use super::place::{Access, Fingerprint, Place};
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
        Fingerprint::take(&self.file).doing(|| format!("examine volume {volume}"))
    }

    /// Fails if the disk is no longer what it was.
    pub(crate) fn check(&self, volume: ResourceId, before: &Fingerprint) -> Result<()> {
        match before.difference(&self.fingerprint(volume)?) {
            None => Ok(()),
            Some(how) => Err(ProviderError::Changed { volume, how: how.to_owned() }),
        }
    }
}

/// Opens a disk that nobody uses for writing; it stays locked as long as the writer exists.
pub(crate) fn open_writer(
    volume: ResourceId,
    place: &Place,
    usage: &Usage,
) -> Result<Arc<dyn DiskWriter>> {
    let remedy = "stop what uses it before restoring";
    let file = claim(volume, place, Access::Write, usage, remedy)?;
    place.writer(file).map_err(|error| unreadable(volume, error))
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
