//! Who uses the service, and with what proof.
//!
//! A refused credential says nothing about why: unknown user, wrong password and
//! barred account look alike and cost alike.

use std::sync::Arc;

use cbr_db::{AccessKey, Db, Token, Tx};
use cbr_env::{Clock, Random};
use cbr_model::identity::{Caller, Domain, Project, User};
use cbr_model::{DomainId, ProjectId, UserId};

use super::credentials::{
    Bootstrapped, DomainRef, FirstAccount, IssuedToken, Login, Scope, SigningKey, UserRef,
    VerifiedToken,
};
use super::password::{Passwords, random_text};
use super::seal::{SealingKey, token_digest};
use crate::error::db;
use crate::{Access, Actor, Error, Request, Result};

/// How long a token is good.
pub const TOKEN_SECONDS: i64 = 24 * 60 * 60;

/// Setting: the project that the providers' resources belong to.
pub(crate) const PROVIDER_PROJECT: &str = "provider.project";
/// Setting: the first account exists.
const BOOTSTRAPPED: &str = "identity.bootstrapped";

const PASSWORD_CHARS: usize = 20;
const ACCESS_KEY_CHARS: usize = 20;
const SECRET_KEY_CHARS: usize = 40;
const TOKEN_CHARS: usize = 64;

/// Use cases of accounts, projects, users, tokens and access keys.
#[derive(Debug)]
pub struct Identity {
    db: Arc<Db>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    key: SealingKey,
    passwords: Passwords,
}

impl Identity {
    pub(crate) fn new(
        db: Arc<Db>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        key: SealingKey,
    ) -> Self {
        Self { db, clock, random, key, passwords: Passwords::default() }
    }

    /// Creates the first account if there is none; `None`: there is one already.
    ///
    /// Account and project that a rebuild brought back (P8) are taken over by name.
    ///
    /// `keep` gets the secrets just before the account exists, and must make them
    /// survive a crash: afterwards they are never told again. If it fails there is no
    /// account; if the process dies after it, the next call makes other secrets.
    pub async fn bootstrap<F>(&self, wanted: &FirstAccount, keep: F) -> Result<Option<Bootstrapped>>
    where
        F: FnOnce(&Bootstrapped) -> std::io::Result<()> + Send,
    {
        let random = &*self.random;
        let password = random_text(random, PASSWORD_CHARS);
        let phc = self.passwords.hash(password.clone(), random).await?;
        let access_key = random_text(random, ACCESS_KEY_CHARS).to_uppercase();
        let secret_key = random_text(random, SECRET_KEY_CHARS);

        let mut tx = self.db.begin().await.map_err(db("creating the first account"))?;
        if tx.settings().find(BOOTSTRAPPED).await.map_err(db("reading a setting"))?.is_some() {
            return Ok(None);
        }
        let domain = self.first_domain(&mut tx, &wanted.domain_name).await?;
        let project = self.first_project(&mut tx, domain, &wanted.project_name).await?;
        let user = User {
            id: UserId::random(random),
            domain,
            name: wanted.user_name.clone(),
            enabled: true,
            is_admin: true,
        };
        tx.users().insert(&user, Some(&phc)).await.map_err(db("adding a user"))?;
        let key = AccessKey {
            ak: access_key.clone(),
            user: user.id,
            sealed_secret: self.key.seal(&access_key, &secret_key, random),
            enabled: true,
            description: "first".to_owned(),
            created_at: tx.now(),
        };
        tx.access_keys().insert(&key).await.map_err(db("adding an access key"))?;
        for (setting, value) in [(BOOTSTRAPPED, "1"), (PROVIDER_PROJECT, &project.to_string())] {
            tx.settings().set(setting, value).await.map_err(db("writing a setting"))?;
        }
        let made =
            Bootstrapped { domain, project, user: user.id, password, access_key, secret_key };
        keep(&made).map_err(Error::internal("keeping the secrets of the first account"))?;
        tx.commit().await.map_err(db("creating the first account"))?;
        Ok(Some(made))
    }

    async fn first_domain(&self, tx: &mut Tx, name: &str) -> Result<DomainId> {
        if let Some(found) =
            tx.domains().find_by_name(name).await.map_err(db("reading a domain"))?
        {
            return Ok(found.id);
        }
        let domain = Domain { id: DomainId::random(&*self.random), name: name.to_owned() };
        tx.domains().insert(&domain).await.map_err(db("adding a domain"))?;
        Ok(domain.id)
    }

    async fn first_project(&self, tx: &mut Tx, domain: DomainId, name: &str) -> Result<ProjectId> {
        let found = tx.projects().find_by_name(domain, name).await;
        if let Some(found) = found.map_err(db("reading a project"))? {
            return Ok(found.id);
        }
        let id = ProjectId::random(&*self.random);
        let project = Project { id, domain, name: name.to_owned(), enabled: true };
        tx.projects().insert(&project).await.map_err(db("adding a project"))?;
        Ok(id)
    }

    /// Checks a password and issues a token.
    pub async fn login(&self, login: Login) -> Result<IssuedToken> {
        let mut tx = self.db.read().await.map_err(db("logging in"))?;
        let found = find_user(&mut tx, &login.user).await?;
        let phc = match &found {
            Some((_, user)) => {
                tx.users().password(user.id).await.map_err(db("reading a password"))?
            }
            None => None,
        };
        drop(tx);
        let is_right = self.passwords.is_right(login.password, phc).await?;
        let Some((domain, user)) = found.filter(|(_, user)| is_right && user.enabled) else {
            return Err(Error::CredentialRefused);
        };

        let mut tx = self.db.begin().await.map_err(db("issuing a token"))?;
        let project = scoped_project(&mut tx, &domain, &login.scope).await?;
        let issued_at = tx.now();
        let expires_at = issued_at.plus_seconds(TOKEN_SECONDS);
        let secret = random_text(&*self.random, TOKEN_CHARS);
        let token = Token {
            digest: token_digest(&secret),
            user: user.id,
            project: project.as_ref().map(|project| project.id),
            issued_at,
            expires_at,
        };
        tx.tokens().insert(&token).await.map_err(db("adding a token"))?;
        tx.commit().await.map_err(db("issuing a token"))?;
        let caller = Caller { domain, user, project, expires_at: Some(expires_at) };
        Ok(IssuedToken { secret, issued_at, caller })
    }

    /// Whom the token speaks for, if it is good.
    pub async fn verify_token(&self, secret: &str) -> Result<VerifiedToken> {
        let mut tx = self.db.read().await.map_err(db("verifying a token"))?;
        let token = tx.tokens().find(token_digest(secret)).await.map_err(db("reading a token"))?;
        let token = token.ok_or(Error::CredentialRefused)?;
        let (domain, user) = enabled_user(&mut tx, token.user).await?;
        let project = match token.project {
            Some(id) => Some(enabled_project(&mut tx, id).await?.ok_or(Error::CredentialRefused)?),
            None => None,
        };
        let caller = Caller { domain, user, project, expires_at: Some(token.expires_at) };
        Ok(VerifiedToken { issued_at: token.issued_at, caller })
    }

    /// Makes a token useless. One that is not good is fine.
    pub async fn revoke_token(&self, secret: &str) -> Result<()> {
        let mut tx = self.db.begin().await.map_err(db("revoking a token"))?;
        tx.tokens().delete(token_digest(secret)).await.map_err(db("deleting a token"))?;
        tx.commit().await.map_err(db("revoking a token"))
    }

    /// Forgets tokens that are over; says how many.
    pub(crate) async fn sweep_tokens(&self) -> Result<u64> {
        let mut tx = self.db.begin().await.map_err(db("sweeping tokens"))?;
        let swept = tx.tokens().delete_expired().await.map_err(db("deleting tokens"))?;
        tx.commit().await.map_err(db("sweeping tokens"))?;
        Ok(swept)
    }

    /// The secret and owner of an access key, if it is good.
    pub async fn access_key(&self, access_key: &str) -> Result<SigningKey> {
        let mut tx = self.db.read().await.map_err(db("reading an access key"))?;
        let key = tx.access_keys().find(access_key).await.map_err(db("reading an access key"))?;
        let key = key.filter(|key| key.enabled).ok_or(Error::CredentialRefused)?;
        let (domain, user) = enabled_user(&mut tx, key.user).await?;
        let secret = self
            .key
            .open(&key.ak, &key.sealed_secret)
            .map_err(Error::internal("opening the secret of an access key"))?;
        Ok(SigningKey { secret, caller: Caller { domain, user, project: None, expires_at: None } })
    }

    /// The projects the caller may use, in order of their names; `name`: only the one of that name.
    pub async fn projects(&self, caller: &Caller, name: Option<&str>) -> Result<Vec<Project>> {
        let mut tx = self.db.read().await.map_err(db("listing projects"))?;
        let all = tx.projects().list(caller.domain.id).await.map_err(db("listing projects"))?;
        let is_meant = |project: &Project| name.is_none_or(|name| project.name == name);
        Ok(all.into_iter().filter(|p| is_meant(p) && may_use(caller, p)).collect())
    }

    /// One project the caller may use.
    pub async fn project(&self, caller: &Caller, id: ProjectId) -> Result<Project> {
        let mut tx = self.db.read().await.map_err(db("reading a project"))?;
        let project = tx.projects().find(id).await.map_err(db("reading a project"))?;
        project.filter(|project| may_use(caller, project)).ok_or(Error::ProjectNotFound(id))
    }

    /// Lets the caller into a project it may use; another one looks like an absent one.
    pub async fn access(
        &self,
        caller: Caller,
        project: ProjectId,
        request: Request,
    ) -> Result<Access> {
        if caller.expires_at.is_some_and(|end| end <= self.clock.now()) {
            return Err(Error::CredentialRefused);
        }
        if caller.project.as_ref().is_some_and(|scope| scope.id != project) {
            return Err(Error::Forbidden);
        }
        match self.project(&caller, project).await {
            Ok(found) if found.enabled && caller.user.is_admin => {
                Ok(Access::new(Actor::new(caller, request), project))
            }
            Ok(_) | Err(Error::ProjectNotFound(_)) => Err(Error::Forbidden),
            Err(other) => Err(other),
        }
    }
}

/// A scoped credential reaches its project only, an unscoped one those of its account.
pub(crate) fn may_use(caller: &Caller, project: &Project) -> bool {
    project.domain == caller.domain.id
        && caller.project.as_ref().is_none_or(|scope| scope.id == project.id)
}

async fn find_domain(tx: &mut Tx, wanted: &DomainRef) -> Result<Option<Domain>> {
    match wanted {
        DomainRef::Id(id) => tx.domains().find(*id).await,
        DomainRef::Name(name) => tx.domains().find_by_name(name).await,
    }
    .map_err(db("reading a domain"))
}

async fn find_user(tx: &mut Tx, wanted: &UserRef) -> Result<Option<(Domain, User)>> {
    match wanted {
        UserRef::Id(id) => {
            let user = tx.users().find(*id).await.map_err(db("reading a user"))?;
            let Some(user) = user else { return Ok(None) };
            let domain = find_domain(tx, &DomainRef::Id(user.domain)).await?;
            Ok(domain.map(|domain| (domain, user)))
        }
        UserRef::Name { domain, name } => {
            let Some(domain) = find_domain(tx, domain).await? else { return Ok(None) };
            let user = tx.users().find_by_name(domain.id, name).await;
            Ok(user.map_err(db("reading a user"))?.map(|user| (domain, user)))
        }
    }
}

async fn enabled_user(tx: &mut Tx, id: UserId) -> Result<(Domain, User)> {
    find_user(tx, &UserRef::Id(id))
        .await?
        .filter(|(_, user)| user.enabled)
        .ok_or(Error::CredentialRefused)
}

async fn enabled_project(tx: &mut Tx, id: ProjectId) -> Result<Option<Project>> {
    let project = tx.projects().find(id).await.map_err(db("reading a project"))?;
    Ok(project.filter(|project| project.enabled))
}

/// The project a login asks for; one that is not the user's refuses the login.
async fn scoped_project(tx: &mut Tx, own: &Domain, scope: &Scope) -> Result<Option<Project>> {
    let project = match scope {
        Scope::Unscoped => return Ok(None),
        Scope::Domain(wanted) => {
            let domain = find_domain(tx, wanted).await?.ok_or(Error::CredentialRefused)?;
            return if domain.id == own.id { Ok(None) } else { Err(Error::CredentialRefused) };
        }
        Scope::Project(id) => tx.projects().find(*id).await.map_err(db("reading a project"))?,
        Scope::ProjectName { domain, name } => {
            let domain = match domain {
                Some(wanted) => find_domain(tx, wanted).await?.ok_or(Error::CredentialRefused)?,
                None => own.clone(),
            };
            let found = tx.projects().find_by_name(domain.id, name).await;
            found.map_err(db("reading a project"))?
        }
    };
    project
        .filter(|project| project.enabled && project.domain == own.id)
        .map(Some)
        .ok_or(Error::CredentialRefused)
}
