//! A new master key for the secrets in the database.
//!
//! All of them change in one transaction, so that there is never a moment in which some open with
//! one key and some with another. Whoever adds a sealed column adds it here.

use cbr_db::Db;
use cbr_env::Random;

use super::mfa::owner_of;
use super::seal::SealingKey;
use crate::error::db;
use crate::topics::owner_of as subscription_owner;
use crate::{Error, Result};

/// Seals every secret in the database with `new` that is sealed with `old`; says how many.
///
/// May be repeated: what opens with `new` already is left alone.
///
/// # Errors
/// [`Error::Internal`] if a secret opens with neither; then nothing was changed.
pub async fn reseal(
    database: &Db,
    old: &SealingKey,
    new: &SealingKey,
    random: &dyn Random,
) -> Result<usize> {
    let doing = "sealing secrets with another key";
    let mut tx = database.begin().await.map_err(db(doing))?;
    let mut changed = 0;
    let resealed = |owner: &str, sealed: &[u8]| -> Result<Option<Vec<u8>>> {
        if new.open(owner, sealed).is_ok() {
            return Ok(None);
        }
        let secret = old
            .open(owner, sealed)
            .map_err(|source| Error::Internal { doing, source: Box::new(source) })?;
        Ok(Some(new.seal(owner, &secret, random)))
    };
    for key in tx.access_keys().all().await.map_err(db(doing))? {
        if let Some(sealed) = resealed(&key.ak, &key.sealed_secret)? {
            tx.access_keys().reseal(&key.ak, &sealed).await.map_err(db(doing))?;
            changed += 1;
        }
    }
    for key in tx.temporary_keys().all().await.map_err(db(doing))? {
        if let Some(sealed) = resealed(&key.ak, &key.sealed_secret)? {
            tx.temporary_keys().reseal(&key.ak, &sealed).await.map_err(db(doing))?;
            changed += 1;
        }
    }
    for mut device in tx.mfa_devices().all().await.map_err(db(doing))? {
        if let Some(sealed) = resealed(&owner_of(device.user), &device.sealed_seed)? {
            device.sealed_seed = sealed;
            tx.mfa_devices().update(&device).await.map_err(db(doing))?;
            changed += 1;
        }
    }
    for (id, sealed) in tx.topics().sealed().await.map_err(db(doing))? {
        if let Some(sealed) = resealed(&subscription_owner(id), &sealed)? {
            tx.topics().reseal(id, &sealed).await.map_err(db(doing))?;
            changed += 1;
        }
    }
    tx.commit().await.map_err(db(doing))?;
    Ok(changed)
}
