//! A disk image file that is being written: raw or qcow2.
//!
//! It gets its name only when every byte is there and durable (`cbr_store::PartialFile`). qcow2 is written by the library that
//! also reads and writes it in pools; no other program is needed.

use std::io;
use std::ops::Range;
use std::path::Path;

use cbr_provider::{DiskWriter, qcow2_image};
use cbr_store::{BlockTarget, NewFileTarget, PartialFile};

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
    partial: PartialFile,
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
        let partial = PartialFile::create(path)?;
        let writer = qcow2_image(partial.file().try_clone()?, size_bytes)?;
        Ok(Self { writer, partial })
    }

    fn publish(self) -> io::Result<()> {
        self.writer.flush()?;
        // The library writes what it still has when it lets go.
        drop(self.writer);
        self.partial.publish()
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
