//! Locks on images, understood by QEMU.
//!
//! QEMU marks an image it has open with shared locks on single bytes: byte 100 + n
//! says "I use permission n", byte 200 + n says "nobody else may". Whoever wants to
//! open the image tests the opposite bytes. We hold the same locks, so that a
//! virtual machine is not started from a disk that is being restored, and test for
//! them (QEMU `block/file-posix.c`, `qemu-img` the same). `flock` is taken as well,
//! for programmes that use that.
//!
//! Locks belong to the open file: they end with it, also when the process is killed.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rustix::fs::{FlockOperation, flock};

const PERMISSIONS: i64 = 100;
const NOT_SHARED: i64 = 200;
/// Read consistent data, write, write unchanged data, resize.
const PERMISSION_COUNT: i64 = 4;
const CONSISTENT_READ: i64 = 0;
const WRITE: i64 = 1;
const RESIZE: i64 = 3;

/// Locks the image for reading: others may read it too, but not write.
pub(crate) fn lock_for_reading(file: &File) -> io::Result<()> {
    flock(file, FlockOperation::NonBlockingLockShared)?;
    hold(file, PERMISSIONS + CONSISTENT_READ)?;
    hold(file, NOT_SHARED + WRITE)?;
    hold(file, NOT_SHARED + RESIZE)?;
    // Ours are in place: now nobody can begin to write unseen.
    refuse_if_held(file, PERMISSIONS + WRITE, 1)?;
    refuse_if_held(file, PERMISSIONS + RESIZE, 1)?;
    refuse_if_held(file, NOT_SHARED + CONSISTENT_READ, 1)
}

/// Locks the image for writing: nobody else may use it.
pub(crate) fn lock_for_writing(file: &File) -> io::Result<()> {
    flock(file, FlockOperation::NonBlockingLockExclusive)?;
    for permission in 0..PERMISSION_COUNT {
        hold(file, PERMISSIONS + permission)?;
        hold(file, NOT_SHARED + permission)?;
    }
    refuse_if_held(file, PERMISSIONS, PERMISSION_COUNT)?;
    refuse_if_held(file, NOT_SHARED, PERMISSION_COUNT)
}

/// Whether anybody else holds any lock on any byte of the file.
pub(crate) fn is_locked(file: &File) -> io::Result<bool> {
    // Length 0 means up to the end, wherever that is.
    conflict(file, 0, 0)
}

fn hold(file: &File, byte: i64) -> io::Result<()> {
    let lock = range(libc::F_RDLCK, byte, 1)?;
    fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&lock))?;
    Ok(())
}

fn refuse_if_held(file: &File, first: i64, count: i64) -> io::Result<()> {
    if conflict(file, first, count)? { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
}

/// Whether somebody else's lock is in the way of an exclusive one.
fn conflict(file: &File, first: i64, count: i64) -> io::Result<bool> {
    let mut lock = range(libc::F_WRLCK, first, count)?;
    fcntl(file.as_fd(), FcntlArg::F_OFD_GETLK(&mut lock))?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

fn range(kind: i32, first: i64, count: i64) -> io::Result<libc::flock> {
    let small = |value: i32| i16::try_from(value).map_err(io::Error::other);
    Ok(libc::flock {
        l_type: small(kind)?,
        l_whence: small(libc::SEEK_SET)?,
        l_start: first,
        l_len: count,
        // Must be 0 for locks that belong to the open file.
        l_pid: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &std::path::Path) -> File {
        File::options().read(true).write(true).open(path).unwrap()
    }

    #[test]
    fn readers_share_and_a_writer_is_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (a, b, c) = (open(file.path()), open(file.path()), open(file.path()));
        lock_for_reading(&a).unwrap();
        lock_for_reading(&b).unwrap();
        assert_eq!(lock_for_writing(&c).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(is_locked(&c).unwrap());
        drop((a, b, c));
        let (a, b) = (open(file.path()), open(file.path()));
        assert!(!is_locked(&a).unwrap());
        lock_for_writing(&a).unwrap();
        assert!(!is_locked(&a).unwrap(), "one's own lock is no conflict");
        assert!(is_locked(&b).unwrap());
        assert_eq!(lock_for_reading(&b).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
