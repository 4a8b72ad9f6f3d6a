//! Where a disk lies, how it is opened, and how a change to it is noticed.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::durable::Directory;
use super::in_use::{Usage, changes};
use super::qcow2::{Header, Qcow2Reader, Qcow2Writer, read_first};
use super::raw::{RawReader, RawWriter, size_of};
use crate::disk::{DiskReader, DiskWriter, LUKS_MAGIC};
use crate::resource::VolumeFormat;

/// Where a disk lies.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    /// An image in a directory.
    File { directory: PathBuf, file: String, format: VolumeFormat },
    /// A block device.
    Device { path: PathBuf },
}

/// How a disk is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// To look at it.
    Look,
    /// To read it while nobody else may write.
    Read,
    /// To write it while nobody else may use it.
    Write,
}

impl Place {
    /// Opens the file or device. A device is claimed, unless it is only looked at:
    /// nobody can mount it then, and it cannot be claimed while it is mounted.
    pub(crate) fn open(&self, access: Access) -> io::Result<File> {
        let writable = access == Access::Write;
        match self {
            Self::File { directory, file, .. } => {
                Directory::open(directory)?.open_file(file, writable)
            }
            Self::Device { path } => {
                let mut flags = OFlags::CLOEXEC | OFlags::NONBLOCK;
                if access != Access::Look {
                    flags |= OFlags::EXCL;
                }
                let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
                let device =
                    File::options().read(true).write(writable).custom_flags(flags).open(path)?;
                if !device.metadata()?.file_type().is_block_device() {
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a block device"));
                }
                Ok(device)
            }
        }
    }

    /// Whether it lies in this directory or in one beneath it.
    pub(crate) fn is_beneath(&self, path: &Path) -> bool {
        matches!(self, Self::File { directory, .. } if directory.starts_with(path))
    }

    /// Who uses what was opened, apart from locks.
    pub(crate) fn holder(&self, file: &File, usage: &Usage) -> Option<String> {
        match self {
            Self::File { .. } => usage.of_file(file),
            Self::Device { .. } => usage.of_device(file),
        }
    }

    /// The size of the disk, or why it cannot be used.
    pub(crate) fn size_bytes(&self, file: &File) -> io::Result<Result<u64, String>> {
        match self.format() {
            VolumeFormat::Raw | VolumeFormat::BlockDevice => Ok(match size_of(file) {
                Ok(0) => Err("it is empty".to_owned()),
                Ok(size_bytes) => Ok(size_bytes),
                Err(error) => Err(error.to_string()),
            }),
            VolumeFormat::Qcow2 => Ok(match Header::read(file)? {
                Ok(Header { size_bytes: 0, .. }) => Err("it is empty".to_owned()),
                Ok(header) => Ok(header.size_bytes),
                Err(unusable) => Err(unusable.to_string()),
            }),
        }
    }

    /// Whether the disk is a LUKS container from its first byte on. One whose beginning cannot be read is
    /// not told to be.
    pub(crate) fn is_encrypted(&self, file: &File) -> bool {
        let mut first = [0; LUKS_MAGIC.len()];
        let read = match self.format() {
            VolumeFormat::Raw | VolumeFormat::BlockDevice => file.read_exact_at(&mut first, 0),
            VolumeFormat::Qcow2 => read_first(file, &mut first),
        };
        read.is_ok() && first == LUKS_MAGIC
    }

    /// A reader of the disk.
    pub(crate) fn reader(&self, file: File) -> io::Result<Arc<dyn DiskReader>> {
        Ok(match self.format() {
            VolumeFormat::Raw | VolumeFormat::BlockDevice => Arc::new(RawReader::new(file)?),
            VolumeFormat::Qcow2 => Arc::new(Qcow2Reader::new(file)?),
        })
    }

    /// A writer of the disk.
    pub(crate) fn writer(&self, file: File) -> io::Result<Arc<dyn DiskWriter>> {
        Ok(match self.format() {
            VolumeFormat::Raw | VolumeFormat::BlockDevice => Arc::new(RawWriter::new(file)?),
            VolumeFormat::Qcow2 => Arc::new(Qcow2Writer::new(file)?),
        })
    }

    /// How the disk is stored.
    pub(crate) const fn format(&self) -> VolumeFormat {
        match self {
            Self::File { format, .. } => *format,
            Self::Device { .. } => VolumeFormat::BlockDevice,
        }
    }
}

/// What changes when a disk is written to.
///
/// Of a file: size and times. Of a device: the kernel's counts of sectors written and discarded,
/// which begin anew at a restart of the host; a backup that spans one is refused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fingerprint {
    File {
        inode: u64,
        size_bytes: u64,
        modified: (i64, i64),
        changed: (i64, i64),
    },
    Device {
        number: u64,
        size_bytes: u64,
        /// `None` in records of older versions where nothing was counted: shows no change.
        sectors_written: Option<u64>,
        /// `None` where the kernel does not count them, and in records of older versions.
        #[serde(default)]
        sectors_discarded: Option<u64>,
    },
}

impl Fingerprint {
    /// The state of the disk now. Invalid data: nothing would show a change.
    pub(crate) fn take(file: &File) -> io::Result<Self> {
        // Of a device: written through its cache and not yet counted. Of a file: whoever has it
        // in memory changes its times again only once what was changed before is written out.
        file.sync_all()?;
        let metadata = file.metadata()?;
        if !metadata.file_type().is_block_device() {
            return Ok(Self::File {
                inode: metadata.ino(),
                size_bytes: metadata.len(),
                modified: (metadata.mtime(), metadata.mtime_nsec()),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
            });
        }
        let changes = changes(metadata.rdev()).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the kernel does not count what is written to the device, so a change during the \
                 backup would not be noticed; switch it on with `echo 1 > \
                 /sys/block/DEVICE/queue/iostats`",
            )
        })?;
        Ok(Self::Device {
            number: metadata.rdev(),
            size_bytes: size_of(file)?,
            sectors_written: Some(changes.written),
            sectors_discarded: changes.discarded,
        })
    }

    /// What differs, for people; `None` if nothing.
    pub(crate) fn difference(&self, now: &Self) -> Option<&'static str> {
        match (self, now) {
            (
                Self::Device { number, size_bytes, sectors_written: Some(written), .. },
                Self::Device { number: n, size_bytes: s, sectors_written: Some(w), .. },
            ) if (number, size_bytes, written) == (n, s, w) => {
                (!self.discarded_as_much_as(now)).then_some("sectors of the device were discarded")
            }
            (Self::Device { sectors_written: None, .. }, _) => {
                Some("the kernel did not count what was written to the device")
            }
            (Self::File { .. }, Self::File { .. }) if self == now => None,
            (Self::File { inode, .. }, Self::File { inode: other, .. }) if inode != other => {
                Some("the file was replaced")
            }
            (Self::File { size_bytes, .. }, Self::File { size_bytes: other, .. })
                if size_bytes != other =>
            {
                Some("the size of the file is another")
            }
            (Self::File { .. }, Self::File { .. }) => Some("the file was written to"),
            _ => Some("the device was written to, or the host was restarted"),
        }
    }

    /// Where it was not counted before, nothing is known about it.
    fn discarded_as_much_as(&self, now: &Self) -> bool {
        match (self, now) {
            (
                Self::Device { sectors_discarded: Some(before), .. },
                Self::Device { sectors_discarded, .. },
            ) => sectors_discarded.as_ref() == Some(before),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(sectors_written: Option<u64>, sectors_discarded: Option<u64>) -> Fingerprint {
        Fingerprint::Device { number: 1, size_bytes: 512, sectors_written, sectors_discarded }
    }

    #[test]
    fn a_device_that_nobody_counts_is_never_unchanged() {
        // P1: not knowing is not the same as nothing.
        assert!(device(None, None).difference(&device(None, None)).is_some());
        assert!(device(Some(5), None).difference(&device(None, None)).is_some());
        assert_eq!(device(Some(5), Some(6)).difference(&device(Some(5), Some(6))), None);
        assert_eq!(device(Some(5), None).difference(&device(Some(5), Some(6))), None);
        for other in [device(Some(6), Some(6)), device(Some(5), Some(7)), device(Some(5), None)] {
            assert!(device(Some(5), Some(6)).difference(&other).is_some(), "{other:?}");
        }
    }

    #[test]
    fn records_of_older_versions_are_read() {
        let text = r#"{"device":{"number":1,"size_bytes":512,"sectors_written":5}}"#;
        let read: Fingerprint = serde_json::from_str(text).unwrap();
        assert_eq!(read, device(Some(5), None));
    }
}
