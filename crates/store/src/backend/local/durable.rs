//! Changes that survive a power cut, or say that they do not.
//!
//! A handle whose write or sync failed is never used again: the kernel may have
//! dropped the data and forgotten the error. The put starts over with a new
//! file, once. Two failures in a row, or one of a directory's sync, and nothing
//! more is written until the backend is opened again (P20).

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use rustix::fs::{FlockOperation, flock};

use super::directory::{INCOMING, LocalBackend, failed};
use super::files::{FileOps, is_absent, is_no_space, is_passing};
use crate::backend::{BackendError, Key, Op, Put};
use crate::planted::{self, Bug};

/// Objects up to this size may use the reserve of a full disk: records, not packs.
const SMALL_BYTES: u64 = 16 * 1024;
/// How often a put asks the reserve: somebody else may take what it gives.
const GIFTS_MAX: usize = 4;
/// How often a put makes directories again that somebody removes because they are empty.
const VANISHED_MAX: usize = 8;
/// How many directories are remembered as durable.
const KNOWN_DIRS_MAX: usize = 65_536;
const TEMP_NAMES_MAX: usize = 1000;

/// A written and synced temporary file. The lock on it ends with the handle.
struct Temp {
    path: PathBuf,
    file: File,
}

impl LocalBackend {
    pub(super) fn put_durably(&self, key: &Key, body: &[&[u8]]) -> Result<Put, BackendError> {
        self.check_writable(Op::Put, key)?;
        let path = self.path(key);
        if path.symlink_metadata().is_ok() {
            // Cheaper than writing the body first; only the link below decides.
            return self.existed(key, &path);
        }
        let object_bytes = body.iter().map(|part| part.len() as u64).sum::<u64>();
        let mut last = self.put_once(key, &path, body);
        if matches!(last, Err(Failure::Write(_))) {
            last = self.put_once(key, &path, body);
        }
        for _ in 0..VANISHED_MAX {
            if !matches!(last, Err(Failure::Vanished(_))) {
                break;
            }
            self.known_dirs.lock().unwrap_or_else(PoisonError::into_inner).clear();
            last = self.put_once(key, &path, body);
        }
        for _ in 0..GIFTS_MAX {
            let may_use_reserve = object_bytes <= SMALL_BYTES;
            let is_full = matches!(last, Err(Failure::NoSpace));
            if !(is_full && may_use_reserve && self.reserve.give(object_bytes)) {
                break;
            }
            last = self.put_once(key, &path, body);
        }
        match last {
            Ok(put) => Ok(put),
            Err(Failure::NoSpace) => {
                Err(BackendError::NoSpace { op: Op::Put, key: key.to_string() })
            }
            Err(Failure::Write(e)) => {
                if !is_passing(&e) {
                    self.set_read_only(&format!("writing {key} failed twice: {e}"));
                }
                Err(failed(Op::Put, key, e))
            }
            Err(Failure::Vanished(e)) => Err(failed(Op::Put, key, e)),
            Err(Failure::Final(e)) => Err(e),
        }
    }

    /// Removes empty directories below `directory`, and itself. Somebody who puts an object there at the
    /// same time makes them again.
    pub(super) fn remove_empty(&self, directory: &Path) {
        let Ok(entries) = std::fs::read_dir(directory) else { return };
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.remove_empty(&entry.path());
            }
        }
        self.known_dirs.lock().unwrap_or_else(PoisonError::into_inner).remove(directory);
        if let Err(error) = self.files.remove_dir(directory) {
            tracing::debug!(path = %directory.display(), %error, "a directory stays");
        }
    }

    pub(super) fn delete_durably(&self, key: &Key) -> Result<(), BackendError> {
        self.check_writable(Op::Delete, key)?;
        let path = self.path(key);
        match self.files.unlink(&path) {
            Ok(()) => {}
            // Somebody's unfinished delete may have removed it: make that durable below.
            Err(e) if is_absent(&e) => {}
            Err(_) if path.is_dir() => return Err(not_an_object(Op::Delete, key)),
            Err(e) => return Err(failed(Op::Delete, key, e)),
        }
        match self.files.sync_dir(parent(&path)) {
            Ok(()) => {}
            Err(e) if is_absent(&e) => {}
            Err(e) => return Err(self.unsynced(Op::Delete, key, e)),
        }
        self.reserve.refill();
        Ok(())
    }

    fn put_once(&self, key: &Key, path: &Path, body: &[&[u8]]) -> Result<Put, Failure> {
        self.ensure_parent(key, path)?;
        let temp = self.write_temp(key, body)?;
        let put = self.publish(key, path, &temp);
        // Only now: a leftover says that the steps before were not finished.
        if let Err(error) = self.files.unlink(&temp.path) {
            tracing::warn!(path = %temp.path.display(), %error, "cannot remove a temporary file");
        }
        put
    }

    fn publish(&self, key: &Key, path: &Path, temp: &Temp) -> Result<Put, Failure> {
        match self.files.link(&temp.path, path) {
            Ok(()) => {}
            // The answer may have been lost on the way (network file systems): look who is there.
            Err(_) if is_same_file(&temp.file, path) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                return self.existed(key, path).map_err(Failure::Final);
            }
            Err(e) if is_no_space(&e) => return Err(Failure::NoSpace),
            // The directory was removed behind our back: it is made again.
            Err(e) if is_absent(&e) => return Err(Failure::Vanished(e)),
            Err(e) => return Err(Failure::Final(failed(Op::Put, key, e))),
        }
        if planted::has(Bug::NoDirectorySync) {
            return Ok(Put::Created);
        }
        match self.files.sync_dir(parent(path)) {
            Ok(()) => Ok(Put::Created),
            Err(e) if is_no_space(&e) => Ok(Put::Unknown),
            // Somebody removed the object, and then the directory.
            Err(e) if is_absent(&e) => Ok(Put::Unknown),
            Err(e) => Err(Failure::Final(self.unsynced(Op::Put, key, e))),
        }
    }

    /// The object is there; its creator may have died before making the name durable.
    fn existed(&self, key: &Key, path: &Path) -> Result<Put, BackendError> {
        if !path.symlink_metadata().is_ok_and(|about| about.is_file()) {
            return Err(not_an_object(Op::Put, key));
        }
        let synced = make_dirs(&*self.files, parent(path), Some(self));
        match synced.and_then(|()| self.files.sync_dir(parent(path))) {
            Ok(()) => Ok(Put::Existed),
            // Also when no room is left for the names: who asks again shall hear what is missing.
            Err(e) => Err(self.unsynced(Op::Put, key, e)),
        }
    }

    fn ensure_parent(&self, key: &Key, path: &Path) -> Result<(), Failure> {
        make_dirs(&*self.files, parent(path), Some(self)).map_err(|e| match e.kind() {
            io::ErrorKind::NotADirectory => Failure::Final(not_an_object(Op::Put, key)),
            io::ErrorKind::NotFound if self.root.is_dir() => Failure::Vanished(e),
            _ if is_no_space(&e) => Failure::NoSpace,
            _ => Failure::Final(self.unsynced(Op::Put, key, e)),
        })
    }

    fn write_temp(&self, key: &Key, body: &[&[u8]]) -> Result<Temp, Failure> {
        let temp = self.create_temp(key)?;
        let written = self.files.write(&temp.file, body).and_then(|()| self.sync_file(&temp.file));
        let Err(e) = written else { return Ok(temp) };
        if let Err(error) = self.files.unlink(&temp.path) {
            tracing::warn!(path = %temp.path.display(), %error, "cannot remove a temporary file");
        }
        Err(if is_no_space(&e) { Failure::NoSpace } else { Failure::Write(e) })
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        if planted::has(Bug::NoFileSync) { Ok(()) } else { self.files.sync_file(file) }
    }

    fn create_temp(&self, key: &Key) -> Result<Temp, Failure> {
        let incoming = self.root.join(INCOMING);
        for _ in 0..TEMP_NAMES_MAX {
            let number = self.temp_counter.fetch_add(1, Ordering::Relaxed);
            let path = incoming.join(format!("{}-{number}", std::process::id()));
            let file = match self.files.create(&path) {
                Ok(file) => file,
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(e) if is_no_space(&e) => return Err(Failure::NoSpace),
                Err(e) => return Err(Failure::Final(failed(Op::Put, key, e))),
            };
            // Somebody who just opens the store may sweep the file before it is locked.
            let is_locked = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
            if is_locked && file.metadata().is_ok_and(|about| about.nlink() > 0) {
                return Ok(Temp { path, file });
            }
        }
        let source = io::Error::other("no free name for a temporary file");
        Err(Failure::Final(failed(Op::Put, key, source)))
    }

    /// After a failed sync of a directory nobody knows what is durable.
    fn unsynced(&self, op: Op, key: &Key, error: io::Error) -> BackendError {
        if !is_passing(&error) {
            self.set_read_only(&format!("syncing the directory of {key} failed: {error}"));
        }
        failed(op, key, error)
    }
}

/// Why one attempt of a put failed.
enum Failure {
    /// No room.
    NoSpace,
    /// The file could not be written or synced: worth one more attempt with a new one.
    Write(io::Error),
    /// A directory that was there is not there any more.
    Vanished(io::Error),
    /// Nothing a second attempt would change.
    Final(BackendError),
}

/// Makes `dir` and what is missing above it, and syncs every parent up to the backend's root.
///
/// A directory that exists is synced too, once per process: its creator may have died before.
pub(super) fn make_dirs(
    files: &dyn FileOps,
    dir: &Path,
    backend: Option<&LocalBackend>,
) -> io::Result<()> {
    if let Some(backend) = backend {
        let known = backend.known_dirs.lock().unwrap_or_else(PoisonError::into_inner);
        if dir == backend.root || known.contains(dir) {
            return Ok(());
        }
    } else if dir.is_dir() {
        return Ok(());
    }
    let Some(parent) = dir.parent() else { return Ok(()) };
    make_dirs(files, parent, backend)?;
    match files.make_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        Err(_) if !dir.is_dir() => return Err(io::ErrorKind::NotADirectory.into()),
        _ if planted::has(Bug::ParentDirectoryNotSynced) => {}
        _ => files.sync_dir(parent)?,
    }
    if let Some(backend) = backend {
        let mut known = backend.known_dirs.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_DIRS_MAX {
            known.clear();
        }
        known.insert(dir.to_owned());
    }
    Ok(())
}

/// Keys have segments below the root, so there is always a parent.
fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn is_same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.symlink_metadata()) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

fn not_an_object(op: Op, key: &Key) -> BackendError {
    let reason = "something that is no object is in its place".to_owned();
    BackendError::Refused { op, key: key.to_string(), reason }
}
