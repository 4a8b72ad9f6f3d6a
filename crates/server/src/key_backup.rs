//! The master key as a text to keep elsewhere: sealed with a passphrase, short enough to print.
//!
//! ```text
//! cbr-key-backup-v1
//! repository 0d3c…                 whose key it is; opens nothing by itself
//! argon2id 65536 3 1               memory in KiB, passes, lanes
//! salt 32 hex digits
//! sealed 120 hex digits            nonce ‖ AES-256-GCM(master key), bound to the lines above
//! ```

use std::fmt::Write as _;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use cbr_env::{Random, RandomExt};
use cbr_store::MasterKey;
use zeroize::Zeroizing;

const FIRST_LINE: &str = "cbr-key-backup-v1";
const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
/// What a stranger's text may make us spend on the passphrase.
const MEMORY_KIB_MAX: u32 = 1 << 20;
const PASSES_MAX: u32 = 64;
/// The shortest passphrase that is accepted for a new text.
pub(crate) const PASSPHRASE_CHARS_MIN: usize = 12;

/// Why a text does not give the key back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum NotOpened {
    /// It is something else, or was copied incompletely.
    #[error("it is not a whole backup of a master key")]
    Malformed,
    /// The passphrase is another one, or a character was changed.
    #[error("the passphrase is wrong, or the text was changed")]
    Refused,
}

/// Seals `key` with `passphrase`; `repository` says whose key it is.
pub(crate) fn seal(
    key: &MasterKey,
    repository: &str,
    passphrase: &str,
    random: &dyn Random,
) -> String {
    let params = Params::DEFAULT;
    let (memory, passes, lanes) = (params.m_cost().max(65_536), params.t_cost().max(3), 1);
    let salt: [u8; SALT_BYTES] = random.bytes();
    let nonce: [u8; NONCE_LEN] = random.bytes();
    let mut text = format!("{FIRST_LINE}\nrepository {repository}\n");
    let _ = writeln!(text, "argon2id {memory} {passes} {lanes}");
    let _ = writeln!(text, "salt {}", hex::encode(salt));
    let cipher = cipher(passphrase, &salt, (memory, passes, lanes))
        .expect("these parameters are within argon2's limits");
    let mut sealed = Zeroizing::new(key.to_bytes().to_vec());
    let tag = cipher
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(text.as_bytes()),
            &mut sealed,
        )
        .expect("32 bytes are within the cipher's limits");
    let whole = [&nonce[..], &sealed, tag.as_ref()].concat();
    let _ = writeln!(text, "sealed {}", hex::encode(whole));
    text
}

/// The key in `text`. Spaces at the ends of lines, and empty lines, do not matter.
pub(crate) fn open(text: &str, passphrase: &str) -> Result<MasterKey, NotOpened> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let [first, repository, costs, salt, sealed] = lines[..] else {
        return Err(NotOpened::Malformed);
    };
    let bound = format!("{first}\n{repository}\n{costs}\n{salt}\n");
    let value = |line: &'_ str, name: &str| -> Result<String, NotOpened> {
        let rest = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(' '));
        rest.map(ToOwned::to_owned).ok_or(NotOpened::Malformed)
    };
    if first != FIRST_LINE {
        return Err(NotOpened::Malformed);
    }
    value(repository, "repository")?;
    let costs: Vec<u32> = value(costs, "argon2id")?
        .split(' ')
        .map(|cost| cost.parse().map_err(|_| NotOpened::Malformed))
        .collect::<Result<_, _>>()?;
    let [memory, passes, lanes] = costs[..] else { return Err(NotOpened::Malformed) };
    if memory > MEMORY_KIB_MAX || passes > PASSES_MAX {
        return Err(NotOpened::Malformed);
    }
    let salt = bytes::<SALT_BYTES>(&value(salt, "salt")?)?;
    let mut sealed = bytes::<{ NONCE_LEN + 32 + TAG_BYTES }>(&value(sealed, "sealed")?)?;
    let cipher = cipher(passphrase, &salt, (memory, passes, lanes)).ok_or(NotOpened::Malformed)?;
    let (nonce, body) = sealed.split_at_mut(NONCE_LEN);
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| NotOpened::Malformed)?;
    let plain = cipher
        .open_in_place(nonce, Aad::from(bound.as_bytes()), body)
        .map_err(|_| NotOpened::Refused)?;
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(plain);
    plain.fill(0);
    Ok(MasterKey::from_bytes(*key))
}

fn bytes<const N: usize>(digits: &str) -> Result<[u8; N], NotOpened> {
    let mut bytes = [0; N];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| NotOpened::Malformed)?;
    Ok(bytes)
}

fn cipher(
    passphrase: &str,
    salt: &[u8],
    (memory, passes, lanes): (u32, u32, u32),
) -> Option<LessSafeKey> {
    let params = Params::new(memory, passes, lanes, Some(32)).ok()?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, key.as_mut())
        .ok()?;
    UnboundKey::new(&AES_256_GCM, key.as_ref()).ok().map(LessSafeKey::new)
}

#[cfg(test)]
mod tests {
    use cbr_env::SeededRandom;

    use super::*;

    const PASSPHRASE: &str = "korrektes pferd 电池";

    #[test]
    fn the_key_comes_back_with_the_passphrase_and_with_nothing_else() {
        let key = MasterKey::from_bytes([0x5a; 32]);
        let text = seal(&key, "0d3c", PASSPHRASE, &SeededRandom::new(1));
        assert!(!text.contains(&"5a".repeat(8)), "{text}");
        assert_eq!(*open(&text, PASSPHRASE).unwrap().to_bytes(), [0x5a; 32]);
        let typed = text.replace('\n', "  \r\n\n");
        assert!(open(&typed, PASSPHRASE).is_ok(), "copied by hand");
        assert_eq!(open(&text, "another").unwrap_err(), NotOpened::Refused);
    }

    /// P4: a text that was changed in any place gives no key at all.
    #[test]
    fn a_changed_text_gives_no_key() {
        let key = MasterKey::from_bytes([0x5a; 32]);
        let text = seal(&key, "0d3c", PASSPHRASE, &SeededRandom::new(2));
        // Changed costs could be expensive to try; the lines are tried one by one.
        for (n, line) in text.lines().enumerate() {
            let mut lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
            let last = line.chars().last().unwrap();
            let changed = if last == '1' { '2' } else { '1' };
            lines[n] = format!("{}{changed}", &line[..line.len() - 1]);
            assert!(open(&lines.join("\n"), PASSPHRASE).is_err(), "line {n}");
            lines.remove(n);
            assert_eq!(open(&lines.join("\n"), PASSPHRASE).unwrap_err(), NotOpened::Malformed);
        }
        let costly = text.replace("argon2id 65536", "argon2id 4000000000");
        assert_eq!(open(&costly, PASSPHRASE).unwrap_err(), NotOpened::Malformed, "P24");
    }
}
