//! Use cases of users (IAM-01).

use cbr_db::Tx;
use cbr_model::audit::SYSTEM_NAME;
use cbr_model::identity::{Group, User};
use cbr_model::{DomainId, UserId};
use zeroize::Zeroizing;

use super::permit::require_lasting;
use super::service::Identity;
use super::sessions::SecondFactor;
use crate::access::{AccountAccess, OwnAccess};
use crate::audit::Subject;
use crate::error::db;
use crate::rules::identity::{USERS_MAX, check_description, check_email, check_name, check_room};
use crate::rules::password;
use crate::{Error, Result};

/// A user to be made.
pub struct NewUser {
    /// Its name; unique in the account.
    pub name: String,
    /// What it logs in with; none: it only gets access keys.
    pub password: Option<Zeroizing<String>>,
    /// Whether it may log in.
    pub enabled: bool,
    /// Free text.
    pub description: String,
    /// Where mail reaches it; may be empty.
    pub email: String,
}

/// What shall be different about a user.
#[derive(Default)]
pub struct UserChange {
    /// Its name.
    pub name: Option<String>,
    /// What it logs in with.
    pub password: Option<Zeroizing<String>>,
    /// Whether it may log in.
    pub enabled: Option<bool>,
    /// Free text.
    pub description: Option<String>,
    /// Where mail reaches it.
    pub email: Option<String>,
}

impl Identity {
    /// Makes a user, who may do nothing yet (IAM-01).
    pub async fn create_user(&self, access: &AccountAccess, wanted: NewUser) -> Result<User> {
        let doing = "making a user";
        check_user_name(&wanted.name)?;
        check_description(&wanted.description)?;
        check_email(&wanted.email)?;
        if wanted.password.is_some() {
            require_lasting(access.actor().caller())?;
        }
        let phc = match wanted.password {
            Some(new) => Some(self.hashed(new, &wanted.name).await?),
            None => None,
        };
        let mut tx = self.change(access.actor(), doing).await?;
        let domain = access.domain();
        let there_are = tx.users().list(domain).await.map_err(db(doing))?.len();
        check_room("users", there_are, USERS_MAX)?;
        let user = User {
            id: UserId::random(&*self.random),
            domain,
            name: wanted.name,
            enabled: wanted.enabled,
            is_admin: false,
            description: wanted.description,
            email: wanted.email,
            created_at: tx.now(),
        };
        refuse_taken(&mut tx, &user).await?;
        tx.users().insert(&user, phc.as_deref()).await.map_err(db(doing))?;
        tx.commit(Subject::new(user.id, &user.name)).await?;
        Ok(user)
    }

    /// The users of the account, by name.
    pub async fn users(&self, access: &AccountAccess) -> Result<Vec<User>> {
        let doing = "listing users";
        let mut tx = self.db.read().await.map_err(db(doing))?;
        tx.users().list(access.domain()).await.map_err(db(doing))
    }

    /// A user of the account: oneself, or with permission anybody.
    pub async fn user(&self, access: &OwnAccess, id: UserId) -> Result<User> {
        access.over(id)?;
        let mut tx = self.db.read().await.map_err(db("reading a user"))?;
        user_of(&mut tx, access.domain(), id).await
    }

    /// Changes what `change` names. A new password, or being barred, ends what was issued before.
    pub async fn update_user(
        &self,
        access: &AccountAccess,
        id: UserId,
        change: UserChange,
    ) -> Result<User> {
        let doing = "changing a user";
        if change.password.is_some() {
            require_lasting(access.actor().caller())?;
            if access.actor().caller().user.id == id {
                // One's own needs the one before.
                return Err(Error::Forbidden);
            }
        }
        let mut read = self.db.read().await.map_err(db(doing))?;
        let before = user_of(&mut read, access.domain(), id).await?;
        drop(read);
        let name = change.name.clone().unwrap_or_else(|| before.name.clone());
        let phc = match change.password {
            Some(new) => Some(self.hashed(new, &name).await?),
            None => None,
        };
        let mut tx = self.change(access.actor(), doing).await?;
        let before = user_of(&mut tx, access.domain(), id).await?;
        refuse_over_administrator(access.actor().caller().user.id, &before)?;
        let mut after = before.clone();
        after.name = name;
        after.enabled = change.enabled.unwrap_or(before.enabled);
        after.description = change.description.unwrap_or(after.description);
        after.email = change.email.unwrap_or(after.email);
        if after.name != before.name {
            check_user_name(&after.name)?;
        }
        check_description(&after.description)?;
        check_email(&after.email)?;
        if before.is_admin && !after.enabled {
            let reason = "the administrator of the account cannot be barred";
            return Err(Error::IdentityConflict { reason: reason.to_owned() });
        }
        if after.name != before.name {
            refuse_taken(&mut tx, &after).await?;
        }
        tx.users().update(&after).await.map_err(db(doing))?;
        if let Some(phc) = &phc {
            set_password(&mut tx, id, phc).await?;
        }
        if !after.enabled {
            end_sessions(&mut tx, id).await?;
        }
        tx.commit(Subject::new(id, &after.name)).await?;
        Ok(after)
    }

    /// Replaces one's own password, which ends all one's tokens.
    pub async fn change_password(
        &self,
        access: &OwnAccess,
        id: UserId,
        original: Zeroizing<String>,
        new: Zeroizing<String>,
    ) -> Result<()> {
        let doing = "changing a password";
        let caller = access.actor().caller();
        if caller.user.id != id || caller.agency.is_some() || caller.is_temporary_key() {
            return Err(Error::Forbidden);
        }
        if *original == *new {
            return Err(Error::invalid("password", "it is the same as before"));
        }
        let source = access.actor().source_ip();
        self.prove(&caller.user, original, SecondFactor::NotAsked, source).await?;
        let phc = self.hashed(new, &caller.user.name).await?;
        let mut tx = self.change(access.actor(), doing).await?;
        set_password(&mut tx, id, &phc).await?;
        tx.commit(Subject::new(id, &caller.user.name)).await
    }

    /// Removes a user with its keys, tokens and memberships.
    pub async fn delete_user(&self, access: &AccountAccess, id: UserId) -> Result<()> {
        let doing = "removing a user";
        let mut tx = self.change(access.actor(), doing).await?;
        let user = user_of(&mut tx, access.domain(), id).await?;
        if user.is_admin || id == access.actor().caller().user.id {
            let reason = "neither oneself nor the administrator of the account can be removed";
            return Err(Error::IdentityConflict { reason: reason.to_owned() });
        }
        tx.users().delete(access.domain(), id).await.map_err(db(doing))?;
        tx.commit(Subject::new(id, &user.name)).await
    }

    /// The groups of a user: oneself, or with permission anybody.
    pub async fn groups_of_user(&self, access: &OwnAccess, id: UserId) -> Result<Vec<Group>> {
        let doing = "listing a user's groups";
        access.over(id)?;
        let mut tx = self.db.read().await.map_err(db(doing))?;
        user_of(&mut tx, access.domain(), id).await?;
        tx.groups().of_user(id).await.map_err(db(doing))
    }

    /// Checks a new password and gives what to keep of it.
    pub(super) async fn hashed(&self, new: Zeroizing<String>, user: &str) -> Result<String> {
        password::check(&new, user)?;
        self.passwords.hash(new, &*self.random).await
    }
}

/// Nobody is called in records as the service is.
fn check_user_name(name: &str) -> Result<()> {
    check_name("name", name)?;
    if name.eq_ignore_ascii_case(SYSTEM_NAME) {
        return Err(Error::invalid("name", "records call the service itself so"));
    }
    Ok(())
}

/// A user of the account; another account's looks like an absent one.
pub(super) async fn user_of(tx: &mut Tx, domain: DomainId, id: UserId) -> Result<User> {
    let user = tx.users().find(id).await.map_err(db("reading a user"))?;
    user.filter(|user| user.domain == domain)
        .ok_or_else(|| Error::IdentityNotFound { noun: "user", id: id.to_string() })
}

/// Whoever manages users does not become the administrator by it.
pub(super) fn refuse_over_administrator(caller: UserId, target: &User) -> Result<()> {
    if target.is_admin && target.id != caller { Err(Error::Forbidden) } else { Ok(()) }
}

async fn refuse_taken(tx: &mut Tx, user: &User) -> Result<()> {
    let found = tx.users().find_by_name(user.domain, &user.name).await;
    match found.map_err(db("reading a user"))? {
        None => Ok(()),
        Some(_) => Err(Error::IdentityTaken { noun: "user", name: user.name.clone() }),
    }
}

async fn set_password(tx: &mut Tx, id: UserId, phc: &str) -> Result<()> {
    let doing = "writing a password";
    tx.users().set_password(id, phc).await.map_err(db(doing))?;
    // What was tried with the one before says nothing about this one.
    tx.login_failures().forget(id).await.map_err(db(doing))?;
    end_sessions(tx, id).await
}

/// Makes void what the user's password was shown for.
async fn end_sessions(tx: &mut Tx, id: UserId) -> Result<()> {
    let doing = "revoking tokens";
    tx.tokens().delete_of_user(id).await.map_err(db(doing))?;
    tx.temporary_keys().delete_of_user(id).await.map_err(db(doing))?;
    Ok(())
}

macro_rules! debug_without_secrets {
    ($($name:ident),+) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )+};
}

debug_without_secrets!(NewUser, UserChange);
