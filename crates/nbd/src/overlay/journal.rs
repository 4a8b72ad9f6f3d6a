//! Which blocks of an overlay are valid: an append-only file of runs.
//!
//! Runs are appended in batches, and a batch is durable before the next one begins. So a
//! record that is not whole is the end of an unfinished batch, unless a later batch follows it:
//! then acknowledged records are damaged, and that is an error, never a shorter journal.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use crc_fast::{CrcAlgorithm, checksum};

const MAGIC: &[u8; 8] = b"CBRNBDO1";
/// Magic, disk size, block size, base, checksum.
const HEADER_BYTES: usize = 8 + 8 + 4 + 32 + 4;
/// Start, count, batch, records of the batch that follow, checksum.
const RECORD_BYTES: usize = 8 + 4 + 4 + 4 + 4;
/// Records read at once.
const READ_RECORDS: usize = 4096;

/// What the journal's header pins down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Identity {
    pub(super) size: u64,
    pub(super) block: u32,
    pub(super) base: [u8; 32],
}

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    /// Where the next record goes.
    end: u64,
    /// The number of the next batch.
    batch: u32,
}

/// Why a journal cannot be used.
#[derive(Debug)]
pub(super) enum Unusable {
    File(io::Error),
    What(&'static str),
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

impl Journal {
    /// Begins a journal in an empty file; durable on return.
    pub(super) fn begin(file: File, identity: Identity) -> Result<Self, Unusable> {
        if file.metadata()?.len() != 0 {
            return Err(Unusable::What("exists already"));
        }
        file.write_all_at(&encode_header(&identity), 0)?;
        file.sync_all()?;
        Ok(Self { file, end: HEADER_BYTES as u64, batch: 0 })
    }

    /// Opens the journal in `file` and tells each valid run to `found`.
    ///
    /// One whose header is not whole is refused, also an empty one: [`Self::begin`] ends before
    /// anything is written to the disk, so this one lost what it had.
    pub(super) fn open(
        file: File,
        identity: Identity,
        found: &mut dyn FnMut(Range<u64>),
    ) -> Result<Self, Unusable> {
        let length = file.metadata()?.len();
        let mut present = [0; HEADER_BYTES];
        if length < HEADER_BYTES as u64 {
            return Err(Unusable::What("the journal is cut off before its first record"));
        }
        file.read_exact_at(&mut present, 0)?;
        if !header_is_whole(&present) {
            return Err(Unusable::What("the journal's header is damaged"));
        }
        if present != encode_header(&identity) {
            return Err(Unusable::What("belongs to another disk"));
        }
        let mut journal = Self { file, end: HEADER_BYTES as u64, batch: 0 };
        journal.replay(length, identity, found)?;
        // What follows is a batch that was never acknowledged.
        journal.file.set_len(journal.end)?;
        journal.file.sync_all()?;
        Ok(journal)
    }

    /// Reads records up to the last whole batch.
    fn replay(
        &mut self,
        length: u64,
        identity: Identity,
        found: &mut dyn FnMut(Range<u64>),
    ) -> Result<(), Unusable> {
        let blocks = identity.size.div_ceil(u64::from(identity.block));
        let mut buffer = vec![0; READ_RECORDS * RECORD_BYTES];
        let (mut at, mut torn) = (self.end, false);
        let mut batch: Vec<Range<u64>> = Vec::new();
        while at + RECORD_BYTES as u64 <= length {
            let take = usize::try_from(length - at).unwrap_or(usize::MAX).min(buffer.len());
            let take = take - take % RECORD_BYTES;
            self.file.read_exact_at(&mut buffer[..take], at)?;
            for bytes in buffer[..take].chunks_exact(RECORD_BYTES) {
                at += RECORD_BYTES as u64;
                let record = Record::parse(bytes).filter(|record| record.range.end <= blocks);
                match record {
                    Some(record) if record.batch > self.batch => {
                        return Err(Unusable::What("the journal is damaged in its middle"));
                    }
                    Some(record) if !torn && record.batch == self.batch => {
                        batch.push(record.range);
                        if record.left == 0 {
                            batch.drain(..).for_each(&mut *found);
                            self.end = at;
                            self.batch = self.batch.wrapping_add(1);
                        }
                    }
                    _ => torn = true,
                }
            }
        }
        Ok(())
    }

    /// Adds runs as one batch, and returns when it is durable. After an error nobody knows
    /// what is in the file: the caller must not append any more.
    pub(super) fn append(&mut self, runs: &[Range<u64>]) -> io::Result<()> {
        let mut out = Vec::with_capacity(runs.len() * RECORD_BYTES);
        for (at, run) in runs.iter().enumerate() {
            let left = u32::try_from(runs.len() - at - 1).map_err(io::Error::other)?;
            Record { range: run.clone(), batch: self.batch, left }.encode(&mut out)?;
        }
        self.file.write_all_at(&out, self.end)?;
        self.file.sync_data()?;
        self.end += out.len() as u64;
        self.batch = self.batch.checked_add(1).ok_or(io::ErrorKind::StorageFull)?;
        Ok(())
    }
}

impl Drop for Journal {
    /// Closing the file is not enough to give the lock back: a process that is being started
    /// at this moment may have inherited it for an instant.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::debug!(%error, "cannot unlock an overlay");
        }
    }
}

/// One run of blocks.
struct Record {
    range: Range<u64>,
    batch: u32,
    left: u32,
}

impl Record {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (fields, sum) = bytes.split_last_chunk::<4>()?;
        if checksum(CrcAlgorithm::Crc32IsoHdlc, fields) != u64::from(u32::from_le_bytes(*sum)) {
            return None;
        }
        let (start, rest) = fields.split_first_chunk::<8>()?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let (batch, rest) = rest.split_first_chunk::<4>()?;
        let left = rest.first_chunk::<4>()?;
        let start = u64::from_le_bytes(*start);
        let count = u64::from(u32::from_le_bytes(*count));
        let end = start.checked_add(count).filter(|_| count > 0)?;
        let (batch, left) = (u32::from_le_bytes(*batch), u32::from_le_bytes(*left));
        Some(Self { range: start..end, batch, left })
    }

    fn encode(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let at = out.len();
        let count = self.range.end - self.range.start;
        out.extend_from_slice(&self.range.start.to_le_bytes());
        out.extend_from_slice(&u32::try_from(count).map_err(io::Error::other)?.to_le_bytes());
        out.extend_from_slice(&self.batch.to_le_bytes());
        out.extend_from_slice(&self.left.to_le_bytes());
        push_sum(out, at);
        Ok(())
    }
}

fn push_sum(out: &mut Vec<u8>, from: usize) {
    // The algorithm's result has 32 bits.
    let sum = checksum(CrcAlgorithm::Crc32IsoHdlc, &out[from..]);
    out.extend_from_slice(&u32::try_from(sum).unwrap_or(u32::MAX).to_le_bytes());
}

fn encode_header(identity: &Identity) -> [u8; HEADER_BYTES] {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&identity.size.to_le_bytes());
    out.extend_from_slice(&identity.block.to_le_bytes());
    out.extend_from_slice(&identity.base);
    push_sum(&mut out, 0);
    let mut header = [0; HEADER_BYTES];
    header.copy_from_slice(&out);
    header
}

fn header_is_whole(bytes: &[u8; HEADER_BYTES]) -> bool {
    let (fields, sum) = bytes.split_at(HEADER_BYTES - 4);
    fields.starts_with(MAGIC)
        && checksum(CrcAlgorithm::Crc32IsoHdlc, fields).to_le_bytes().starts_with(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Identity = Identity { size: 1 << 30, block: 1 << 16, base: [7; 32] };

    fn runs(file: &File) -> Result<Vec<Range<u64>>, Unusable> {
        let mut found = Vec::new();
        Journal::open(file.try_clone().unwrap(), IDENTITY, &mut |run| found.push(run))?;
        Ok(found)
    }

    /// A journal of three batches; the last has two records.
    fn journal() -> File {
        let file = tempfile::tempfile().unwrap();
        let mut journal = Journal::begin(file.try_clone().unwrap(), IDENTITY).unwrap();
        journal.append(std::slice::from_ref(&(1..3))).unwrap();
        journal.append(std::slice::from_ref(&(9..10))).unwrap();
        journal.append(&[20..30, 40..41]).unwrap();
        file
    }

    #[test]
    fn a_cut_anywhere_in_the_last_batch_loses_that_batch_and_no_other() {
        let whole = journal().metadata().unwrap().len();
        for cut in 1..=2 * RECORD_BYTES as u64 {
            let file = journal();
            file.set_len(whole - cut).unwrap();
            assert_eq!(runs(&file).unwrap(), [1..3, 9..10], "cut {cut}");
            // And what is appended afterwards is found.
            let mut again =
                Journal::open(file.try_clone().unwrap(), IDENTITY, &mut |_| ()).unwrap();
            again.append(std::slice::from_ref(&(50..51))).unwrap();
            assert_eq!(runs(&file).unwrap(), [1..3, 9..10, 50..51]);
        }
        assert_eq!(runs(&journal()).unwrap(), [1..3, 9..10, 20..30, 40..41]);
    }

    #[test]
    fn damage_before_the_last_batch_is_an_error_not_a_shorter_journal() {
        for at in HEADER_BYTES..HEADER_BYTES + 2 * RECORD_BYTES {
            let file = journal();
            let mut byte = [0];
            file.read_exact_at(&mut byte, at as u64).unwrap();
            file.write_all_at(&[byte[0] ^ 0x10], at as u64).unwrap();
            assert!(matches!(runs(&file), Err(Unusable::What(_))), "byte {at}");
        }
    }

    /// P2: whatever it lost, it does not become an empty journal.
    #[test]
    fn a_journal_without_its_header_is_refused_and_not_begun_anew() {
        for length in 0..HEADER_BYTES as u64 {
            let file = journal();
            file.set_len(length).unwrap();
            assert!(matches!(runs(&file), Err(Unusable::What(_))), "{length} bytes");
        }
        let begun = Journal::begin(journal(), IDENTITY);
        assert!(matches!(begun, Err(Unusable::What("exists already"))));
    }

    #[test]
    fn a_journal_of_another_base_is_refused() {
        let other = Identity { base: [8; 32], ..IDENTITY };
        let opened = Journal::open(journal(), other, &mut |_| ());
        assert!(matches!(opened, Err(Unusable::What("belongs to another disk"))));
    }
}
