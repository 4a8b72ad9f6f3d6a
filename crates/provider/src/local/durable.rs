//! Small files that survive a power cut, and directories without surprises.
//!
//! A file is written under another name, synced, renamed and the directory synced
//! (reliability 3.1): whoever reads it sees the old or the new content, never a
//! mixture. Names are single components and links are not followed, so nothing is
//! opened outside the directory.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, fsync, mkdirat, openat, renameat, unlinkat,
};
use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Doing, ProviderError, Result};

/// The largest description file that is read.
const SMALL_FILE_BYTES_MAX: u64 = 1 << 20;

/// The most entries of one directory that are looked at.
const ENTRIES_MAX: usize = 100_000;

const FILE_MODE: Mode = Mode::from_raw_mode(0o600);
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o700);

/// An open directory.
#[derive(Debug)]
pub(crate) struct Directory {
    fd: OwnedFd,
}

impl Directory {
    /// Opens the directory at `path`.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { fd: rustix::fs::open(path, flags, Mode::empty())? })
    }

    /// Opens a directory beneath this one.
    pub(crate) fn subdirectory(&self, name: &str) -> io::Result<Self> {
        check_name(name)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self { fd: openat(&self.fd, name, flags, Mode::empty())? })
    }

    /// Opens the directory at a path that begins here.
    pub(crate) fn directory_at(&self, path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { fd: openat(&self.fd, path, flags, Mode::empty())? })
    }

    /// Opens a directory beneath this one, making it first if need be.
    pub(crate) fn make_subdirectory(&self, name: &str) -> io::Result<Self> {
        check_name(name)?;
        match mkdirat(&self.fd, name, DIRECTORY_MODE) {
            Ok(()) => self.sync()?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        self.subdirectory(name)
    }

    /// Opens a regular file. Anything else under that name, also a link, is refused.
    pub(crate) fn open_file(&self, name: &str, writable: bool) -> io::Result<File> {
        check_name(name)?;
        let access = if writable { OFlags::RDWR } else { OFlags::RDONLY };
        // Not blocking, so that a pipe of that name cannot hold us up.
        let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = File::from(openat(&self.fd, name, flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(file)
    }

    /// Makes a file that was not there.
    pub(crate) fn create_file(&self, name: &str) -> io::Result<File> {
        check_name(name)?;
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(openat(&self.fd, name, flags, FILE_MODE)?))
    }

    /// Renames a file within the directory and makes that durable.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_name(from)?;
        check_name(to)?;
        renameat(&self.fd, from, &self.fd, to)?;
        self.sync()
    }

    /// Removes a file; one that is not there is fine. Not durable before [`Self::sync`].
    pub(crate) fn remove_file(&self, name: &str) -> io::Result<()> {
        check_name(name)?;
        absent_is_fine(unlinkat(&self.fd, name, AtFlags::empty()))
    }

    /// Removes an empty directory; one that is not there is fine.
    pub(crate) fn remove_directory(&self, name: &str) -> io::Result<()> {
        check_name(name)?;
        absent_is_fine(unlinkat(&self.fd, name, AtFlags::REMOVEDIR))
    }

    /// Makes everything done to the directory durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(fsync(&self.fd)?)
    }

    /// The names of the regular files, sorted. Names that are not UTF-8 are left out.
    pub(crate) fn file_names(&self) -> io::Result<Vec<String>> {
        self.names(FileType::RegularFile)
    }

    /// The names of the directories, sorted. Names that are not UTF-8 are left out.
    pub(crate) fn directory_names(&self) -> io::Result<Vec<String>> {
        self.names(FileType::Directory)
    }

    fn names(&self, wanted: FileType) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for (count, entry) in Dir::read_from(&self.fd)?.enumerate() {
            if count >= ENTRIES_MAX {
                return Err(io::Error::other(format!("more than {ENTRIES_MAX} entries")));
            }
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if check_name(name).is_err() {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => self.kind_of(name)?,
                known => known,
            };
            if kind == wanted {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn kind_of(&self, name: &str) -> io::Result<FileType> {
        let stat = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(FileType::from_raw_mode(stat.st_mode))
    }

    /// Reads a small file; `None` if there is none.
    pub(crate) fn read_small(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let file = match self.open_file(name, false) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(SMALL_FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > SMALL_FILE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "larger than 1 MiB"));
        }
        Ok(Some(bytes))
    }

    /// Replaces a small file, durably.
    pub(crate) fn write_small(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let temporary = format!(".{name}.tmp");
        // One left by a crash was never renamed, so nobody needs it.
        self.remove_file(&temporary)?;
        let mut file = self.create_file(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        self.rename(&temporary, name)
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A directory of values in JSON, one file each.
#[derive(Debug)]
pub(crate) struct JsonDirectory<T> {
    path: PathBuf,
    what: &'static str,
    holds: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> JsonDirectory<T> {
    /// The values in `parent/name`, made if need be; `what` names one of them in messages.
    pub(crate) fn open(parent: &Path, name: &str, what: &'static str) -> Result<Self> {
        let path = parent.join(name);
        Directory::open(parent)
            .and_then(|parent| parent.make_subdirectory(name))
            .doing(|| format!("open {}", path.display()))?;
        Ok(Self { path, what, holds: PhantomData })
    }

    /// The value called `name`; `None` if there is none.
    pub(crate) fn get(&self, name: &str) -> Result<Option<T>> {
        let bytes = self
            .directory()?
            .read_small(&Self::file_name(name))
            .doing(|| format!("read the {} {name}", self.what))?;
        let Some(bytes) = bytes else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            ProviderError::refused(
                format!("the {} {name} in {} is damaged: {error}", self.what, self.path.display()),
                "remove the file after checking the volume it belongs to",
            )
        })
    }

    /// Stores the value called `name`, durably.
    pub(crate) fn put(&self, name: &str, value: &T) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(value).map_err(io::Error::other);
        bytes
            .and_then(|bytes| {
                Directory::open(&self.path)?.write_small(&Self::file_name(name), &bytes)
            })
            .doing(|| format!("store the {} {name}", self.what))
    }

    /// Removes the value called `name`, durably; one that is not there is fine.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        let directory = self.directory()?;
        directory
            .remove_file(&Self::file_name(name))
            .and_then(|()| directory.sync())
            .doing(|| format!("remove the {} {name}", self.what))
    }

    /// The names of all values.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let files = self.directory()?.file_names().doing(|| format!("list every {}", self.what))?;
        Ok(files.iter().filter_map(|file| file.strip_suffix(".json")).map(str::to_owned).collect())
    }

    fn directory(&self) -> Result<Directory> {
        Directory::open(&self.path).doing(|| format!("open {}", self.path.display()))
    }

    fn file_name(name: &str) -> String {
        format!("{name}.json")
    }
}

/// A name is one component: nothing that leads elsewhere.
fn check_name(name: &str) -> io::Result<()> {
    let mut components = Path::new(name).components();
    let single = matches!(
        (components.next(), components.next()),
        (Some(std::path::Component::Normal(only)), None) if only == OsStr::new(name)
    );
    if single {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file name"))
    }
}

fn absent_is_fine(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_is_opened_outside_the_directory() {
        // P28, P29: neither by a name nor by a link.
        let outer = tempfile::tempdir().unwrap();
        std::fs::write(outer.path().join("secret"), "x").unwrap();
        std::fs::create_dir(outer.path().join("pool")).unwrap();
        symlink("../secret", outer.path().join("pool/link.raw")).unwrap();
        symlink("..", outer.path().join("pool/up")).unwrap();
        let pool = Directory::open(&outer.path().join("pool")).unwrap();
        for name in ["../secret", "link.raw", "/etc/passwd", ".", "..", "", "up/secret", "a/"] {
            assert!(pool.open_file(name, false).is_err(), "{name}");
            assert!(pool.create_file(name).is_err(), "{name}");
        }
        assert!(pool.subdirectory("up").is_err());
        assert_eq!(pool.file_names().unwrap(), [""; 0]);
        assert_eq!(pool.directory_names().unwrap(), [""; 0]);
    }

    #[test]
    fn a_value_is_replaced_as_a_whole_also_after_a_crash_left_a_temporary_file() {
        let dir = tempfile::tempdir().unwrap();
        let values = JsonDirectory::<Vec<u8>>::open(dir.path(), "values", "value").unwrap();
        std::fs::write(dir.path().join("values/.a.json.tmp"), "half a val").unwrap();
        values.put("a", &vec![1, 2]).unwrap();
        values.put("a", &vec![3]).unwrap();
        assert_eq!(values.get("a").unwrap(), Some(vec![3]));
        assert_eq!(values.names().unwrap(), ["a"]);
        values.remove("a").unwrap();
        values.remove("a").unwrap();
        assert_eq!(values.get("a").unwrap(), None);
    }

    #[test]
    fn a_damaged_value_is_an_error_and_not_an_absent_one() {
        let dir = tempfile::tempdir().unwrap();
        let values = JsonDirectory::<Vec<u8>>::open(dir.path(), "values", "value").unwrap();
        std::fs::write(dir.path().join("values/a.json"), "{").unwrap();
        assert!(matches!(values.get("a"), Err(ProviderError::Refused { .. })));
    }
}
