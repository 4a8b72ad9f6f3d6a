//! What messages are signed with, and how somebody agrees to get them.
//!
//! A subscription has one root, sealed in the database. The secret that its receiver knows and the
//! token that only the one at its end is sent are both made of it, and neither tells the other.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use cbr_env::{Random, RandomExt};
use cbr_model::SubscriptionId;
use zeroize::Zeroizing;

use crate::identity::SealingKey;
use crate::{Error, Result};

/// What the root of a subscription is bound to.
pub(crate) fn owner_of(subscription: SubscriptionId) -> String {
    format!("subscription:{subscription}")
}

/// A new root, and how it is kept.
pub(super) fn new_root(key: &SealingKey, id: SubscriptionId, random: &dyn Random) -> Vec<u8> {
    let bytes: [u8; 32] = random.bytes();
    key.seal(&owner_of(id), &Zeroizing::new(hex::encode(bytes)), random)
}

/// The secrets of a subscription.
pub(super) struct Secrets {
    root: Zeroizing<String>,
}

impl Secrets {
    pub(super) fn open(key: &SealingKey, id: SubscriptionId, sealed: &[u8]) -> Result<Self> {
        let root = key.open(&owner_of(id), sealed);
        Ok(Self { root: root.map_err(Error::internal("opening a subscription's secret"))? })
    }

    fn derived(&self, purpose: &str) -> Zeroizing<String> {
        let key = Key::new(HMAC_SHA256, self.root.as_bytes());
        Zeroizing::new(hex::encode(sign(&key, purpose.as_bytes())))
    }

    /// What webhooks are signed with.
    pub(super) fn signing(&self) -> Zeroizing<String> {
        self.derived("sign")
    }

    /// What proves that somebody reads what is sent there.
    pub(super) fn token(&self) -> Zeroizing<String> {
        self.derived("confirm")
    }

    /// Whether this is the token; takes the same time whatever it is.
    pub(super) fn is_token(&self, token: &str) -> bool {
        verify_slices_are_equal(self.token().as_bytes(), token.as_bytes()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use cbr_env::SeededRandom;

    use super::*;

    /// MON-07: who knows the signing secret cannot agree in somebody else's name.
    #[test]
    fn the_secret_and_the_token_do_not_tell_each_other() {
        let random = SeededRandom::new(1);
        let key = SealingKey::new(&Zeroizing::new([1; 32]));
        let (id, other) = (SubscriptionId::random(&random), SubscriptionId::random(&random));
        let sealed = new_root(&key, id, &random);
        let secrets = Secrets::open(&key, id, &sealed).unwrap();
        assert_ne!(*secrets.signing(), *secrets.token());
        assert!(secrets.is_token(&secrets.token()));
        assert!(!secrets.is_token(&secrets.signing()) && !secrets.is_token(""));
        assert!(Secrets::open(&key, other, &sealed).is_err(), "bound to its subscription");
    }
}
