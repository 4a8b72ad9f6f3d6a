//! Use cases of temporary access keys and of acting through agencies (contract F.1, IAM-13).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use cbr_db::{TemporaryKey, Tx};
use cbr_model::Timestamp;
use cbr_model::identity::{Agency, Caller, Credential};
use cbr_model::permission::Document;
use zeroize::Zeroizing;

use super::credentials::{DomainRef, IssuedToken, Scope, SigningKey};
use super::password::random_text;
use super::seal::token_digest;
use super::service::{ACCESS_KEY_CHARS, Identity, SECRET_KEY_CHARS};
use super::sessions::{ASSUME, caller_of, enabled_project, find_domain, scoped_project};
use crate::access::{Actor, Request};
use crate::audit::Subject;
use crate::error::db;
use crate::{Error, Result};

/// How long a temporary key may be good, in seconds.
const SECONDS: std::ops::RangeInclusive<i64> = 900..=86_400;
const SECURITY_TOKEN_CHARS: usize = 96;
/// So many temporary keys of a user are good at a time; with one more the oldest ends.
const TEMPORARY_KEYS_MAX: u64 = 1000;

/// An agency, as those name it who act through it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AgencyRef {
    /// The account that trusts.
    pub domain: DomainRef,
    /// The agency's name.
    pub name: String,
}

/// What a temporary key shall be good for.
#[derive(Clone, Debug)]
pub struct TemporaryWish {
    /// Act through this agency.
    pub agency: Option<AgencyRef>,
    /// How long, in seconds.
    pub seconds: i64,
    /// May do no more than this.
    pub document: Option<Document>,
}

/// A temporary key just made: the only time its secrets are shown.
pub struct NewTemporaryKey {
    /// The public half.
    pub ak: String,
    /// The secret half.
    pub secret: Zeroizing<String>,
    /// What goes beside every signature.
    pub security_token: Zeroizing<String>,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for NewTemporaryKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewTemporaryKey").field("ak", &self.ak).finish_non_exhaustive()
    }
}

impl Identity {
    /// Makes a key that ends by itself, and never later than the credential it is made with.
    pub async fn create_temporary_key(
        &self,
        caller: Caller,
        wish: TemporaryWish,
        request: Request,
    ) -> Result<NewTemporaryKey> {
        let doing = "making a temporary access key";
        if !SECONDS.contains(&wish.seconds) {
            return Err(Error::invalid(
                "duration_seconds",
                format!("it is {} to {}", SECONDS.start(), SECONDS.end()),
            ));
        }
        if caller.is_temporary_key() {
            return Err(Error::Forbidden);
        }
        let caller = match &wish.agency {
            Some(agency) => self.assume(caller, agency).await?,
            None => caller,
        };
        let ak = random_text(&*self.random, ACCESS_KEY_CHARS).to_uppercase();
        let secret = random_text(&*self.random, SECRET_KEY_CHARS);
        let security_token = random_text(&*self.random, SECURITY_TOKEN_CHARS);
        self.refuse_too_many(&caller)?;
        let actor = Actor::new(caller, request);
        let mut tx = self.change(&actor, doing).await?;
        let caller = actor.caller();
        let end = tx.now().plus_seconds(wish.seconds);
        let expires_at = caller.expires_at.map_or(end, |own| own.min(end));
        let key = TemporaryKey {
            sealed_secret: self.key.seal(&ak, &secret, &*self.random),
            ak,
            user: caller.user.id,
            agency: caller.agency,
            project: caller.project.as_ref().map(|project| project.id),
            token_digest: token_digest(&security_token),
            document: wish.document,
            made_with: caller.credential.clone(),
            created_at: tx.now(),
            expires_at,
        };
        tx.temporary_keys().insert(&key).await.map_err(db(doing))?;
        let kept = tx.temporary_keys().keep_newest(key.user, TEMPORARY_KEYS_MAX).await;
        kept.map_err(db(doing))?;
        tx.record_at_home().await?;
        tx.commit(Subject::new(&key.ak, &caller.user.name)).await?;
        Ok(NewTemporaryKey { ak: key.ak, secret, security_token, expires_at })
    }

    /// Issues a token with which the caller acts in another account, through an agency.
    pub async fn assume_role(
        &self,
        caller: Caller,
        agency: &AgencyRef,
        scope: &Scope,
        request: Request,
    ) -> Result<IssuedToken> {
        if caller.is_temporary_key() {
            return Err(Error::Forbidden);
        }
        let mut caller = self.assume(caller, agency).await?;
        let mut tx = self.db.read().await.map_err(db("acting through an agency"))?;
        caller.project = scoped_project(&mut tx, &caller.domain, scope).await?;
        drop(tx);
        self.issue(caller, "assume_role", None, request).await
    }

    /// Issues a token of another scope for who holds one already: never for longer, and never
    /// for more than the project it is for.
    pub async fn rescope(
        &self,
        secret: &str,
        scope: &Scope,
        request: Request,
    ) -> Result<IssuedToken> {
        let held = self.verify_token(secret).await?;
        let mut caller = held.caller;
        let mut tx = self.db.read().await.map_err(db("issuing a token"))?;
        let wanted = scoped_project(&mut tx, &caller.domain, scope).await?;
        drop(tx);
        if caller.project.is_some() && caller.project != wanted {
            return Err(Error::CredentialRefused);
        }
        caller.project = wanted;
        self.issue(caller, &held.methods, None, request).await
    }

    /// The caller as it acts through an agency. One that is absent and one that trusts somebody
    /// else look alike.
    async fn assume(&self, caller: Caller, wanted: &AgencyRef) -> Result<Caller> {
        let doing = "acting through an agency";
        let is_allowed = caller.agency.is_none() && self.may_in_account(&caller, ASSUME).await?;
        if !is_allowed {
            return Err(Error::ActionDenied { action: ASSUME.to_owned() });
        }
        let absent = || Error::IdentityNotFound {
            noun: "agency",
            id: wanted.name.chars().take(64).collect(),
        };
        let mut tx = self.db.read().await.map_err(db(doing))?;
        let domain = find_domain(&mut tx, &wanted.domain).await?.ok_or_else(absent)?;
        let now = tx.now();
        let trusts = |agency: &&Agency| {
            agency.name == wanted.name
                && agency.trusted.id == caller.domain.id
                && agency.expires_at.is_none_or(|end| now < end)
        };
        let agencies = tx.agencies().list(domain.id).await.map_err(db(doing))?;
        let agency = agencies.iter().find(trusts).ok_or_else(absent)?;
        Ok(Caller { domain, agency: Some(agency.id), project: None, ..caller })
    }

    pub(super) async fn temporary_signing_key(
        &self,
        tx: &mut Tx,
        access_key: &str,
        security_token: &str,
    ) -> Result<SigningKey> {
        let doing = "reading a temporary access key";
        let key = tx.temporary_keys().find(access_key).await.map_err(db(doing))?;
        let key = key.ok_or(Error::CredentialRefused)?;
        verify_slices_are_equal(&token_digest(security_token), &key.token_digest)
            .map_err(|_| Error::CredentialRefused)?;
        let mut caller = caller_of(tx, key.user, key.agency).await?;
        caller.project = match key.project {
            Some(id) => Some(enabled_project(tx, id).await?.ok_or(Error::CredentialRefused)?),
            None => None,
        };
        caller.expires_at = Some(key.expires_at);
        caller.narrowed_to = key.document;
        caller.credential = Credential::TemporaryKey(key.ak.clone());
        let secret = self
            .key
            .open(&key.ak, &key.sealed_secret)
            .map_err(Error::internal("opening the secret of a temporary access key"))?;
        Ok(SigningKey { secret, caller, notes_use: false })
    }
}
