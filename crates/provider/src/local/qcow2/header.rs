//! The fixed part of a qcow2 header, checked before the image is believed.
//!
//! Limits are those of QEMU, so an image it opens passes and the tables that are
//! loaded into memory stay small. Not here: reading the image (`image.rs`).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::disk::DISK_BYTES_MAX;

const MAGIC: [u8; 4] = *b"QFI\xfb";
const VERSION_2_BYTES: usize = 72;
const VERSION_3_BYTES: usize = 104;
const L1_TABLE_BYTES_MAX: u64 = 32 << 20;
const REFCOUNT_TABLE_BYTES_MAX: u64 = 8 << 20;

const DIRTY: u64 = 1 << 0;
const CORRUPT: u64 = 1 << 1;
const EXTERNAL_DATA: u64 = 1 << 2;
const OTHER_COMPRESSION: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;

/// What the header of a usable image says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    /// The size the guest sees.
    pub(crate) size_bytes: u64,
    /// The unit in which the image gives out space of the file.
    pub(crate) cluster_bytes: u64,
    /// How many snapshots the image holds inside; they forbid writing to it.
    pub(crate) internal_snapshots: u32,
    /// Where the L1 table begins in the file.
    pub(super) l1_offset: u64,
    /// How many entries the L1 table has; at least one for every L2 table the disk may have.
    pub(super) l1_entries: u64,
    /// Where the table of reference counts begins in the file.
    pub(super) refcounts_offset: u64,
    /// How long that table is.
    pub(super) refcounts_bytes: u64,
    /// A reference count has 2 to the power of this many bits; at most 6.
    pub(super) refcount_order: u32,
}

/// Why an image is not used, and what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the qcow2 image {why}; {remedy}")]
pub(crate) struct Unusable {
    pub(crate) why: String,
    pub(crate) remedy: &'static str,
}

impl Header {
    /// Reads and checks the header of an image.
    pub(crate) fn read(file: &File) -> io::Result<Result<Self, Unusable>> {
        let mut bytes = [0; VERSION_3_BYTES];
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read_at(&mut bytes[filled..], filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(Self::parse(&bytes[..filled], file.metadata()?.len()))
    }

    /// Checks a header; `file_bytes` is the length of the whole file.
    pub(crate) fn parse(bytes: &[u8], file_bytes: u64) -> Result<Self, Unusable> {
        if bytes.len() < VERSION_2_BYTES || bytes[..4] != MAGIC {
            return Err(damaged("does not begin with a qcow2 header"));
        }
        let version = u32_at(bytes, 4);
        let (features, refcount_order, header_bytes) = match version {
            2 => (0, 4, VERSION_2_BYTES as u64),
            3 if bytes.len() >= VERSION_3_BYTES => {
                (u64_at(bytes, 72), u32_at(bytes, 96), u64::from(u32_at(bytes, 100)))
            }
            3 => return Err(damaged("is cut off")),
            other => return Err(damaged(format!("has the unknown version {other}"))),
        };
        refuse_other_files(bytes, features)?;
        refuse_features(bytes, features)?;

        let cluster_bits = u32_at(bytes, 20);
        if !(9..=21).contains(&cluster_bits) {
            return Err(damaged(format!("has impossible clusters of 2^{cluster_bits} bytes")));
        }
        let cluster = 1_u64 << cluster_bits;
        if header_bytes > cluster || (version == 3 && header_bytes < VERSION_3_BYTES as u64) {
            return Err(damaged("has an impossible header length"));
        }
        if refcount_order > 6 {
            return Err(damaged(format!("has reference counts of 2^{refcount_order} bits")));
        }
        let size_bytes = u64_at(bytes, 24);
        if size_bytes > DISK_BYTES_MAX {
            return Err(damaged(format!("claims {size_bytes} bytes, more than 64 TiB")));
        }
        check_tables(bytes, cluster, size_bytes, file_bytes)?;
        Ok(Self {
            size_bytes,
            cluster_bytes: cluster,
            internal_snapshots: u32_at(bytes, 60),
            l1_offset: u64_at(bytes, 40),
            l1_entries: u64::from(u32_at(bytes, 36)),
            refcounts_offset: u64_at(bytes, 48),
            refcounts_bytes: u64::from(u32_at(bytes, 56)) * cluster,
            refcount_order,
        })
    }

    /// How many entries of the L1 table the disk reaches.
    pub(super) fn l1_entries_needed(&self) -> u64 {
        l1_entries_needed(self.size_bytes, self.cluster_bytes)
    }
}

/// One entry leads to one cluster of entries, each of which leads to one cluster of data.
fn l1_entries_needed(size_bytes: u64, cluster: u64) -> u64 {
    size_bytes.div_ceil(cluster * (cluster / 8))
}

/// Nothing else is ever opened because an image says so.
fn refuse_other_files(bytes: &[u8], features: u64) -> Result<(), Unusable> {
    if u64_at(bytes, 8) != 0 {
        return Err(Unusable {
            why: "has a backing file".into(),
            remedy: "make it independent with `qemu-img rebase -b '' IMAGE` or `qemu-img convert`",
        });
    }
    if features & EXTERNAL_DATA != 0 {
        return Err(Unusable {
            why: "keeps its data in another file".into(),
            remedy: "copy it into one file with `qemu-img convert`",
        });
    }
    Ok(())
}

fn refuse_features(bytes: &[u8], features: u64) -> Result<(), Unusable> {
    if u32_at(bytes, 32) != 0 {
        return Err(Unusable {
            why: "is encrypted by itself".into(),
            remedy: "backups are encrypted anyway: copy it unencrypted with `qemu-img convert`",
        });
    }
    if features & CORRUPT != 0 {
        return Err(damaged("is marked as corrupt"));
    }
    if features & DIRTY != 0 {
        return Err(Unusable {
            why: "was not closed cleanly, or is open with lazy reference counts".into(),
            remedy: "switch `lazy_refcounts` off, or stop the server and run `qemu-img check -r all`",
        });
    }
    if features & (OTHER_COMPRESSION | EXTENDED_L2) != 0 {
        return Err(Unusable {
            why: "uses zstd compression or extended L2 entries, which are not supported".into(),
            remedy: "copy it with `qemu-img convert -O qcow2`",
        });
    }
    if features != 0 {
        return Err(damaged(format!("uses the unknown features {features:#x}")));
    }
    Ok(())
}

fn check_tables(
    bytes: &[u8],
    cluster: u64,
    size_bytes: u64,
    file_bytes: u64,
) -> Result<(), Unusable> {
    let table = |offset: u64, length: u64, longest: u64, what: &str| {
        if length > longest {
            return Err(damaged(format!("claims a {what} of {length} bytes")));
        }
        if !offset.is_multiple_of(cluster) {
            return Err(damaged(format!("has its {what} at an impossible place")));
        }
        match offset.checked_add(length) {
            Some(end) if end <= file_bytes => Ok(()),
            _ => Err(damaged(format!("is cut off before the end of its {what}"))),
        }
    };
    let entries = u64::from(u32_at(bytes, 36));
    if entries < l1_entries_needed(size_bytes, cluster) {
        return Err(damaged("has too small an L1 table"));
    }
    table(u64_at(bytes, 40), entries * 8, L1_TABLE_BYTES_MAX, "L1 table")?;
    let clusters = u64::from(u32_at(bytes, 56));
    table(u64_at(bytes, 48), clusters * cluster, REFCOUNT_TABLE_BYTES_MAX, "reference count table")
}

pub(super) fn damaged(why: impl Into<String>) -> Unusable {
    Unusable { why: why.into(), remedy: "check it with `qemu-img check`" }
}

/// The caller has checked that the header is long enough.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) << 32 | u64::from(u32_at(bytes, at + 4))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIB: u64 = 1 << 30;

    /// A sound header of a 1 GiB image with 64 KiB clusters in a file of 1 MiB.
    fn sound() -> Vec<u8> {
        let mut bytes = vec![0; VERSION_3_BYTES];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 4, &3_u32.to_be_bytes());
        put(&mut bytes, 20, &16_u32.to_be_bytes());
        put(&mut bytes, 24, &GIB.to_be_bytes());
        put(&mut bytes, 36, &2_u32.to_be_bytes());
        put(&mut bytes, 40, &(3_u64 << 16).to_be_bytes());
        put(&mut bytes, 48, &(1_u64 << 16).to_be_bytes());
        put(&mut bytes, 56, &1_u32.to_be_bytes());
        put(&mut bytes, 96, &4_u32.to_be_bytes());
        put(&mut bytes, 100, &104_u32.to_be_bytes());
        bytes
    }

    fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
        bytes[at..at + value.len()].copy_from_slice(value);
    }

    #[test]
    fn a_sound_header_is_accepted() {
        let header = Header::parse(&sound(), 1 << 20).unwrap();
        let expected = Header {
            size_bytes: GIB,
            cluster_bytes: 1 << 16,
            internal_snapshots: 0,
            l1_offset: 3 << 16,
            l1_entries: 2,
            refcounts_offset: 1 << 16,
            refcounts_bytes: 1 << 16,
            refcount_order: 4,
        };
        assert_eq!(header, expected);
    }

    #[test]
    fn what_is_wrong_is_said() {
        // P29; the first two are CVE-2024-32498.
        let cases: [(usize, &[u8], &str); 16] = [
            (8, &0x80_u64.to_be_bytes(), "backing file"),
            (72, &EXTERNAL_DATA.to_be_bytes(), "another file"),
            (0, b"QFI\0", "does not begin"),
            (4, &4_u32.to_be_bytes(), "version 4"),
            (20, &8_u32.to_be_bytes(), "clusters"),
            (20, &63_u32.to_be_bytes(), "clusters"),
            (24, &u64::MAX.to_be_bytes(), "64 TiB"),
            (24, &(2 * GIB).to_be_bytes(), "too small an L1"),
            (36, &u32::MAX.to_be_bytes(), "L1 table of"),
            (40, &(1_u64 << 40).to_be_bytes(), "cut off"),
            (40, &1_u64.to_be_bytes(), "impossible place"),
            (56, &u32::MAX.to_be_bytes(), "reference count table"),
            (96, &7_u32.to_be_bytes(), "reference counts of 2^7 bits"),
            (32, &1_u32.to_be_bytes(), "encrypted"),
            (72, &DIRTY.to_be_bytes(), "not closed cleanly"),
            (72, &(1_u64 << 40).to_be_bytes(), "unknown features"),
        ];
        for (at, value, expected) in cases {
            let mut bytes = sound();
            put(&mut bytes, at, value);
            let why = Header::parse(&bytes, 1 << 20).expect_err(expected).to_string();
            assert!(why.contains(expected), "{expected}: {why}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_us_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), file in any::<u64>()) {
            if bytes.len() >= 8 {
                put(&mut bytes, 0, &MAGIC);
                put(&mut bytes, 4, &3_u32.to_be_bytes());
            }
            if let Ok(header) = Header::parse(&bytes, file) {
                prop_assert!(header.size_bytes <= DISK_BYTES_MAX);
            }
        }
    }
}
