//! A file that does not have its name yet.
//!
//! It is written under `<name>.partial` and gets its name when every byte is there and durable, so that what
//! failed never looks finished (P1). It belongs to one writer: the lock on it is held until it has its name,
//! and what a dead one left is removed, not written on. It is for its owner alone, as the disk was, and what
//! somebody put under that name beforehand – a link to another file – is not followed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;

/// A file under its partial name. Dropped unpublished it stays, for inspection; the next one replaces it.
#[derive(Debug)]
pub struct PartialFile {
    file: File,
    partial: PathBuf,
    path: PathBuf,
}

impl PartialFile {
    /// Begins the empty file `path`, of mode 0600.
    ///
    /// # Errors
    /// `AlreadyExists` if `path` exists; `ResourceBusy` if another process is writing it now.
    pub fn create(path: &Path) -> io::Result<Self> {
        // Also a link that leads nowhere: the name is taken.
        if path.symlink_metadata().is_ok() {
            let what = format!("{} exists already", path.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        remove_leftover(&partial)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)
            .map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => busy(&partial),
                _ => error,
            })?;
        lock(&file, &partial)?;
        // Another one may have taken it for a leftover before it was locked.
        if file.metadata()?.nlink() == 0 {
            return Err(busy(&partial));
        }
        Ok(Self { file, partial, path: path.to_owned() })
    }

    /// The file, to write it.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Makes the file durable and gives it its name. Call only when all is written.
    ///
    /// # Errors
    /// `AlreadyExists` if somebody has made a file of that name meanwhile: it stays.
    pub fn publish(self) -> io::Result<()> {
        self.file.sync_all()?;
        let cwd = rustix::fs::CWD;
        match renameat_with(cwd, &self.partial, cwd, &self.path, RenameFlags::NOREPLACE) {
            // Some file systems cannot refuse to replace. A hard link never replaces.
            Err(Errno::INVAL | Errno::NOSYS) => {
                fs::hard_link(&self.partial, &self.path)?;
                fs::remove_file(&self.partial)?;
            }
            other => other?,
        }
        let parent = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        File::open(parent)?.sync_all()
    }
}

/// Removes what is called like that, unless somebody is writing it.
fn remove_leftover(partial: &Path) -> io::Result<()> {
    match partial.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        // The link goes; what it leads to stays as it is.
        Ok(about) if about.is_symlink() => return fs::remove_file(partial),
        Ok(_) => {}
    }
    // Not blocking, so that a pipe of that name cannot hold us up.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let leftover = OpenOptions::new().read(true).write(true).custom_flags(flags).open(partial)?;
    lock(&leftover, partial)?;
    fs::remove_file(partial)
}

fn lock(file: &File, partial: &Path) -> io::Result<()> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => busy(partial),
        TryLockError::Error(error) => error,
    })
}

fn busy(partial: &Path) -> io::Error {
    let what = format!(
        "another process is writing {}: let it end, or name another file",
        partial.display()
    );
    io::Error::new(io::ErrorKind::ResourceBusy, what)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::symlink;

    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk.img");
        let partial = directory.path().join("disk.img.partial");
        (directory, path, partial)
    }

    /// P1: two that write the same name would mix their bytes into one file that is then published.
    #[test]
    fn a_file_that_is_being_written_is_not_begun_again() {
        let (_keep, path, partial) = place();
        let first = PartialFile::create(&path).unwrap();
        first.file().write_all(b"first").unwrap();
        let second = PartialFile::create(&path).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::ResourceBusy, "{second}");
        assert_eq!(fs::read(&partial).unwrap(), b"first");
        // What a dead one left is replaced: its bytes are not kept under a longer new disk.
        drop(first);
        let third = PartialFile::create(&path).unwrap();
        third.file().write_all(b"3").unwrap();
        third.publish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"3");
        assert!(!partial.exists());
    }

    /// P32: what was on the disk is for its owner, and the file of somebody else stays as it is.
    #[test]
    fn a_link_is_not_followed_and_others_read_nothing() {
        let (keep, path, partial) = place();
        let other = keep.path().join("other");
        fs::write(&other, b"precious").unwrap();
        symlink(&other, &partial).unwrap();
        let file = PartialFile::create(&path).unwrap();
        file.file().write_all(b"disk").unwrap();
        file.publish().unwrap();
        assert_eq!(
            (fs::read(&other).unwrap(), fs::read(&path).unwrap()),
            (b"precious".to_vec(), b"disk".to_vec())
        );
        assert_eq!(path.symlink_metadata().unwrap().mode() & 0o777, 0o600);
        let (_keep, path, _) = place();
        symlink(keep.path().join("nowhere"), &path).unwrap();
        let taken = PartialFile::create(&path).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
    }
}
