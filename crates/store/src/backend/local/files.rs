//! The changes a local backend asks of the operating system, one by one, so that
//! a test can fail each of them.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use cbr_directio::DirectFile;
use rustix::fs::OFlags;
use rustix::io::Errno;

/// Changing calls. Reading needs no seam: it changes nothing.
pub trait FileOps: Send + Sync + fmt::Debug {
    /// Creates a file that must not exist.
    fn create(&self, path: &Path) -> io::Result<File>;
    /// Fills an empty file with the concatenated `parts`.
    fn write(&self, file: &File, parts: &[&[u8]]) -> io::Result<()>;
    /// Makes the file's content durable.
    fn sync_file(&self, file: &File) -> io::Result<()>;
    /// Gives the file a second name, which must not exist.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Removes a name.
    fn unlink(&self, path: &Path) -> io::Result<()>;
    /// Creates a directory.
    fn make_dir(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory that is empty.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
}

/// Objects of this size and more are written past the page cache: packs, which are rarely read
/// soon. Records and tables are read again at once.
const DIRECT_BYTES_MIN: usize = 1 << 20;

/// The real calls.
#[derive(Debug)]
pub struct Os;

impl FileOps for Os {
    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
    }

    fn write(&self, mut file: &File, parts: &[&[u8]]) -> io::Result<()> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        if total >= DIRECT_BYTES_MIN {
            return DirectFile::new(file.try_clone()?).write_whole(parts);
        }
        parts.iter().try_for_each(|part| file.write_all(part))
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::hard_link(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }
}

/// Opens an object for reading; never follows a link somebody put in its place, and never waits
/// for the other end of a pipe.
pub(super) fn open_object(path: &Path) -> io::Result<File> {
    // The flags fit: they are small positive constants on every Unix.
    let flags =
        i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).map_err(io::Error::other)?;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Whether the error means that there is no such object.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether the error means that there is no room, by the disk's or a quota's measure.
pub(super) fn is_no_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether the error says that the medium lost what was on it, not that it does not answer.
pub(super) fn is_medium_damage(error: &io::Error) -> bool {
    let damage = [Errno::IO, Errno::UCLEAN, Errno::BADMSG];
    Errno::from_io_error(error).is_some_and(|errno| damage.contains(&errno))
}

/// Whether the error says something about this moment and nothing about the disk: a process out
/// of handles or memory has not lost data.
pub(super) fn is_passing(error: &io::Error) -> bool {
    let passing = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::INTR, Errno::AGAIN];
    is_no_space(error) || Errno::from_io_error(error).is_some_and(|errno| passing.contains(&errno))
}
