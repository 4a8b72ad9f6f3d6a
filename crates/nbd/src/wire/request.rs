//! The header of a request, compact or extended.

use super::numbers::{
    CMD_DISC, CMD_FLAG_PAYLOAD_LEN, CMD_WRITE, EXTENDED_REQUEST_MAGIC, REQUEST_MAGIC,
};
use super::{Fields, Malformed};

/// How the two sides agreed to write headers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Headers {
    /// 32-bit lengths, simple replies without chunks.
    Simple,
    /// 32-bit lengths, replies in chunks.
    Structured,
    /// 64-bit lengths, all replies in chunks.
    Extended,
}

impl Headers {
    pub(crate) fn request_bytes(self) -> usize {
        if self == Self::Extended { 32 } else { 28 }
    }
}

/// A request without its payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Request {
    pub(crate) flags: u16,
    pub(crate) command: u16,
    pub(crate) cookie: u64,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl Request {
    pub(crate) fn parse(headers: Headers, bytes: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(bytes);
        let extended = headers == Headers::Extended;
        let magic = if extended { EXTENDED_REQUEST_MAGIC } else { REQUEST_MAGIC };
        if fields.u32()? != magic {
            return Err(Malformed("a request begins with another number"));
        }
        let request = Self {
            flags: fields.u16()?,
            command: fields.u16()?,
            cookie: fields.u64()?,
            offset: fields.u64()?,
            length: if extended { fields.u64()? } else { u64::from(fields.u32()?) },
        };
        fields.end()?;
        Ok(request)
    }

    /// The header's bytes. A length that a compact header cannot hold is cut to it: callers
    /// have checked.
    pub(crate) fn encode(&self, headers: Headers) -> Vec<u8> {
        let extended = headers == Headers::Extended;
        let mut out = Vec::with_capacity(headers.request_bytes());
        let magic = if extended { EXTENDED_REQUEST_MAGIC } else { REQUEST_MAGIC };
        out.extend_from_slice(&magic.to_be_bytes());
        out.extend_from_slice(&self.flags.to_be_bytes());
        out.extend_from_slice(&self.command.to_be_bytes());
        out.extend_from_slice(&self.cookie.to_be_bytes());
        out.extend_from_slice(&self.offset.to_be_bytes());
        if extended {
            out.extend_from_slice(&self.length.to_be_bytes());
        } else {
            let length = u32::try_from(self.length).unwrap_or(u32::MAX);
            out.extend_from_slice(&length.to_be_bytes());
        }
        out
    }

    /// How many bytes follow the header.
    pub(crate) fn payload(&self, headers: Headers) -> u64 {
        let flagged = headers == Headers::Extended && self.flags & CMD_FLAG_PAYLOAD_LEN != 0;
        // QEMU's client forgets the flag with extended headers, so a write always has its data.
        if flagged || self.command == CMD_WRITE { self.length } else { 0 }
    }

    pub(crate) fn disconnects(&self) -> bool {
        self.command == CMD_DISC
    }

    /// The end of the range, if it has one and that is within `size`.
    pub(crate) fn end_within(&self, size: u64) -> Option<u64> {
        self.offset.checked_add(self.length).filter(|end| *end <= size)
    }
}
