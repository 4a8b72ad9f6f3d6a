//! Which clusters of a qcow2 image are in use, checked before the image is written to.
//!
//! The library gives out any cluster whose reference count is 0, and writes into one that is
//! marked as copied where it is. It writes counts and tables without a sync in between, so after
//! a power cut a table may lead to a cluster whose count was lost. Writing then gives the same
//! cluster to two pieces of the disk, and reports success with the bytes of one in the other
//! (P1, P2). So nothing is written unless every cluster in use has one use, and is counted.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::ops::Range;

use super::header::{Header, Unusable};
use super::tables::{self, Piece};

/// The most clusters of a file that are looked at: one bit of memory for each.
const CLUSTERS_MAX: u64 = 1 << 32;

/// The tables of an image contradict each other, or the file.
///
/// Of a volume that is written anew from beginning to end nothing is lost with them.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct Inconsistent(Unusable);

impl Inconsistent {
    /// Whether this is why an image could not be opened.
    pub(crate) fn is_cause_of(error: &io::Error) -> bool {
        error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Self>)
    }
}

/// What an image that may be written to holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Content {
    /// Whether every byte of the disk reads as zero.
    pub(super) is_zero: bool,
}

/// Fails unless every cluster in use has one use and a reference count.
pub(super) fn check_for_writing(file: &File, header: &Header) -> io::Result<Content> {
    check(file, header).map_err(|error| match error.downcast::<Unusable>() {
        Ok(unusable) => io::Error::new(io::ErrorKind::InvalidData, Inconsistent(unusable)),
        Err(error) => error,
    })
}

fn check(file: &File, header: &Header) -> io::Result<Content> {
    let cluster = header.cluster_bytes;
    let mut used = Used::new(cluster, file.metadata()?.len())?;
    used.alone(0, cluster)?;
    used.alone(header.l1_offset, header.l1_entries * 8)?;
    used.alone(header.refcounts_offset, header.refcounts_bytes)?;
    let mut is_zero = true;
    tables::visit(file, header, header.l1_entries, |_, piece| match piece {
        Piece::Table(offset) | Piece::Reserved(offset) => used.alone(offset, cluster),
        Piece::Data(offset) => {
            is_zero = false;
            used.alone(offset, cluster)
        }
        Piece::Compressed(range) => {
            is_zero = false;
            used.shared(&range)
        }
    })?;
    // Of at most 8 MiB, the header was checked for that.
    let blocks = tables::read(file, header.refcounts_offset, header.refcounts_bytes)?;
    let blocks: Vec<u64> = tables::words(&blocks).collect();
    for offset in blocks.iter().filter(|offset| **offset != 0) {
        used.alone(*offset, cluster)?;
    }
    check_counts(file, header, &blocks, &used)?;
    Ok(Content { is_zero })
}

/// Fails unless the reference count of every used cluster covers its uses.
fn check_counts(file: &File, header: &Header, blocks: &[u64], used: &Used) -> io::Result<()> {
    let per_block = (header.cluster_bytes * 8) >> header.refcount_order;
    let mut index = 0;
    while index * per_block < used.clusters {
        let clusters = index * per_block..((index + 1) * per_block).min(used.clusters);
        let mut counts = None;
        for cluster in clusters.clone() {
            let uses = used.uses(cluster);
            if uses == 0 {
                continue;
            }
            if counts.is_none() {
                let block = usize::try_from(index).ok().and_then(|index| blocks.get(index));
                let Some(block) = block.filter(|offset| **offset != 0) else {
                    return Err(uncounted(cluster * header.cluster_bytes, 0, uses));
                };
                counts = Some(tables::read(file, *block, header.cluster_bytes)?);
            }
            let place = usize::try_from(cluster - clusters.start).map_err(io::Error::other)?;
            let counted =
                counts.as_ref().map_or(0, |block| count(block, place, header.refcount_order));
            if counted < uses {
                return Err(uncounted(cluster * header.cluster_bytes, counted, uses));
            }
        }
        index += 1;
    }
    Ok(())
}

/// The reference count number `index` of a block of them.
fn count(block: &[u8], index: usize, order: u32) -> u64 {
    if order < 3 {
        // The first of several in one byte has the lowest bits.
        let byte = block[index >> (3 - order)] >> ((index << order) % 8);
        return u64::from(byte) & ((1 << (1 << order)) - 1);
    }
    let bytes = 1 << (order - 3);
    block[index * bytes..][..bytes].iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// The clusters that were found to be used.
struct Used {
    cluster_bytes: u64,
    /// How many the file has.
    clusters: u64,
    /// One bit for each. The memory is taken only where a bit is set.
    bits: Vec<u64>,
    /// How many compressed pieces of the disk lie in a cluster; those alone may share one.
    shared: HashMap<u64, u64>,
}

impl Used {
    fn new(cluster_bytes: u64, file_bytes: u64) -> io::Result<Self> {
        let clusters = file_bytes.div_ceil(cluster_bytes);
        if clusters > CLUSTERS_MAX {
            return Err(tables::invalid(Unusable {
                why: format!("has {clusters} clusters, more than can be checked"),
                remedy: "copy it with `qemu-img convert -O qcow2 -o cluster_size=64k`",
            }));
        }
        let words = usize::try_from(clusters.div_ceil(64)).map_err(io::Error::other)?;
        Ok(Self { cluster_bytes, clusters, bits: vec![0; words], shared: HashMap::new() })
    }

    /// Notes a use that allows no other.
    fn alone(&mut self, offset: u64, length: u64) -> io::Result<()> {
        if !offset.is_multiple_of(self.cluster_bytes) {
            return Err(contradictory(format!("has a table at the impossible place {offset}")));
        }
        for cluster in self.clusters_of(&(offset..offset.saturating_add(length)))? {
            if !self.mark(cluster) {
                return Err(self.twice(cluster));
            }
        }
        Ok(())
    }

    /// Notes a use by one compressed piece of the disk.
    fn shared(&mut self, range: &Range<u64>) -> io::Result<()> {
        for cluster in self.clusters_of(range)? {
            if !self.mark(cluster) && !self.shared.contains_key(&cluster) {
                return Err(self.twice(cluster));
            }
            *self.shared.entry(cluster).or_default() += 1;
        }
        Ok(())
    }

    fn clusters_of(&self, range: &Range<u64>) -> io::Result<Range<u64>> {
        let clusters = range.start / self.cluster_bytes..range.end.div_ceil(self.cluster_bytes);
        if clusters.end > self.clusters {
            let why = format!("uses byte {} beyond the end of its file", range.start);
            return Err(contradictory(why));
        }
        Ok(clusters)
    }

    /// Whether the cluster was free until now.
    fn mark(&mut self, cluster: u64) -> bool {
        let Some(word) = usize::try_from(cluster / 64).ok().and_then(|at| self.bits.get_mut(at))
        else {
            return false;
        };
        let bit = 1 << (cluster % 64);
        let was_free = *word & bit == 0;
        *word |= bit;
        was_free
    }

    /// How often a cluster is used.
    fn uses(&self, cluster: u64) -> u64 {
        let word = usize::try_from(cluster / 64).ok().and_then(|at| self.bits.get(at));
        if word.is_none_or(|word| word >> (cluster % 64) & 1 == 0) {
            return 0;
        }
        self.shared.get(&cluster).copied().unwrap_or(1)
    }

    fn twice(&self, cluster: u64) -> io::Error {
        contradictory(format!("uses the cluster at {} twice", cluster * self.cluster_bytes))
    }
}

fn uncounted(offset: u64, counted: u64, uses: u64) -> io::Error {
    contradictory(format!("counts {counted} uses of the cluster at {offset}, but has {uses}"))
}

fn contradictory(why: String) -> io::Error {
    tables::invalid(Unusable { why, remedy: "mend it with `qemu-img check -r all`" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_every_width_are_read_as_qemu_stores_them() {
        let block = [0b1101_0010, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07];
        let bits = |order, indexes: std::ops::Range<usize>| {
            indexes.map(|index| count(&block, index, order)).collect::<Vec<_>>()
        };
        assert_eq!(bits(0, 0..8), [0, 1, 0, 0, 1, 0, 1, 1]);
        assert_eq!(bits(1, 0..4), [2, 0, 1, 3]);
        assert_eq!(bits(2, 0..3), [2, 13, 1]);
        assert_eq!(bits(3, 0..2), [0xd2, 1]);
        assert_eq!(bits(4, 0..2), [0xd201, 0x0203]);
        assert_eq!(bits(5, 1..2), [0x0405_0607]);
        assert_eq!(bits(6, 0..1), [0xd201_0203_0405_0607]);
    }

    #[test]
    fn only_compressed_pieces_share_a_cluster() {
        let used = || Used::new(512, 512 * 100).unwrap();
        let mut one = used();
        one.alone(512, 1024).unwrap();
        assert_eq!([0, 1, 2, 3].map(|cluster| one.uses(cluster)), [0, 1, 1, 0]);
        assert!(one.alone(1024, 512).is_err());
        assert!(one.shared(&(100..600)).is_err());
        let mut other = used();
        other.shared(&(100..600)).unwrap();
        other.shared(&(600..700)).unwrap();
        assert_eq!([0, 1, 2].map(|cluster| other.uses(cluster)), [1, 2, 0]);
        assert!(other.alone(0, 512).is_err());
        assert!(other.alone(512 * 100, 512).is_err(), "beyond the file");
        assert!(Used::new(512, 1 << 62).is_err());
    }
}
