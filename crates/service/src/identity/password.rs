//! Passwords: hashed with Argon2id, a few at a time, never on an async worker.
//!
//! A hash costs 19 MiB and tens of milliseconds on purpose. So that a flood of
//! logins cannot take the machine, only some run at once and only some wait;
//! the rest is told [`Error::Busy`].

use std::sync::Arc;

use argon2::password_hash::PasswordVerifier;
use argon2::{Argon2, PasswordHasher};
use cbr_env::{Random, RandomExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use crate::{Error, Result};

/// Hashes computed at once.
const RUNNING_MAX: usize = 2;
/// Logins waiting for their turn, including the running ones.
const WAITING_MAX: usize = 32;
/// Longer ones are refused before any work is done.
const PASSWORD_BYTES_MAX: usize = 1024;
/// Letters and digits that are not mistaken for each other.
const ALPHABET: &[u8; 56] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789";

/// Hashes and checks passwords.
#[derive(Clone, Debug)]
pub(crate) struct Passwords {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            running: Arc::new(Semaphore::new(RUNNING_MAX)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
        }
    }
}

impl Passwords {
    /// The PHC text to keep for `password`.
    pub(crate) async fn hash(
        &self,
        password: Zeroizing<String>,
        random: &dyn Random,
    ) -> Result<String> {
        let salt: [u8; 16] = random.bytes();
        self.run(move || {
            argon2()
                .hash_password_with_salt(password.as_bytes(), &salt)
                .map(|hash| hash.to_string())
                .map_err(|error| Error::internal("hashing a password")(error.to_string()))
        })
        .await?
    }

    /// Whether `password` may be anybody's.
    pub(crate) fn is_possible(password: &Zeroizing<String>) -> bool {
        password.len() <= PASSWORD_BYTES_MAX
    }

    /// Whether `password` is the one behind `phc`. Without `phc` (no such user) it
    /// costs the same and is never right, so that time tells nothing.
    pub(crate) async fn is_right(
        &self,
        password: Zeroizing<String>,
        phc: Option<String>,
    ) -> Result<bool> {
        if !Self::is_possible(&password) {
            return Ok(false);
        }
        self.run(move || {
            if let Some(phc) = phc {
                return argon2().verify_password(password.as_bytes(), phc.as_str()).is_ok();
            }
            // The result is not used: only its cost is.
            drop(argon2().hash_password_with_salt(password.as_bytes(), &[0; 16]));
            false
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let _place = self.waiting.try_acquire().map_err(|_| Error::Busy)?;
        let turn: OwnedSemaphorePermit = Arc::clone(&self.running)
            .acquire_owned()
            .await
            .map_err(Error::internal("waiting for a turn to hash"))?;
        // The permit goes with the work: a caller that gives up does not free its turn early.
        spawn_blocking(move || {
            let result = work();
            drop(turn);
            result
        })
        .await
        .map_err(Error::internal("hashing a password"))
    }
}

/// The costs of OWASP's first choice, which the crate has as its default: 19 MiB, twice. What is kept says
/// by which it was made.
fn argon2() -> Argon2<'static> {
    if cfg!(test) {
        // Each test of this crate makes an installation with a password, some of them hundreds.
        let params = argon2::Params::new(8, 1, 1, None).expect("the least there is");
        return Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    }
    Argon2::default()
}

/// A random text of `length` letters and digits: 5.8 bits each.
pub(crate) fn random_text(random: &dyn Random, length: usize) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(length));
    while text.len() < length {
        for byte in random.bytes::<32>() {
            // Bytes beyond the largest multiple of 56 would make some letters likelier.
            if byte < 224 && text.len() < length {
                text.push(char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use cbr_env::SeededRandom;

    use super::*;

    #[tokio::test]
    async fn only_the_right_password_is_right_and_an_absent_user_never_is() {
        let passwords = Passwords::default();
        let secret = |text: &str| Zeroizing::new(text.to_owned());
        let phc = passwords.hash(secret("open sesame"), &SeededRandom::new(1)).await.unwrap();
        assert!(phc.starts_with("$argon2id$"), "{phc}");
        assert!(!phc.contains("sesame"));
        let check = async |text: &str, phc: Option<String>| {
            passwords.is_right(secret(text), phc).await.unwrap()
        };
        assert!(check("open sesame", Some(phc.clone())).await);
        assert!(!check("open sesame ", Some(phc.clone())).await);
        assert!(!check("open sesame", None).await);
        assert!(!check("open sesame", Some("not a hash".into())).await);
        assert!(!check(&"x".repeat(PASSWORD_BYTES_MAX + 1), Some(phc)).await);
    }

    #[tokio::test]
    async fn a_flood_of_logins_is_told_to_come_back() {
        let passwords = Passwords::default();
        let places = passwords.waiting.try_acquire_many(32).unwrap();
        let refused = passwords.is_right(Zeroizing::new("x".into()), None).await;
        assert!(matches!(refused, Err(Error::Busy)));
        drop(places);
        assert!(passwords.is_right(Zeroizing::new("x".into()), None).await.is_ok());
    }

    #[test]
    fn random_texts_have_their_length_and_differ() {
        let random = SeededRandom::new(1);
        let (a, b) = (random_text(&random, 40), random_text(&random, 40));
        assert_eq!(a.len(), 40);
        assert_ne!(*a, *b);
    }
}
