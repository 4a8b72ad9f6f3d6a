//! What a slot contains before sealing: plain bytes as they are, or zstd.

use std::fmt;

use super::codec::{Decoded, Malformed};
use crate::error::{Error, Result};

/// How a slot's content is encoded. The tags are stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Codec {
    /// As it is.
    None = 0,
    /// One zstd frame.
    Zstd = 1,
}

impl Codec {
    pub(super) fn from_tag(tag: u8) -> Decoded<Self> {
        match tag {
            0 => Ok(Self::None),
            1 => Ok(Self::Zstd),
            _ => Err(Malformed("unknown codec")),
        }
    }
}

/// Encodes frames; one per thread, so that its memory is reused.
pub struct FrameEncoder {
    zstd: zstd::bulk::Compressor<'static>,
}

impl FrameEncoder {
    /// An encoder of this zstd level.
    ///
    /// # Errors
    /// [`Error::Invalid`] if zstd does not know the level.
    pub fn new(level: i32) -> Result<Self> {
        let zstd = zstd::bulk::Compressor::new(level)
            .map_err(|e| Error::Invalid { what: format!("zstd level {level}: {e}") })?;
        Ok(Self { zstd })
    }

    /// Replaces `out` by the encoded `plain`. zstd is kept only where it saves 3 % or more.
    pub fn encode(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Codec {
        let most = plain.len() - plain.len() / 32;
        out.clear();
        // No more room than the plain bytes take: where zstd would be longer it fails.
        out.reserve_exact(plain.len());
        let is_smaller = self.zstd.compress_to_buffer(plain, out).is_ok_and(|len| len <= most);
        if is_smaller {
            return Codec::Zstd;
        }
        out.clear();
        out.extend_from_slice(plain);
        Codec::None
    }
}

impl fmt::Debug for FrameEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FrameEncoder(..)")
    }
}

/// Decodes frames; one per thread, so that its memory is reused.
pub struct FrameDecoder {
    zstd: zstd::bulk::Decompressor<'static>,
}

impl FrameDecoder {
    /// A decoder.
    ///
    /// # Errors
    /// [`Error::SelfCheck`] if zstd cannot be set up for lack of memory.
    pub fn new() -> Result<Self> {
        let zstd = zstd::bulk::Decompressor::new()
            .map_err(|e| Error::SelfCheck { what: format!("cannot set up zstd: {e}") })?;
        Ok(Self { zstd })
    }

    /// Replaces `out` by exactly `plain_len` decoded bytes.
    pub fn decode(
        &mut self,
        codec: Codec,
        encoded: &[u8],
        plain_len: usize,
        out: &mut Vec<u8>,
    ) -> Decoded<()> {
        if plain_len > super::SLOT_PLAIN_BYTES_MAX {
            out.clear();
            return Err(Malformed("a slot is too long"));
        }
        out.resize(plain_len, 0);
        let decoded = self.decode_into(codec, encoded, out);
        if decoded.is_err() {
            out.clear();
        }
        decoded
    }

    /// Fills `out` with the decoded bytes, which must be as many. After an error `out` means nothing.
    pub fn decode_into(&mut self, codec: Codec, encoded: &[u8], out: &mut [u8]) -> Decoded<()> {
        let decoded_len = match codec {
            Codec::None if encoded.len() == out.len() => {
                out.copy_from_slice(encoded);
                out.len()
            }
            Codec::None => encoded.len(),
            Codec::Zstd => self
                .zstd
                .decompress_to_buffer(encoded, out)
                .map_err(|_| Malformed("a slot does not decompress"))?,
        };
        if decoded_len == out.len() { Ok(()) } else { Err(Malformed("a slot has another length")) }
    }
}

impl fmt::Debug for FrameDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FrameDecoder(..)")
    }
}
