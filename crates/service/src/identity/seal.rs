//! Secrets that must be read back, sealed for the database.
//!
//! The secret of an access key is needed in the clear to check a signature, so
//! it cannot be hashed. It is kept as `nonce ‖ AES-256-GCM(secret)`, bound to the
//! id of its key: a row's secret moved to another row does not open.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use cbr_env::{Random, RandomExt};
use zeroize::Zeroizing;

/// The key that seals secrets in the database.
pub struct SealingKey(LessSafeKey);

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey(…)")
    }
}

/// Bytes that were not sealed with this key for this owner.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed secret does not open: it was sealed with another key, or is damaged")]
pub(crate) struct DoesNotOpen;

impl SealingKey {
    /// The key made of these 32 bytes.
    pub fn new(key: &Zeroizing<[u8; 32]>) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, key.as_slice())
            .expect("32 bytes are the length of this key");
        Self(LessSafeKey::new(key))
    }

    pub(crate) fn seal(&self, owner: &str, secret: &str, random: &dyn Random) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = random.bytes();
        let mut sealed = secret.as_bytes().to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(owner.as_bytes()),
                &mut sealed,
            )
            .expect("a short secret is within the limits of the cipher");
        [nonce.as_slice(), &sealed].concat()
    }

    pub(crate) fn open(
        &self,
        owner: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<String>, DoesNotOpen> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(DoesNotOpen)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| DoesNotOpen)?;
        let mut body = Zeroizing::new(body.to_vec());
        let plain = self
            .0
            .open_in_place(nonce, Aad::from(owner.as_bytes()), &mut body)
            .map_err(|_| DoesNotOpen)?;
        let text = std::str::from_utf8(plain).map_err(|_| DoesNotOpen)?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

/// What is kept of a token: its SHA-256.
pub(crate) fn token_digest(secret: &str) -> [u8; 32] {
    digest(&SHA256, secret.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use cbr_env::SeededRandom;

    use super::*;

    #[test]
    fn a_secret_opens_only_with_its_key_for_its_owner_and_undamaged() {
        let random = SeededRandom::new(1);
        let key = SealingKey::new(&Zeroizing::new([1; 32]));
        let sealed = key.seal("AK1", "the secret", &random);
        assert_eq!(*key.open("AK1", &sealed).unwrap(), "the secret");
        assert_eq!(key.open("AK2", &sealed), Err(DoesNotOpen));
        let other = SealingKey::new(&Zeroizing::new([2; 32]));
        assert_eq!(other.open("AK1", &sealed), Err(DoesNotOpen));
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert_eq!(key.open("AK1", &damaged), Err(DoesNotOpen), "byte {at}");
        }
        assert_eq!(key.open("AK1", &sealed[..5]), Err(DoesNotOpen));
        assert_ne!(sealed, key.seal("AK1", "the secret", &random), "a nonce is used once");
    }
}
