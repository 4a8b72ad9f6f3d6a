//! Use cases of second factors: codes of an authenticator (TOTP, RFC 6238) beside the password.

use cbr_db::{MfaDevice, Token, Tx};
use cbr_env::RandomExt;
use cbr_model::identity::Credential;
use cbr_model::{DomainId, UserId};
use totp_rs::{Builder, Totp};
use zeroize::Zeroizing;

use super::attempts::Attempt;
use super::keys::within_reach;
use super::service::Identity;
use super::sessions::SecondFactor;
use super::users::user_of;
use crate::access::{AccountAccess, OwnAccess};
use crate::audit::Subject;
use crate::error::db;
use crate::rules::identity::check_name;
use crate::{Error, Result};

const ISSUER: &str = "CBR";
/// 160 bits, as RFC 4226 recommends.
const SEED_BYTES: usize = 20;
/// So long a token shows that its holder knows the password.
const FRESH_SECONDS: i64 = 600;

/// A device just made: the only time its seed is shown.
pub struct NewDevice {
    /// The device.
    pub device: ShownDevice,
    /// What the codes are made of, in base 32.
    pub seed: Zeroizing<String>,
    /// The same as authenticators read it from a picture.
    pub url: Zeroizing<String>,
}

impl std::fmt::Debug for NewDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewDevice").field("device", &self.device).finish_non_exhaustive()
    }
}

/// A device without what is secret of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShownDevice {
    /// Whose it is.
    pub user: UserId,
    /// How the contract names it.
    pub serial: String,
    /// Its user has shown two codes of it.
    pub is_bound: bool,
    /// Logins with a password need a code of it as well.
    pub is_required: bool,
}

impl Identity {
    /// Makes a device for a user. It has no effect until it is bound.
    pub async fn create_device(
        &self,
        access: &OwnAccess,
        user: UserId,
        name: String,
    ) -> Result<NewDevice> {
        let doing = "making a second factor";
        check_name("name", &name)?;
        let seed = Zeroizing::new(self.random.bytes::<SEED_BYTES>());
        let mut tx = self.change(access.actor(), doing).await?;
        within_reach(&mut tx, access, user).await?;
        let owner = user_of(&mut tx, access.domain(), user).await?;
        let before = tx.mfa_devices().find(user).await.map_err(db(doing))?;
        if before.is_some_and(|device| device.is_bound) {
            let reason = "the user has a second factor; unbind it first";
            return Err(Error::IdentityConflict { reason: reason.to_owned() });
        }
        let totp = totp(&*seed, &owner.name)?;
        let base32 = Zeroizing::new(totp.secret().to_base32());
        let url = totp.to_url().map_err(|error| Error::internal(doing)(error.to_string()))?;
        let device = MfaDevice {
            user,
            name,
            sealed_seed: self.key.seal(&owner_of(user), &base32, &*self.random),
            is_bound: false,
            is_required: false,
            last_step: 0,
            created_at: tx.now(),
        };
        tx.mfa_devices().delete(user).await.map_err(db(doing))?;
        tx.mfa_devices().insert(&device).await.map_err(db(doing))?;
        let device = shown(access.domain(), &device);
        tx.commit(Subject::new(&device.serial, &owner.name)).await?;
        Ok(NewDevice { device, seed: base32, url: Zeroizing::new(url) })
    }

    /// Binds a device with two codes that follow one another. From now on logins with a password
    /// need a code. Who binds its own shows its password: a stolen token or key must not be enough to
    /// keep its owner out.
    pub async fn bind_device(
        &self,
        access: &OwnAccess,
        (user, password): (UserId, Option<Zeroizing<String>>),
        serial: &str,
        codes: [Zeroizing<String>; 2],
    ) -> Result<()> {
        let doing = "binding a second factor";
        if access.actor().caller().user.id == user {
            self.show_password(access, password).await?;
        }
        let mut tx = self.change(access.actor(), doing).await?;
        within_reach(&mut tx, access, user).await?;
        let mut device = device_of(&mut tx, access.domain(), user, Some(serial)).await?;
        if device.is_bound {
            let reason = "the second factor is bound already";
            return Err(Error::IdentityConflict { reason: reason.to_owned() });
        }
        let totp = self.opened(&device)?;
        let now = seconds(&tx);
        let [first, second] = codes.map(|code| totp.check(&code, now));
        let (Some(first), Some(second)) = (first, second) else {
            return Err(Error::invalid("authentication_code", "the codes are not those of now"));
        };
        if second != first + 1 {
            return Err(Error::invalid(
                "authentication_code",
                "the codes do not follow one another",
            ));
        }
        device.is_bound = true;
        device.is_required = true;
        device.last_step = second;
        tx.mfa_devices().update(&device).await.map_err(db(doing))?;
        tx.commit(Subject::new(serial, &device.name)).await
    }

    /// Takes a device away from its user. Its user needs a code of it; who manages users does not,
    /// for when a device is lost.
    pub async fn unbind_device(
        &self,
        access: &OwnAccess,
        user: UserId,
        serial: &str,
        code: Zeroizing<String>,
    ) -> Result<()> {
        let doing = "unbinding a second factor";
        if access.actor().caller().user.id == user {
            self.show_code(access, user, serial, code).await?;
        }
        let mut tx = self.change(access.actor(), doing).await?;
        within_reach(&mut tx, access, user).await?;
        let device = device_of(&mut tx, access.domain(), user, Some(serial)).await?;
        tx.mfa_devices().delete(user).await.map_err(db(doing))?;
        tx.commit(Subject::new(serial, &device.name)).await
    }

    /// Forgets a device that is not bound.
    pub async fn delete_device(
        &self,
        access: &OwnAccess,
        user: UserId,
        serial: &str,
    ) -> Result<()> {
        let doing = "removing a second factor";
        let mut tx = self.change(access.actor(), doing).await?;
        within_reach(&mut tx, access, user).await?;
        let device = device_of(&mut tx, access.domain(), user, Some(serial)).await?;
        if device.is_bound {
            let reason = "the second factor is bound; unbind it first";
            return Err(Error::IdentityConflict { reason: reason.to_owned() });
        }
        tx.mfa_devices().delete(user).await.map_err(db(doing))?;
        tx.commit(Subject::new(serial, &device.name)).await
    }

    /// Says whether logins with a password need a code. That somebody else's do not is for who
    /// manages users.
    pub async fn protect_login(
        &self,
        access: &OwnAccess,
        user: UserId,
        is_required: bool,
    ) -> Result<ShownDevice> {
        let doing = "changing what a login needs";
        let mut tx = self.change(access.actor(), doing).await?;
        within_reach(&mut tx, access, user).await?;
        let mut device = device_of(&mut tx, access.domain(), user, None).await?;
        if !device.is_bound {
            let reason = "the second factor is not bound yet";
            return Err(Error::IdentityConflict { reason: reason.to_owned() });
        }
        if !is_required && access.actor().caller().user.id == user {
            // A stolen token must not be enough; one's own device is unbound with a code of it.
            return Err(Error::Forbidden);
        }
        device.is_required = is_required;
        tx.mfa_devices().update(&device).await.map_err(db(doing))?;
        let shown = shown(access.domain(), &device);
        tx.commit(Subject::new(user, &device.name)).await?;
        Ok(shown)
    }

    /// A user's device.
    pub async fn device(&self, access: &OwnAccess, user: UserId) -> Result<ShownDevice> {
        access.over(user)?;
        let mut tx = self.db.read().await.map_err(db("reading a second factor"))?;
        user_of(&mut tx, access.domain(), user).await?;
        let device = device_of(&mut tx, access.domain(), user, None).await?;
        Ok(shown(access.domain(), &device))
    }

    /// The devices of the account's users.
    pub async fn devices(&self, access: &AccountAccess) -> Result<Vec<ShownDevice>> {
        let doing = "listing second factors";
        let mut tx = self.db.read().await.map_err(db(doing))?;
        let all = tx.mfa_devices().list(access.domain()).await.map_err(db(doing))?;
        Ok(all.iter().map(|device| shown(access.domain(), device)).collect())
    }

    /// Refuses unless what a login shows besides the password is enough; says whether it was a
    /// code. Every code is taken once.
    pub(super) async fn check_code(
        &self,
        tx: &mut Tx,
        user: UserId,
        code: Option<Zeroizing<String>>,
    ) -> Result<bool> {
        let doing = "checking a code";
        let device = tx.mfa_devices().find(user).await.map_err(db(doing))?;
        let device = device.filter(|device| device.is_bound);
        let (mut device, code) = match (device, code) {
            (None, None) => return Ok(false),
            (Some(device), None) if !device.is_required => return Ok(false),
            (Some(_), None) => return Err(Error::SecondFactorNeeded),
            (None, Some(_)) => return Err(Error::CredentialRefused),
            (Some(device), Some(code)) => (device, code),
        };
        let step = self.opened(&device)?.check(&code, seconds(tx));
        let step = step.filter(|step| *step > device.last_step).ok_or(Error::CredentialRefused)?;
        device.last_step = step;
        tx.mfa_devices().update(&device).await.map_err(db(doing))?;
        Ok(true)
    }

    /// Checks a code outside a login; failures count as those of logins do.
    async fn show_code(
        &self,
        access: &OwnAccess,
        user: UserId,
        serial: &str,
        code: Zeroizing<String>,
    ) -> Result<()> {
        let doing = "checking a code";
        let wrong = || Error::invalid("authentication_code", "it is wrong, or was used already");
        let mut tx = self.db.begin().await.map_err(db(doing))?;
        device_of(&mut tx, access.domain(), user, Some(serial)).await?;
        let source = access.actor().source_ip();
        let attempt = Attempt::known(&mut tx, user, source).await.map_err(db(doing))?;
        if attempt.is_locked(&tx) {
            return Err(wrong());
        }
        match self.check_code(&mut tx, user, Some(code)).await {
            Ok(_) => tx.commit().await.map_err(db(doing)),
            Err(Error::CredentialRefused) => {
                attempt.failed(&mut tx).await.map_err(db(doing))?;
                tx.commit().await.map_err(db(doing))?;
                Err(wrong())
            }
            Err(other) => Err(other),
        }
    }

    /// Refuses unless the caller shows its own password, or a token that it was shown for just now.
    async fn show_password(
        &self,
        access: &OwnAccess,
        password: Option<Zeroizing<String>>,
    ) -> Result<()> {
        let caller = access.actor().caller();
        let Some(password) = password else {
            let mut tx = self.db.read().await.map_err(db("reading a token"))?;
            let token = match &caller.credential {
                Credential::Token(digest) => tx.tokens().find(*digest).await,
                _ => Ok(None),
            };
            let token = token.map_err(db("reading a token"))?;
            let fresh_until = |token: &Token| token.issued_at.plus_seconds(FRESH_SECONDS);
            let is_fresh = token.is_some_and(|token| {
                // One that was made with another says nothing of when the password was shown.
                token.made_with == Credential::Password && tx.now() < fresh_until(&token)
            });
            let why = "who binds its own second factor shows its password here, or has a token for which \
                       it was shown within the last ten minutes";
            return if is_fresh { Ok(()) } else { Err(Error::invalid("password", why)) };
        };
        let source = access.actor().source_ip();
        match self.prove(&caller.user, password, SecondFactor::NotAsked, source).await {
            Ok(_) => Ok(()),
            Err(Error::CredentialRefused) => Err(Error::invalid("password", "it is wrong")),
            Err(other) => Err(other),
        }
    }

    fn opened(&self, device: &MfaDevice) -> Result<Totp> {
        let doing = "opening the seed of a second factor";
        let base32 = self
            .key
            .open(&owner_of(device.user), &device.sealed_seed)
            .map_err(Error::internal(doing))?;
        let seed = totp_rs::Secret::try_from_base32(base32.as_str())
            .map_err(|error| Error::internal(doing)(error.to_string()))?;
        totp(seed.as_ref(), "")
    }
}

/// What the seal of a seed is bound to.
pub(super) fn owner_of(user: UserId) -> String {
    format!("mfa:{user}")
}

fn totp(seed: &[u8], user: &str) -> Result<Totp> {
    let name: String = user.chars().filter(|c| *c != ':').collect();
    Builder::new()
        .with_secret(seed)
        .with_issuer(Some(ISSUER))
        .with_account_name(name)
        .build()
        .map_err(|error| Error::internal("making a second factor")(error.to_string()))
}

fn seconds(tx: &Tx) -> u64 {
    u64::try_from(tx.now().seconds()).unwrap_or(0)
}

fn shown(domain: DomainId, device: &MfaDevice) -> ShownDevice {
    ShownDevice {
        user: device.user,
        serial: format!("iam:{domain}:mfa:{}", device.name),
        is_bound: device.is_bound,
        is_required: device.is_required,
    }
}

async fn device_of(
    tx: &mut Tx,
    domain: DomainId,
    user: UserId,
    serial: Option<&str>,
) -> Result<MfaDevice> {
    let device = tx.mfa_devices().find(user).await.map_err(db("reading a second factor"))?;
    device
        .filter(|device| serial.is_none_or(|serial| shown(domain, device).serial == serial))
        .ok_or_else(|| Error::IdentityNotFound {
            noun: "second factor of user",
            id: user.to_string(),
        })
}
