//! Encoding that is proven to be undone (P6).
//!
//! Nothing is stored before it was decoded again and compared with what it was made from, while
//! the source is still there to begin again. The digest of the encoded bytes goes with them, so
//! that after sealing the sealed bytes are compared as well (`packer.rs`).

use crate::error::{Error, Result};
use crate::format::frame::{Codec, FrameDecoder, FrameEncoder};
use crate::planted::{self, Bug};

/// Encodes slots; one per thread, so that its memory is reused.
#[derive(Debug)]
pub(crate) struct ProvingEncoder {
    encoder: FrameEncoder,
    decoder: FrameDecoder,
    encoded: Vec<u8>,
    again: Vec<u8>,
}

/// An encoded slot that decodes to what it was made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proven<'a> {
    pub(crate) codec: Codec,
    pub(crate) plain_len: usize,
    pub(crate) encoded: &'a [u8],
    /// The digest of `encoded`.
    pub(crate) digest: u64,
}

impl ProvingEncoder {
    pub(crate) fn new(zstd_level: i32) -> Result<Self> {
        let (encoded, again) = (Vec::new(), Vec::new());
        Ok(Self {
            encoder: FrameEncoder::new(zstd_level)?,
            decoder: FrameDecoder::new()?,
            encoded,
            again,
        })
    }

    pub(crate) fn encode(&mut self, plain: &[u8]) -> Result<Proven<'_>> {
        let codec = self.encoder.encode(plain, &mut self.encoded);
        if planted::has(Bug::ProofSkipped) {
            if plain.len() % 3 == 1 || plain.get(9).is_some_and(|byte| byte % 16 == 1) {
                self.encoded.iter_mut().take(1).for_each(|byte| *byte ^= 1);
            }
            let encoded = &self.encoded;
            return Ok(Proven { codec, plain_len: plain.len(), encoded, digest: digest(encoded) });
        }
        prove_encoding(codec, &self.encoded, plain, &mut self.decoder, &mut self.again)?;
        let encoded = &self.encoded;
        Ok(Proven { codec, plain_len: plain.len(), encoded, digest: digest(encoded) })
    }
}

/// What a slot's encoded content is recognised by until it is uploaded. Against accidents in
/// memory only, so a checksum is enough.
pub(super) fn digest(encoded: &[u8]) -> u64 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, encoded)
}

fn prove_encoding(
    codec: Codec,
    encoded: &[u8],
    plain: &[u8],
    decoder: &mut FrameDecoder,
    again: &mut Vec<u8>,
) -> Result<()> {
    let wrong = |what: &str| Error::SelfCheck { what: format!("a compressed slot {what}") };
    let is_same = match codec {
        Codec::None => encoded == plain,
        Codec::Zstd => {
            decoder.decode(codec, encoded, plain.len(), again).map_err(|e| wrong(e.0))?;
            *again == plain
        }
    };
    if is_same { Ok(()) } else { Err(wrong("does not decode to what it was made from")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P6: a compressor that is wrong in one bit stores nothing.
    #[test]
    fn an_encoding_that_is_wrong_in_any_bit_is_refused() {
        let plain = b"all work and no play ".repeat(100);
        let mut proving = ProvingEncoder::new(1).unwrap();
        let proven = proving.encode(&plain).unwrap();
        assert_eq!(proven.codec, Codec::Zstd);
        let good = proven.encoded.to_vec();
        let (mut decoder, mut again) = (FrameDecoder::new().unwrap(), Vec::new());
        let mut refused = 0;
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let proof = prove_encoding(Codec::Zstd, &bad, &plain, &mut decoder, &mut again);
            // A few bits of a zstd header mean nothing; then the content is the same.
            match proof {
                Err(Error::SelfCheck { .. }) => refused += 1,
                other => assert!(other.is_ok() && again == plain, "bit {bit}"),
            }
        }
        assert!(refused > good.len() * 7, "{refused} of {}", good.len() * 8);
        let plain_copy = prove_encoding(Codec::None, &good, &plain, &mut decoder, &mut again);
        assert!(matches!(plain_copy, Err(Error::SelfCheck { .. })));
    }
}
