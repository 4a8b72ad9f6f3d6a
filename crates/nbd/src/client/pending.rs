//! What is known of one request's answer so far. Pure: chunks go in, an outcome comes out.

use std::ops::Range;

use crate::extent::Extent;
use crate::wire::numbers as n;
use crate::wire::reply::{ChunkHeader, parse_error, parse_status};
use crate::wire::{Fields, Malformed};

/// Separate ranges of one read that may be filled out of order.
const RANGES_MAX: usize = 64 << 10;
/// Extents in one answer that are read.
const EXTENTS_MAX: u64 = 1 << 20;
/// Longest payload of an error: number, length, message, offset, and room for later kinds.
const ERROR_BYTES_MAX: u64 = 8 << 10;

/// What a request is answered with.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    Done,
    Data(Vec<u8>),
    /// Extents by the number of their context.
    Status(Vec<(u32, Vec<Extent>)>),
    /// The server's error number.
    Failed(u32),
}

/// An answer on its way.
#[derive(Debug)]
pub(super) struct Pending {
    kind: Kind,
    error: Option<u32>,
}

#[derive(Debug)]
enum Kind {
    Plain,
    /// `buffer` is the range from `offset` on; `filled` says what of it came, sorted.
    Read {
        offset: u64,
        buffer: Vec<u8>,
        filled: Vec<Range<u64>>,
    },
    Status {
        contexts: Vec<u32>,
        found: Vec<(u32, Vec<Extent>)>,
    },
}

impl Pending {
    pub(super) fn plain() -> Self {
        Self { kind: Kind::Plain, error: None }
    }

    /// A read of `length` bytes, which the caller has checked against the limit.
    pub(super) fn read(offset: u64, length: usize) -> Self {
        let kind = Kind::Read { offset, buffer: vec![0; length], filled: Vec::new() };
        Self { kind, error: None }
    }

    pub(super) fn status(contexts: Vec<u32>) -> Self {
        Self { kind: Kind::Status { contexts, found: Vec::new() }, error: None }
    }

    /// How many bytes a simple reply without error carries.
    pub(super) fn simple_bytes(&self) -> usize {
        if let Kind::Read { buffer, .. } = &self.kind { buffer.len() } else { 0 }
    }

    /// The outcome by a simple reply.
    pub(super) fn simple(self, error: u32, data: Vec<u8>) -> Result<Outcome, Malformed> {
        match self.kind {
            _ if error != 0 => Ok(Outcome::Failed(error)),
            Kind::Plain => Ok(Outcome::Done),
            Kind::Read { .. } => Ok(Outcome::Data(data)),
            Kind::Status { .. } => Err(Malformed("a simple reply to a block status")),
        }
    }

    /// How many bytes of the chunk's payload to read into memory. Checked here, before
    /// anything is allocated.
    pub(super) fn payload_bytes(&self, header: &ChunkHeader) -> Result<usize, Malformed> {
        let most = match (header.kind, &self.kind) {
            (n::REPLY_NONE, _) if header.done() => 0,
            (n::REPLY_OFFSET_DATA, Kind::Read { buffer, .. }) => 8 + buffer.len() as u64,
            (n::REPLY_OFFSET_HOLE, Kind::Read { .. }) => 12,
            (n::REPLY_BLOCK_STATUS, Kind::Status { .. }) => 4 + 8 * EXTENTS_MAX,
            (n::REPLY_BLOCK_STATUS_EXT, Kind::Status { .. }) => 8 + 16 * EXTENTS_MAX,
            (kind, _) if kind & n::REPLY_FLAG_ERROR != 0 => ERROR_BYTES_MAX,
            _ => return Err(Malformed("a chunk that does not belong to the request")),
        };
        if header.length > most {
            return Err(Malformed("a chunk is too long"));
        }
        usize::try_from(header.length).map_err(|_| Malformed("a chunk is too long"))
    }

    /// Takes a chunk.
    pub(super) fn chunk(&mut self, kind: u16, payload: &[u8]) -> Result<(), Malformed> {
        if kind & n::REPLY_FLAG_ERROR != 0 {
            let error = parse_error(kind, payload)?;
            self.error.get_or_insert(error);
            return Ok(());
        }
        match (kind, &mut self.kind) {
            (n::REPLY_NONE, _) => Ok(()),
            (n::REPLY_OFFSET_DATA, Kind::Read { offset, buffer, filled }) => {
                let mut fields = Fields::new(payload);
                let at = fields.u64()?;
                let data = fields.rest();
                let target = claim(*offset, buffer, filled, at, data.len())?;
                target.copy_from_slice(data);
                Ok(())
            }
            (n::REPLY_OFFSET_HOLE, Kind::Read { offset, buffer, filled }) => {
                let mut fields = Fields::new(payload);
                let (at, length) = (fields.u64()?, fields.u32()?);
                fields.end()?;
                // The buffer is zero already.
                claim(*offset, buffer, filled, at, length as usize)?;
                Ok(())
            }
            (_, Kind::Status { contexts, found }) => {
                let (context, extents) = parse_status(kind, payload)?;
                let twice = found.iter().any(|(other, _)| *other == context);
                if twice || !contexts.contains(&context) {
                    return Err(Malformed("a block status of another context"));
                }
                found.push((context, extents));
                Ok(())
            }
            _ => Err(Malformed("a chunk that does not belong to the request")),
        }
    }

    /// The outcome after the last chunk.
    pub(super) fn finish(self) -> Result<Outcome, Malformed> {
        if let Some(error) = self.error {
            return Ok(Outcome::Failed(error));
        }
        match self.kind {
            Kind::Plain => Ok(Outcome::Done),
            Kind::Read { offset, buffer, filled } => {
                let whole = offset..offset.saturating_add(buffer.len() as u64);
                if whole.is_empty() || filled == [whole] {
                    Ok(Outcome::Data(buffer))
                } else {
                    Err(Malformed("a read was answered in part"))
                }
            }
            Kind::Status { found, .. } => Ok(Outcome::Status(found)),
        }
    }
}

/// The part of a read's buffer that a chunk fills: within the request, and not filled yet.
fn claim<'a>(
    offset: u64,
    buffer: &'a mut [u8],
    filled: &mut Vec<Range<u64>>,
    at: u64,
    length: usize,
) -> Result<&'a mut [u8], Malformed> {
    const OUTSIDE: Malformed = Malformed("a chunk outside of the read");
    let end = at.checked_add(length as u64).filter(|_| length > 0).ok_or(OUTSIDE)?;
    let start = at.checked_sub(offset).and_then(|start| usize::try_from(start).ok());
    let start = start.ok_or(OUTSIDE)?;
    let stop = start.checked_add(length).filter(|stop| *stop <= buffer.len()).ok_or(OUTSIDE)?;
    let next = filled.partition_point(|range| range.start < at);
    let before = next.checked_sub(1).and_then(|previous| filled.get(previous));
    if before.is_some_and(|range| range.end > at)
        || filled.get(next).is_some_and(|range| range.start < end)
    {
        return Err(Malformed("two chunks fill the same bytes"));
    }
    let joins_before = before.is_some_and(|range| range.end == at);
    let joins_after = filled.get(next).is_some_and(|range| range.start == end);
    match (joins_before, joins_after) {
        (true, true) => {
            filled[next - 1].end = filled[next].end;
            filled.remove(next);
        }
        (true, false) => filled[next - 1].end = end,
        (false, true) => filled[next].start = at,
        (false, false) if filled.len() >= RANGES_MAX => {
            return Err(Malformed("a read in too many pieces"));
        }
        (false, false) => filled.insert(next, at..end),
    }
    Ok(&mut buffer[start..stop])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(at: u64, bytes: &[u8]) -> Vec<u8> {
        let mut payload = at.to_be_bytes().to_vec();
        payload.extend_from_slice(bytes);
        payload
    }

    #[test]
    fn chunks_in_any_order_make_a_read_if_they_fill_it_once() {
        let mut read = Pending::read(100, 6);
        read.chunk(n::REPLY_OFFSET_DATA, &data(104, b"ef")).unwrap();
        read.chunk(n::REPLY_OFFSET_DATA, &data(100, b"ab")).unwrap();
        let mut hole = 102_u64.to_be_bytes().to_vec();
        hole.extend_from_slice(&2_u32.to_be_bytes());
        read.chunk(n::REPLY_OFFSET_HOLE, &hole).unwrap();
        assert_eq!(read.finish(), Ok(Outcome::Data(b"ab\0\0ef".to_vec())));
    }

    #[test]
    fn a_read_answered_in_part_twice_or_outside_is_no_answer() {
        let mut read = Pending::read(100, 6);
        assert!(read.chunk(n::REPLY_OFFSET_DATA, &data(99, b"ab")).is_err());
        assert!(read.chunk(n::REPLY_OFFSET_DATA, &data(105, b"ab")).is_err());
        assert!(read.chunk(n::REPLY_OFFSET_DATA, &data(u64::MAX, b"ab")).is_err());
        assert!(read.chunk(n::REPLY_OFFSET_DATA, &data(100, b"")).is_err());
        read.chunk(n::REPLY_OFFSET_DATA, &data(100, b"abc")).unwrap();
        assert!(read.chunk(n::REPLY_OFFSET_DATA, &data(102, b"cd")).is_err());
        assert!(read.finish().is_err());
    }

    #[test]
    fn an_error_chunk_fails_the_request_whatever_else_came() {
        let mut read = Pending::read(0, 2);
        read.chunk(n::REPLY_OFFSET_DATA, &data(0, b"ab")).unwrap();
        read.chunk(n::REPLY_ERROR, &[0, 0, 0, 5, 0, 0]).unwrap();
        assert_eq!(read.finish(), Ok(Outcome::Failed(5)));
    }
}
