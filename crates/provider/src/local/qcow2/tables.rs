//! What the tables of a qcow2 image say about the file, read by ourselves.
//!
//! The library believes the tables: what they place beyond the end of the file it reads as zeros.
//! A file that lost its end would become a backup full of zeros, so everything a table names must
//! be there before anything is read through the library (P1).

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::header::{Header, Unusable, damaged};

/// The bits of an entry that say where something begins.
pub(super) const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
const READS_AS_ZERO: u64 = 1;

/// The unit in which the length of compressed data is counted.
const SECTOR_BYTES: u64 = 512;

/// A piece of the file, as a table names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Piece {
    /// An L2 table: one cluster.
    Table(u64),
    /// One cluster of data, whose offset this is.
    Data(u64),
    /// A cluster that is kept but reads as zeros.
    Reserved(u64),
    /// A cluster of the disk, compressed. May begin and end anywhere.
    Compressed(Range<u64>),
}

/// Where the first cluster of the disk is; `None`: nowhere, and it reads as zeros.
pub(super) fn first(file: &File, header: &Header) -> io::Result<Option<Piece>> {
    let entry =
        |offset: u64| -> io::Result<u64> { Ok(words(&read(file, offset, 8)?).next().unwrap_or(0)) };
    let table = entry(header.l1_offset)? & OFFSET;
    if table == 0 {
        return Ok(None);
    }
    Ok(parse(entry(table)?, header.cluster_bytes))
}

/// Fails unless everything is in the file that has to be read for the content of the disk.
pub(super) fn check_for_reading(file: &File, header: &Header) -> io::Result<()> {
    visit(file, header, header.l1_entries_needed(), |_, _| Ok(()))
}

/// Whether the tables place nothing at or beyond this byte of the disk, where it would be lost
/// with them.
pub(crate) fn is_empty_from(file: &File, offset: u64) -> io::Result<bool> {
    let header = Header::read(file)?.map_err(invalid)?;
    let mut is_empty = true;
    visit(file, &header, header.l1_entries, |at, piece| {
        let is_content = matches!(piece, Piece::Data(_) | Piece::Compressed(_));
        is_empty &= !is_content || at + header.cluster_bytes <= offset;
        Ok(())
    })?;
    Ok(is_empty)
}

/// Visits every L2 table that the first `l1_entries` lead to, each followed by what it names, and
/// says where on the disk it lies. Fails at the first thing that is not in the file.
pub(super) fn visit(
    file: &File,
    header: &Header,
    l1_entries: u64,
    mut visit: impl FnMut(u64, Piece) -> io::Result<()>,
) -> io::Result<()> {
    let reach = Reach { file_bytes: file.metadata()?.len(), cluster: header.cluster_bytes };
    let per_table = header.cluster_bytes / 8 * header.cluster_bytes;
    // At most 32 MiB, the header was checked for that.
    let l1 = read(file, header.l1_offset, l1_entries * 8)?;
    for (entry, begin) in words(&l1).zip((0..).step_by(step(per_table)?)) {
        let table = entry & OFFSET;
        if table == 0 {
            continue;
        }
        reach.check(&Piece::Table(table)).map_err(invalid)?;
        visit(begin, Piece::Table(table))?;
        let l2 = read(file, table, header.cluster_bytes)?;
        for (entry, at) in words(&l2).zip((begin..).step_by(step(header.cluster_bytes)?)) {
            if let Some(piece) = parse(entry, header.cluster_bytes) {
                reach.check(&piece).map_err(invalid)?;
                visit(at, piece)?;
            }
        }
    }
    Ok(())
}

fn step(bytes: u64) -> io::Result<usize> {
    usize::try_from(bytes).map_err(io::Error::other)
}

/// What an entry of an L2 table names; `None` for a cluster that is nowhere and reads as zeros.
fn parse(entry: u64, cluster: u64) -> Option<Piece> {
    if entry & COMPRESSED != 0 {
        // The lower bits say where it begins, the others how many more sectors it reaches into.
        let offset_bits = 62 - (cluster.trailing_zeros() - 8);
        let start = entry & ((1 << offset_bits) - 1) & 0x00ff_ffff_ffff_ffff;
        let more = (entry & (COMPRESSED - 1)) >> offset_bits;
        let end = (start / SECTOR_BYTES + more + 1) * SECTOR_BYTES;
        return Some(Piece::Compressed(start..end));
    }
    match entry & OFFSET {
        0 => None,
        offset if entry & READS_AS_ZERO != 0 => Some(Piece::Reserved(offset)),
        offset => Some(Piece::Data(offset)),
    }
}

/// How far the file reaches.
struct Reach {
    file_bytes: u64,
    cluster: u64,
}

impl Reach {
    fn check(&self, piece: &Piece) -> Result<(), Unusable> {
        let (what, offset, end, file_end) = match piece {
            Piece::Table(offset) => ("L2 table", *offset, offset + self.cluster, self.file_bytes),
            // The last cluster of a file need not be written to its end.
            Piece::Data(offset) => {
                let file_end = self.file_bytes.next_multiple_of(self.cluster);
                ("data", *offset, offset + self.cluster, file_end)
            }
            Piece::Reserved(offset) => ("cluster", *offset, 0, 0),
            Piece::Compressed(range) => {
                let file_end = self.file_bytes.next_multiple_of(SECTOR_BYTES);
                ("compressed data", range.start, range.end, file_end)
            }
        };
        if !matches!(piece, Piece::Compressed(_)) && !offset.is_multiple_of(self.cluster) {
            return Err(damaged(format!("has its {what} at the impossible place {offset}")));
        }
        if end > file_end {
            return Err(Unusable {
                why: format!("is cut off: its {what} at {offset} lies beyond the end of the file"),
                remedy: "replace the file by a whole one",
            });
        }
        Ok(())
    }
}

pub(super) fn read(file: &File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// The entries of a table.
pub(super) fn words(table: &[u8]) -> impl Iterator<Item = u64> {
    table.as_chunks::<8>().0.iter().map(|entry| u64::from_be_bytes(*entry))
}

pub(super) fn invalid(unusable: Unusable) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, unusable)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: u64 = 64 << 10;

    #[test]
    fn an_entry_names_what_qemu_says_it_names() {
        // The layout of docs/interop/qcow2.rst in QEMU.
        let copied = 1 << 63;
        assert_eq!(parse(0, CLUSTER), None);
        assert_eq!(parse(READS_AS_ZERO, CLUSTER), None);
        assert_eq!(parse(copied | 5 << 16, CLUSTER), Some(Piece::Data(5 << 16)));
        assert_eq!(parse(copied | 5 << 16 | 1, CLUSTER), Some(Piece::Reserved(5 << 16)));
        // 54 bits of offset with clusters of 64 KiB, then the further sectors.
        let entry = COMPRESSED | 3 << 54 | 0x12345;
        assert_eq!(parse(entry, CLUSTER), Some(Piece::Compressed(0x12345..0x12a00)));
    }

    #[test]
    fn what_lies_beyond_the_end_is_refused_to_the_byte() {
        let reach = Reach { file_bytes: 2 * CLUSTER + 700, cluster: CLUSTER };
        let fits = |piece| reach.check(&piece).is_ok();
        assert!(fits(Piece::Table(CLUSTER)) && !fits(Piece::Table(2 * CLUSTER)));
        assert!(fits(Piece::Data(2 * CLUSTER)) && !fits(Piece::Data(3 * CLUSTER)));
        let compressed = |end| fits(Piece::Compressed(CLUSTER..2 * CLUSTER + end));
        assert!(compressed(1024) && !compressed(1536));
        assert!(fits(Piece::Reserved(9 * CLUSTER)), "its content is never read");
        assert!(!fits(Piece::Data(CLUSTER + 512)));
    }
}
