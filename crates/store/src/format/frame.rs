//! What a slot contains before sealing: plain bytes as they are, or zstd.

use std::fmt;

use zstd::stream::raw::{Decoder as StepwiseDecoder, InBuffer, Operation, OutBuffer};

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
    /// What can stop in the middle; made when it is first needed, because it has a window of its own.
    stepwise: Option<StepwiseDecoder<'static>>,
}

impl FrameDecoder {
    /// A decoder.
    ///
    /// # Errors
    /// [`Error::SelfCheck`] if zstd cannot be set up for lack of memory.
    pub fn new() -> Result<Self> {
        let zstd = zstd::bulk::Decompressor::new()
            .map_err(|e| Error::SelfCheck { what: format!("cannot set up zstd: {e}") })?;
        Ok(Self { zstd, stepwise: None })
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

    /// Fills `out` with the first decoded bytes and stops there; the frame must have as many. What
    /// comes after is neither decoded nor looked at. After an error `out` means nothing.
    pub fn decode_start_into(
        &mut self,
        codec: Codec,
        encoded: &[u8],
        out: &mut [u8],
    ) -> Decoded<()> {
        const TOO_SHORT: Malformed = Malformed("a slot has another length");
        match codec {
            Codec::None => out.copy_from_slice(encoded.get(..out.len()).ok_or(TOO_SHORT)?),
            Codec::Zstd => {
                let wrong = |_| Malformed("a slot does not decompress");
                let stepwise = match self.stepwise.take() {
                    Some(known) => known,
                    None => StepwiseDecoder::new().map_err(wrong)?,
                };
                let stepwise = self.stepwise.insert(stepwise);
                stepwise.reinit().map_err(wrong)?;
                let (mut from, mut to) = (InBuffer::around(encoded), OutBuffer::around(out));
                while to.pos() < to.capacity() {
                    let before = (from.pos(), to.pos());
                    stepwise.run(&mut from, &mut to).map_err(wrong)?;
                    if (from.pos(), to.pos()) == before {
                        return Err(TOO_SHORT);
                    }
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for FrameDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FrameDecoder(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The start of a frame is what the whole begins with, whatever was decoded before.
    #[test]
    fn a_frame_can_be_decoded_up_to_any_byte() {
        let text: Vec<u8> = (0..400_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let noise = blake3::Hasher::new().finalize_xof();
        let mut random = vec![0; 1000];
        noise.clone().fill(&mut random);
        for plain in [&text[..1 << 20], &random] {
            let (mut encoded, mut decoder) = (Vec::new(), FrameDecoder::new().unwrap());
            let codec = FrameEncoder::new(3).unwrap().encode(plain, &mut encoded);
            for end in [0, 1, 999, 1000, 131_072, 131_073, 700_001, 1 << 20] {
                let mut start = vec![0; end.min(plain.len())];
                decoder.decode_start_into(codec, &encoded, &mut start).unwrap();
                assert!(start == plain[..start.len()], "{end} {codec:?}");
            }
            let mut more = vec![0; plain.len() + 1];
            assert!(decoder.decode_start_into(codec, &encoded, &mut more).is_err());
            let cut = &encoded[..encoded.len() / 2];
            let mut all = vec![0; plain.len()];
            assert!(decoder.decode_start_into(codec, cut, &mut all).is_err());
        }
    }
}
