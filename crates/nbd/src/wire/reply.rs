//! Replies: simple ones, and chunks with compact or extended headers.

use super::numbers::{
    EXTENDED_REPLY_MAGIC, REPLY_BLOCK_STATUS, REPLY_BLOCK_STATUS_EXT, REPLY_ERROR_OFFSET,
    REPLY_FLAG_DONE, REPLY_FLAG_ERROR, SIMPLE_REPLY_MAGIC, STRUCTURED_REPLY_MAGIC,
};
use super::request::Headers;
use super::{Fields, Malformed};
use crate::extent::Extent;

/// Bytes of a simple reply's header.
pub(crate) const SIMPLE_BYTES: usize = 16;
/// Bytes of a structured chunk's header.
pub(crate) const STRUCTURED_BYTES: usize = 20;
/// Bytes of an extended chunk's header.
pub(crate) const EXTENDED_BYTES: usize = 32;

/// The header of a chunk; `length` bytes follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ChunkHeader {
    pub(crate) flags: u16,
    pub(crate) kind: u16,
    pub(crate) cookie: u64,
    /// The offset of the request; written with extended headers only.
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl ChunkHeader {
    pub(crate) fn done(&self) -> bool {
        self.flags & REPLY_FLAG_DONE != 0
    }

    /// Writes the header. Lengths are those of our own replies, far below 4 GiB.
    pub(crate) fn encode(&self, headers: Headers, out: &mut Vec<u8>) {
        let extended = headers == Headers::Extended;
        let magic = if extended { EXTENDED_REPLY_MAGIC } else { STRUCTURED_REPLY_MAGIC };
        out.extend_from_slice(&magic.to_be_bytes());
        out.extend_from_slice(&self.flags.to_be_bytes());
        out.extend_from_slice(&self.kind.to_be_bytes());
        out.extend_from_slice(&self.cookie.to_be_bytes());
        if extended {
            out.extend_from_slice(&self.offset.to_be_bytes());
            out.extend_from_slice(&self.length.to_be_bytes());
        } else {
            let length = u32::try_from(self.length).unwrap_or(u32::MAX);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
}

/// The beginning of a reply, as a client meets it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reply {
    /// A whole reply; the data of a read follows when `error` is 0.
    Simple { error: u32, cookie: u64 },
    /// One chunk of a reply.
    Chunk(ChunkHeader),
}

/// How many bytes of header a reply has that begins with `magic`.
pub(crate) fn header_bytes(headers: Headers, magic: u32) -> Result<usize, Malformed> {
    match (headers, magic) {
        (Headers::Simple | Headers::Structured, SIMPLE_REPLY_MAGIC) => Ok(SIMPLE_BYTES),
        (Headers::Structured, STRUCTURED_REPLY_MAGIC) => Ok(STRUCTURED_BYTES),
        (Headers::Extended, EXTENDED_REPLY_MAGIC) => Ok(EXTENDED_BYTES),
        _ => Err(Malformed("a reply begins with another number")),
    }
}

/// The header behind its magic number.
pub(crate) fn parse(magic: u32, rest: &[u8]) -> Result<Reply, Malformed> {
    let mut fields = Fields::new(rest);
    let reply = if magic == SIMPLE_REPLY_MAGIC {
        Reply::Simple { error: fields.u32()?, cookie: fields.u64()? }
    } else {
        let extended = magic == EXTENDED_REPLY_MAGIC;
        Reply::Chunk(ChunkHeader {
            flags: fields.u16()?,
            kind: fields.u16()?,
            cookie: fields.u64()?,
            offset: if extended { fields.u64()? } else { 0 },
            length: if extended { fields.u64()? } else { u64::from(fields.u32()?) },
        })
    };
    fields.end()?;
    Ok(reply)
}

/// The error number of an error chunk. The message is checked and dropped.
pub(crate) fn parse_error(kind: u16, payload: &[u8]) -> Result<u32, Malformed> {
    let mut fields = Fields::new(payload);
    let error = fields.u32()?;
    let message = fields.u16()?;
    fields.string(u32::from(message))?;
    if kind == REPLY_ERROR_OFFSET {
        fields.u64()?;
    }
    // Kinds of errors added later may carry more.
    if error == 0 || kind & REPLY_FLAG_ERROR == 0 {
        return Err(Malformed("an error that is none"));
    }
    Ok(error)
}

/// The context's number and the extents of a block status chunk.
pub(crate) fn parse_status(kind: u16, payload: &[u8]) -> Result<(u32, Vec<Extent>), Malformed> {
    let mut fields = Fields::new(payload);
    let context = fields.u32()?;
    let wide = kind == REPLY_BLOCK_STATUS_EXT;
    let announced = if wide { Some(fields.u32()?) } else { None };
    let rest = fields.rest();
    let each = if wide { 16 } else { 8 };
    if rest.is_empty() || !rest.len().is_multiple_of(each) {
        return Err(Malformed("a block status is no list of extents"));
    }
    let count = rest.len() / each;
    if announced.is_some_and(|announced| usize::try_from(announced) != Ok(count)) {
        return Err(Malformed("a block status counts wrongly"));
    }
    let mut fields = Fields::new(rest);
    let mut extents = Vec::with_capacity(count);
    for _ in 0..count {
        let (length, flags) = if wide {
            (fields.u64()?, fields.u64()?)
        } else {
            (u64::from(fields.u32()?), u64::from(fields.u32()?))
        };
        if length == 0 {
            return Err(Malformed("an extent is empty"));
        }
        extents.push(Extent { length, flags });
    }
    Ok((context, extents))
}

/// The payload of a block status chunk, and its kind.
pub(crate) fn encode_status(headers: Headers, context: u32, extents: &[Extent]) -> (u16, Vec<u8>) {
    let wide = headers == Headers::Extended;
    let mut out = context.to_be_bytes().to_vec();
    if wide {
        let count = u32::try_from(extents.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&count.to_be_bytes());
    }
    for extent in extents {
        if wide {
            out.extend_from_slice(&extent.length.to_be_bytes());
            out.extend_from_slice(&extent.flags.to_be_bytes());
        } else {
            let length = u32::try_from(extent.length).unwrap_or(u32::MAX);
            let flags = u32::try_from(extent.flags).unwrap_or(u32::MAX);
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&flags.to_be_bytes());
        }
    }
    (if wide { REPLY_BLOCK_STATUS_EXT } else { REPLY_BLOCK_STATUS }, out)
}
