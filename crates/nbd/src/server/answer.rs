//! Answers under construction: simple replies or chunks, in one buffer.

use crate::wire::numbers::{
    REPLY_ERROR, REPLY_FLAG_DONE, REPLY_NONE, REPLY_OFFSET_DATA, REPLY_OFFSET_HOLE,
    SIMPLE_REPLY_MAGIC,
};
use crate::wire::reply::ChunkHeader;
use crate::wire::request::{Headers, Request};

/// Writes a chunk's header; its payload of `length` bytes follows.
pub(super) fn chunk(
    headers: Headers,
    request: &Request,
    kind: u16,
    length: usize,
    out: &mut Vec<u8>,
) {
    let header = ChunkHeader {
        flags: 0,
        kind,
        cookie: request.cookie,
        offset: request.offset,
        length: length as u64,
    };
    header.encode(headers, out);
}

/// Marks the chunk that begins at `at` as the last one.
pub(super) fn mark_done(out: &mut [u8], at: usize) {
    // The flags stand behind the magic number, in both kinds of headers.
    if let Some(flags) = out.get_mut(at + 4..at + 6) {
        flags.copy_from_slice(&REPLY_FLAG_DONE.to_be_bytes());
    }
}

/// A whole answer without data.
pub(super) fn success(headers: Headers, request: &Request) -> Vec<u8> {
    if headers == Headers::Simple {
        return simple(0, request);
    }
    let mut out = Vec::new();
    chunk(headers, request, REPLY_NONE, 0, &mut out);
    mark_done(&mut out, 0);
    out
}

/// A whole answer that is an error.
pub(super) fn failure(headers: Headers, request: &Request, errno: u32) -> Vec<u8> {
    if headers == Headers::Simple {
        return simple(errno, request);
    }
    let mut out = Vec::new();
    push_error(headers, request, errno, &mut out);
    out
}

/// Ends an answer with an error.
pub(super) fn push_error(headers: Headers, request: &Request, errno: u32, out: &mut Vec<u8>) {
    let at = out.len();
    chunk(headers, request, REPLY_ERROR, 6, out);
    out.extend_from_slice(&errno.to_be_bytes());
    out.extend_from_slice(&0_u16.to_be_bytes());
    mark_done(out, at);
}

/// The header of a simple reply.
pub(super) fn simple(errno: u32, request: &Request) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    out.extend_from_slice(&SIMPLE_REPLY_MAGIC.to_be_bytes());
    out.extend_from_slice(&errno.to_be_bytes());
    out.extend_from_slice(&request.cookie.to_be_bytes());
    out
}

/// Adds a chunk of `length` data bytes, and gives them to be filled.
pub(super) fn push_data<'a>(
    headers: Headers,
    request: &Request,
    offset: u64,
    length: usize,
    out: &'a mut Vec<u8>,
) -> &'a mut [u8] {
    chunk(headers, request, REPLY_OFFSET_DATA, 8 + length, out);
    out.extend_from_slice(&offset.to_be_bytes());
    let at = out.len();
    out.resize(at + length, 0);
    &mut out[at..]
}

/// Adds a chunk that says: zeroes.
pub(super) fn push_hole(
    headers: Headers,
    request: &Request,
    offset: u64,
    length: u32,
    out: &mut Vec<u8>,
) {
    chunk(headers, request, REPLY_OFFSET_HOLE, 12, out);
    out.extend_from_slice(&offset.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
}
