//! The files of a cache below one directory.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, OFlags, flock};

use super::{CacheFiles, Opened};

/// What all files together may take, in bytes. Above it those go that were not written for longest.
const BYTES_MAX: u64 = 256 << 20;
/// What the name of a file that is not finished ends with.
const UNFINISHED: &str = ".new";

/// A directory of its own for one repository, mode 0700; made when something is written. Its files have mode 0600.
#[derive(Debug)]
pub struct CacheDirectory {
    path: PathBuf,
    bytes_max: u64,
    /// Numbers the unfinished files of this process.
    count: AtomicU64,
    /// What the files take, or a little more; `None`: nobody has looked yet.
    bytes: Mutex<Option<u64>>,
}

impl CacheDirectory {
    /// In this directory, which need not be there.
    pub fn new(path: PathBuf) -> Self {
        Self::with_room(path, BYTES_MAX)
    }

    fn with_room(path: PathBuf, bytes_max: u64) -> Self {
        Self { path, bytes_max, count: AtomicU64::new(0), bytes: Mutex::default() }
    }

    /// All regular files: when each was written, its size and its name.
    fn files(&self) -> io::Result<Vec<(SystemTime, u64, String)>> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            // Somebody else may have removed it.
            let Ok(about) = entry.metadata() else { continue };
            if let (true, Ok(name)) = (about.is_file(), entry.file_name().into_string()) {
                files.push((about.modified()?, about.len(), name));
            }
        }
        Ok(files)
    }

    /// Counts `more` bytes; removes old files if that is too much, and what nobody will finish.
    fn make_room(&self, more: u64) -> io::Result<()> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &mut *bytes
            && *known + more <= self.bytes_max
        {
            *known += more;
            return Ok(());
        }
        let mut files = self.files()?;
        files.sort_unstable();
        let mut total: u64 = more;
        total += files.iter().map(|(_, size, _)| size).sum::<u64>();
        for (_, size, name) in files {
            let goes = if name.ends_with(UNFINISHED) {
                is_abandoned(&self.path.join(&name))
            } else {
                total > self.bytes_max
            };
            if goes {
                self.remove(&name)?;
                total -= size;
            }
        }
        *bytes = Some(total);
        Ok(())
    }

    fn create_unfinished(&self, name: &str) -> io::Result<(PathBuf, File)> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let path = self.path.join(format!("{name}.{process}-{number}{UNFINISHED}"));
        // A process before this one may have had its number.
        fs::remove_file(&path).or_else(absent_is_fine)?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        // Until it is finished nobody takes it for abandoned.
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok((path, file))
    }
}

impl CacheFiles for CacheDirectory {
    fn open(&self, name: &str) -> io::Result<Option<Opened>> {
        match open(&self.path.join(name), OpenOptions::new().read(true)) {
            Ok(file) => {
                let size = file.metadata()?.len();
                Ok(Some((size, Box::new(io::BufReader::new(file).take(size)))))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<Option<u64>> {
        self.make_room(bytes.len() as u64)?;
        let mut file = match open(&self.path.join(name), OpenOptions::new().append(true)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        file.write_all(bytes)?;
        file.sync_data()?;
        Ok(Some(file.metadata()?.len()))
    }

    fn replace(&self, name: &str, pieces: &mut dyn Iterator<Item = Vec<u8>>) -> io::Result<u64> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
        let (path, mut file) = self.create_unfinished(name)?;
        let mut size = 0;
        let write = || {
            for piece in pieces {
                self.make_room(piece.len() as u64)?;
                file.write_all(&piece)?;
                size += piece.len() as u64;
            }
            // Otherwise a power cut could leave a name with nothing behind it, in the place of what was there.
            file.sync_data()?;
            fs::rename(&path, self.path.join(name))
        };
        let written = write();
        if written.is_err() {
            fs::remove_file(&path).or_else(absent_is_fine)?;
        }
        written.map(|()| size)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name)).or_else(absent_is_fine)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.files()?.into_iter().map(|(_, _, name)| name).collect())
    }
}

/// Opens a regular file; never follows a link somebody put in its place, and never waits for the other end
/// of a pipe.
fn open(path: &Path, how: &mut OpenOptions) -> io::Result<File> {
    let flags =
        i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).map_err(io::Error::other)?;
    let file = how.custom_flags(flags).open(path)?;
    let about = file.metadata()?;
    if about.is_file() && about.nlink() <= 1 {
        return Ok(file);
    }
    Err(io::Error::other("something that is no file of the cache is in its place"))
}

/// Whether nobody writes the file any more.
fn is_abandoned(path: &Path) -> bool {
    let file = File::open(path);
    file.is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockShared).is_ok())
}

fn absent_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn whole(files: &CacheDirectory, name: &str) -> Option<Vec<u8>> {
        let (size, mut file) = files.open(name).unwrap()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        assert_eq!(size, bytes.len() as u64);
        Some(bytes)
    }

    fn replace(files: &CacheDirectory, name: &str, pieces: &[&[u8]]) -> io::Result<u64> {
        files.replace(name, &mut pieces.iter().map(|piece| piece.to_vec()))
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_added_to_and_removed() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("cache/one");
        let files = CacheDirectory::new(path.clone());
        assert!(whole(&files, "a").is_none() && files.names().unwrap().is_empty());
        assert!(files.append("a", b"nothing").unwrap().is_none(), "none is made by adding");
        assert_eq!(replace(&files, "a", &[b"12", b"3"]).unwrap(), 3);
        assert_eq!(files.append("a", b"45").unwrap(), Some(5));
        assert_eq!(whole(&files, "a").unwrap(), b"12345");
        replace(&files, "a", &[b"6"]).unwrap();
        assert_eq!(whole(&files, "a").unwrap(), b"6");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join("a"))), (0o700, 0o600));
        assert_eq!(files.names().unwrap(), ["a"]);
        files.remove("a").unwrap();
        files.remove("a").unwrap();
        assert!(whole(&files, "a").is_none());
    }

    #[test]
    fn what_is_no_file_of_the_cache_is_not_opened() {
        let temp = tempfile::tempdir().unwrap();
        let other = temp.path().join("other");
        fs::write(&other, "secret").unwrap();
        let files = CacheDirectory::new(temp.path().join("cache"));
        replace(&files, "a", &[b"1"]).unwrap();
        symlink(&other, temp.path().join("cache/link")).unwrap();
        fs::hard_link(&other, temp.path().join("cache/hard")).unwrap();
        fs::create_dir(temp.path().join("cache/directory")).unwrap();
        for name in ["link", "hard", "directory"] {
            assert!(files.open(name).is_err(), "{name}");
            assert!(files.append(name, b"x").is_err(), "{name}");
        }
        assert_eq!(fs::read(&other).unwrap(), b"secret");
    }

    /// What a dead process left goes, what a living one writes stays; and all files together have a limit.
    #[test]
    fn unfinished_and_old_files_do_not_pile_up() {
        let temp = tempfile::tempdir().unwrap();
        let files = CacheDirectory::with_room(temp.path().to_owned(), 100);
        fs::write(temp.path().join("a.1-1.new"), "left behind").unwrap();
        let (_, _kept) =
            CacheDirectory::new(temp.path().to_owned()).create_unfinished("b").unwrap();
        replace(&files, "c", &[&[1; 60]]).unwrap();
        let mut names = files.names().unwrap();
        names.sort_unstable();
        assert!(names.len() == 2 && names[0].starts_with("b."), "{names:?}");
        let old = OpenOptions::new().write(true).open(temp.path().join("c")).unwrap();
        old.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        replace(&files, "d", &[&[1; 60]]).unwrap();
        assert!(whole(&files, "c").is_none() && whole(&files, "d").is_some());
        assert!(files.append("d", &[1; 30]).unwrap().is_some());
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let temp = tempfile::tempdir().unwrap();
        let files = CacheDirectory::new(temp.path().join("cache"));
        replace(&files, "a", &[b"1"]).unwrap();
        fs::create_dir(temp.path().join("cache/b")).unwrap();
        assert!(replace(&files, "b", &[b"2"]).is_err(), "a directory is in its place");
        assert_eq!(files.names().unwrap(), ["a"]);
        fs::write(temp.path().join("no-directory"), "").unwrap();
        let files = CacheDirectory::new(temp.path().join("no-directory"));
        assert!(replace(&files, "a", &[b"1"]).is_err());
    }
}
