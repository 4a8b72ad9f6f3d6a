//! A disk image file that is being written: raw or qcow2.
//!
//! It is written under `<name>.partial` and gets its name only when every byte is there and
//! durable, so that what failed never looks finished (P1). qcow2 is written by the library that
//! also reads and writes it in pools; no other program is needed.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use cbr_provider::{DiskWriter, qcow2_image};
use cbr_store::{BlockTarget, NewFileTarget};
use rustix::fs::{CWD, RenameFlags, renameat_with};

/// How an image is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ImageFormat {
    /// Byte for byte; holes stay holes.
    Raw,
    /// As QEMU likes it.
    Qcow2,
}

/// An image file that does not have its name yet.
#[derive(Debug)]
pub(crate) enum NewImage {
    /// Byte for byte.
    Raw(NewFileTarget),
    /// As QEMU likes it.
    Qcow2(NewQcow2),
}

/// A qcow2 file that does not have its name yet.
#[derive(Debug)]
pub(crate) struct NewQcow2 {
    writer: Box<dyn DiskWriter>,
    partial: PathBuf,
    path: PathBuf,
}

impl NewImage {
    /// Begins the image `path` of a disk of `size_bytes` zeroes. Refuses if `path` exists.
    pub(crate) fn create(path: &Path, format: ImageFormat, size_bytes: u64) -> io::Result<Self> {
        match format {
            ImageFormat::Raw => NewFileTarget::create(path, size_bytes).map(Self::Raw),
            ImageFormat::Qcow2 => NewQcow2::create(path, size_bytes).map(Self::Qcow2),
        }
    }

    /// Makes everything durable and gives the file its name. Call only when all is written.
    pub(crate) fn publish(self) -> io::Result<()> {
        match self {
            Self::Raw(target) => target.publish(),
            Self::Qcow2(image) => image.publish(),
        }
    }
}

impl NewQcow2 {
    fn create(path: &Path, size_bytes: u64) -> io::Result<Self> {
        if path.try_exists()? {
            let what = format!("{} exists already", path.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&partial)?;
        let writer = qcow2_image(file, size_bytes)?;
        Ok(Self { writer, partial, path: path.to_owned() })
    }

    fn publish(self) -> io::Result<()> {
        self.writer.flush()?;
        // The library writes what it still has when it lets go.
        drop(self.writer);
        File::open(&self.partial)?.sync_all()?;
        renameat_with(CWD, &self.partial, CWD, &self.path, RenameFlags::NOREPLACE)?;
        let parent = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        File::open(parent)?.sync_all()
    }
}

impl BlockTarget for NewImage {
    fn size_bytes(&self) -> u64 {
        match self {
            Self::Raw(target) => target.size_bytes(),
            Self::Qcow2(image) => image.writer.size_bytes(),
        }
    }

    fn is_known_zero(&self) -> bool {
        match self {
            Self::Raw(target) => target.is_known_zero(),
            Self::Qcow2(image) => image.writer.is_known_zero(),
        }
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        match self {
            Self::Raw(target) => target.write_at(offset, data),
            Self::Qcow2(image) => image.writer.write_at(offset, data),
        }
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        match self {
            Self::Raw(target) => target.zero(range),
            Self::Qcow2(image) => image.writer.zero(range),
        }
    }

    fn flush(&self) -> io::Result<()> {
        match self {
            Self::Raw(target) => target.flush(),
            Self::Qcow2(image) => image.writer.flush(),
        }
    }
}
