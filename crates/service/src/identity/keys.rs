//! Use cases of permanent access keys (contract F.1): a user has at most two, so that one can be
//! replaced by the other without a gap.

use cbr_db::{AccessKey, Tx};
use cbr_model::identity::{Caller, Credential};
use cbr_model::{Timestamp, UserId};
use zeroize::Zeroizing;

use super::credentials::SigningKey;
use super::password::random_text;
use super::permit::require_lasting;
use super::service::{ACCESS_KEY_CHARS, Identity, SECRET_KEY_CHARS};
use super::sessions::caller_of;
use super::users::{refuse_over_administrator, user_of};
use crate::access::OwnAccess;
use crate::audit::Subject;
use crate::error::db;
use crate::rules::identity::{ACCESS_KEYS_MAX, check_description, check_room};
use crate::{Error, Result};

/// How exactly the last use of a key is known, in seconds.
const LAST_USE_SECONDS: i64 = 10 * 60;

/// A key just made: the only time its secret is shown.
pub struct NewKey {
    /// The key.
    pub key: AccessKey,
    /// Its secret half.
    pub secret: Zeroizing<String>,
}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKey").field("key", &self.key).finish_non_exhaustive()
    }
}

/// What shall be different about a key.
#[derive(Clone, Debug, Default)]
pub struct KeyChange {
    /// Whether it may be used.
    pub enabled: Option<bool>,
    /// What its owner calls it.
    pub description: Option<String>,
}

impl Identity {
    /// The secret and owner of an access key, if it is good. A temporary one needs its security
    /// token beside it, and only that.
    pub async fn signing_key(
        &self,
        access_key: &str,
        security_token: Option<&str>,
    ) -> Result<SigningKey> {
        let doing = "reading an access key";
        let mut tx = self.db.read().await.map_err(db(doing))?;
        if let Some(token) = security_token {
            return self.temporary_signing_key(&mut tx, access_key, token).await;
        }
        let key = tx.access_keys().find(access_key).await.map_err(db(doing))?;
        let key = key.filter(|key| key.enabled).ok_or(Error::CredentialRefused)?;
        let credential = Credential::AccessKey(key.ak.clone());
        let caller = Caller { credential, ..caller_of(&mut tx, key.user, None).await? };
        let secret = self
            .key
            .open(&key.ak, &key.sealed_secret)
            .map_err(Error::internal("opening the secret of an access key"))?;
        let now = tx.now();
        let is_noted =
            key.last_used_at.is_some_and(|at| now < at.plus_seconds(LAST_USE_SECONDS) && at <= now);
        Ok(SigningKey { secret, caller, notes_use: !is_noted })
    }

    /// Notes that an access key was used just now.
    pub async fn note_use(&self, access_key: &str) -> Result<()> {
        let doing = "noting the use of an access key";
        let mut tx = self.db.begin().await.map_err(db(doing))?;
        tx.access_keys().note_use(access_key).await.map_err(db(doing))?;
        tx.commit().await.map_err(db(doing))
    }

    /// Notes that a verified signature of a changing request is used now; says whether it was not before,
    /// by any node (P27). After `expires_at` its date alone refuses it.
    pub async fn use_signature(&self, digest: [u8; 32], expires_at: Timestamp) -> Result<bool> {
        let doing = "noting a signature";
        let mut tx = self.db.begin_beside().await.map_err(db(doing))?;
        let is_first = tx.used_signatures().note(digest, expires_at).await.map_err(db(doing))?;
        tx.commit().await.map_err(db(doing))?;
        Ok(is_first)
    }

    /// Makes a key for a user: oneself, or with permission anybody.
    pub async fn create_key(
        &self,
        access: &OwnAccess,
        user: UserId,
        description: String,
    ) -> Result<NewKey> {
        let doing = "making an access key";
        check_description(&description)?;
        let ak = random_text(&*self.random, ACCESS_KEY_CHARS).to_uppercase();
        let secret = random_text(&*self.random, SECRET_KEY_CHARS);
        let mut tx = self.change(access.actor(), doing).await?;
        within_reach(&mut tx, access, user).await?;
        let there_are = tx.access_keys().list(user).await.map_err(db(doing))?.len();
        check_room("access keys of the user", there_are, ACCESS_KEYS_MAX)?;
        let key = AccessKey {
            sealed_secret: self.key.seal(&ak, &secret, &*self.random),
            ak,
            user,
            enabled: true,
            description,
            created_at: tx.now(),
            last_used_at: None,
        };
        tx.access_keys().insert(&key).await.map_err(db(doing))?;
        tx.commit(Subject::new(&key.ak, &key.description)).await?;
        Ok(NewKey { key, secret })
    }

    /// The keys of a user; none named: one's own, or with permission those of the whole account.
    pub async fn keys(&self, access: &OwnAccess, user: Option<UserId>) -> Result<Vec<AccessKey>> {
        let doing = "listing access keys";
        let mut tx = self.db.read().await.map_err(db(doing))?;
        let own = access.actor().caller().user.id;
        let users = match user {
            Some(user) => {
                access.over(user)?;
                vec![user_of(&mut tx, access.domain(), user).await?.id]
            }
            None if access.reaches_others() => {
                let all = tx.users().list(access.domain()).await.map_err(db(doing))?;
                all.iter().map(|user| user.id).collect()
            }
            None => {
                access.over(own)?;
                vec![own]
            }
        };
        let mut keys = Vec::new();
        for user in users {
            keys.extend(tx.access_keys().list(user).await.map_err(db(doing))?);
        }
        Ok(keys)
    }

    /// One key.
    pub async fn key(&self, access: &OwnAccess, ak: &str) -> Result<AccessKey> {
        let mut tx = self.db.read().await.map_err(db("reading an access key"))?;
        key_within_reach(&mut tx, access, ak).await
    }

    /// Changes what is named.
    pub async fn update_key(
        &self,
        access: &OwnAccess,
        ak: &str,
        change: KeyChange,
    ) -> Result<AccessKey> {
        let doing = "changing an access key";
        let mut tx = self.change(access.actor(), doing).await?;
        let mut key = key_within_reach(&mut tx, access, ak).await?;
        within_reach(&mut tx, access, key.user).await?;
        key.enabled = change.enabled.unwrap_or(key.enabled);
        if let Some(description) = change.description {
            check_description(&description)?;
            key.description = description;
        }
        tx.access_keys().update(&key).await.map_err(db(doing))?;
        if !key.enabled {
            end_made_with(&mut tx, &key).await?;
        }
        tx.commit(Subject::new(&key.ak, &key.description)).await?;
        Ok(key)
    }

    /// Removes a key; the next request signed with it is refused.
    pub async fn delete_key(&self, access: &OwnAccess, ak: &str) -> Result<()> {
        let doing = "removing an access key";
        let mut tx = self.change(access.actor(), doing).await?;
        let key = key_within_reach(&mut tx, access, ak).await?;
        within_reach(&mut tx, access, key.user).await?;
        tx.access_keys().delete(key.user, ak).await.map_err(db(doing))?;
        end_made_with(&mut tx, &key).await?;
        tx.commit(Subject::new(&key.ak, &key.description)).await
    }
}

/// Ends what was made with a key that is no longer good: tokens and temporary keys. Of temporary keys of
/// before that was known all end.
async fn end_made_with(tx: &mut Tx, key: &AccessKey) -> Result<()> {
    let doing = "ending what was made with an access key";
    tx.tokens().delete_of_key(&key.ak).await.map_err(db(doing))?;
    tx.temporary_keys().delete_orphans(key.user).await.map(drop).map_err(db(doing))
}

/// Refuses unless the caller may change the credentials of `user`.
pub(super) async fn within_reach(tx: &mut Tx, access: &OwnAccess, user: UserId) -> Result<()> {
    require_lasting(access.actor().caller())?;
    access.over(user)?;
    let user = user_of(tx, access.domain(), user).await?;
    refuse_over_administrator(access.actor().caller().user.id, &user)
}

/// A key the caller may see; one it may not looks like an absent one.
async fn key_within_reach(tx: &mut Tx, access: &OwnAccess, ak: &str) -> Result<AccessKey> {
    let absent =
        || Error::IdentityNotFound { noun: "access key", id: ak.chars().take(64).collect() };
    let key = tx.access_keys().find(ak).await.map_err(db("reading an access key"))?;
    let key = key.ok_or_else(absent)?;
    access.over(key.user).map_err(|_| absent())?;
    user_of(tx, access.domain(), key.user).await.map_err(|_| absent())?;
    Ok(key)
}
