//! A new master key for the secrets in the database.
//!
//! All of them change in one transaction, so that there is never a moment in which some open with
//! one key and some with another. Whoever adds a sealed column adds it here.

use cbr_db::Db;
use cbr_env::Random;

use super::seal::SealingKey;
use crate::error::db;
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
    for key in tx.access_keys().all().await.map_err(db(doing))? {
        if new.open(&key.ak, &key.sealed_secret).is_ok() {
            continue;
        }
        let secret = old
            .open(&key.ak, &key.sealed_secret)
            .map_err(|source| Error::Internal { doing, source: Box::new(source) })?;
        let sealed = new.seal(&key.ak, &secret, random);
        tx.access_keys().reseal(&key.ak, &sealed).await.map_err(db(doing))?;
        changed += 1;
    }
    tx.commit().await.map_err(db(doing))?;
    Ok(changed)
}
