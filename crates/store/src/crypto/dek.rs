//! The random key of one logical pack, and sealing its slots.

use std::fmt;

use aws_lc_rs::aead::{Aad, LessSafeKey};
use cbr_env::{Random, RandomExt};

use super::aead::{aes_256_gcm, nonce};
use super::role::Secret;

/// The data key of a logical pack. Seals each slot number with one content only, ever.
pub struct PackDek {
    bytes: Secret,
    cipher: LessSafeKey,
}

impl PackDek {
    /// A new random key.
    pub fn generate(random: &dyn Random) -> Self {
        Self::from_bytes(random.bytes().into())
    }

    pub(crate) fn from_bytes(bytes: Secret) -> Self {
        let cipher = aes_256_gcm(&bytes);
        Self { bytes, cipher }
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Appends sealed `plain` to `out`.
    pub(crate) fn seal(&self, slot: u32, aad: &[u8], plain: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(plain);
        let tag = self
            .cipher
            .seal_in_place_separate_tag(nonce(slot), Aad::from(aad), &mut out[start..])
            .expect("slots are far below the cipher's length limit");
        out.extend_from_slice(tag.as_ref());
    }

    /// Replaces `out` by the opened `sealed`. `None`: it is not what was sealed.
    pub(crate) fn open(
        &self,
        slot: u32,
        aad: &[u8],
        sealed: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<()> {
        out.clear();
        out.extend_from_slice(sealed);
        let opened = self.cipher.open_in_place(nonce(slot), Aad::from(aad), out);
        let plain_len = opened.ok().map(|plain| plain.len());
        // Of what did not open nothing is left.
        out.truncate(plain_len.unwrap_or(0));
        plain_len.map(|_| ())
    }
}

impl fmt::Debug for PackDek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PackDek(..)")
    }
}
