//! A version of the store as a disk that NBD can give out.

use std::io;
use std::ops::Range;

use cbr_nbd::{Export, Extent, Extents};
use cbr_store::{DiskReader, ExtentKind, Repository, VersionRef};

/// Runs told at once.
const EXTENTS_MAX: usize = 32 << 10;

/// A version of the store as a read-only disk.
#[derive(Debug)]
pub struct VersionDisk {
    reader: DiskReader,
    description: String,
    identity: [u8; 32],
}

impl VersionDisk {
    /// Opens a version. Blocks, but not for long: a few objects are read, whatever the disk's size.
    pub fn open(
        repository: &Repository,
        version: &VersionRef,
        description: String,
    ) -> cbr_store::Result<Self> {
        let reader = repository.open_disk(version)?;
        Ok(Self { reader, description, identity: identity(repository, version) })
    }

    /// Which version of which repository this is: what an overlay must lie on again.
    pub const fn identity(&self) -> [u8; 32] {
        self.identity
    }
}

/// Never to be changed: an overlay made before would not be accepted any more.
fn identity(repository: &Repository, version: &VersionRef) -> [u8; 32] {
    let chain = &version.chain;
    let mut text = Vec::with_capacity(64);
    text.extend_from_slice(repository.id().as_bytes());
    text.extend_from_slice(chain.tenant.as_bytes());
    text.extend_from_slice(chain.chain.as_bytes());
    text.extend_from_slice(&chain.epoch.to_be_bytes());
    text.extend_from_slice(&version.seq.to_be_bytes());
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &text);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

impl Export for VersionDisk {
    fn size(&self) -> u64 {
        self.reader.size_bytes()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.reader.read_at(offset, buffer).map_err(io::Error::other)
    }

    /// What was lost counts as data: reading it is an error, not zeroes.
    fn extents(&self, range: Range<u64>) -> io::Result<Vec<Extent>> {
        let mut extents = Extents::default();
        for extent in self.reader.extents(range, EXTENTS_MAX).map_err(io::Error::other)? {
            extents.push(match extent.kind {
                ExtentKind::Hole => Extent::hole(extent.bytes),
                ExtentKind::Data | ExtentKind::Bad => Extent::plain(extent.bytes),
            });
        }
        Ok(extents.into_vec())
    }

    fn description(&self) -> Option<&str> {
        Some(&self.description)
    }
}
