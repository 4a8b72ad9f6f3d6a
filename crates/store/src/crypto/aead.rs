//! AES-256-GCM for the sections of an envelope.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::role::derive;

/// How much longer sealed bytes are than plain ones.
pub(crate) const SEAL_TAG_BYTES: usize = 16;

/// Seals or opens one section of one object.
///
/// The key comes from the role key and the object's random uuid and the
/// section's type, so it never seals a second content, and the nonce is zero.
pub(crate) struct SectionCipher(LessSafeKey);

impl SectionCipher {
    pub(crate) fn new(role_key: &[u8; 32], object: &[u8; 16], section: u16) -> Self {
        let key = derive(role_key, b"cbr/v1/section", &[object, &section.to_le_bytes()]);
        Self(aes_256_gcm(&key))
    }

    pub(crate) fn seal(&self, aad: &[u8], mut plain: Vec<u8>) -> Vec<u8> {
        self.0
            .seal_in_place_append_tag(nonce(0), Aad::from(aad), &mut plain)
            .expect("sections are far below the cipher's length limit");
        plain
    }

    pub(crate) fn open(&self, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = sealed.to_vec();
        let plain_len = self.0.open_in_place(nonce(0), Aad::from(aad), &mut bytes).ok()?.len();
        bytes.truncate(plain_len);
        Some(bytes)
    }
}

pub(super) fn aes_256_gcm(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("the key has 32 bytes"))
}

/// A nonce from a counter: 96 bits, big-endian.
pub(super) fn nonce(counter: u32) -> Nonce {
    let mut bytes = [0; 12];
    bytes[8..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}
