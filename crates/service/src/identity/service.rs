//! Accounts and projects, and how the first of them comes to be.

use std::sync::Arc;
use std::time::Duration;

use cbr_db::{AccessKey, Db, Tx};
use cbr_env::{Clock, Random};
use cbr_model::identity::{Caller, Domain, GrantScope, Project, User};
use cbr_model::{DomainId, ProjectId, UserId};
use zeroize::Zeroizing;

use super::credentials::{Bootstrapped, FirstAccount};
use super::password::{Passwords, random_text};
use super::permit::permissions;
use super::seal::SealingKey;
use super::sessions::{ISSUED_PER_MINUTE, still_good};
use crate::access::Actor;
use crate::audit::{Change, Refusals};
use crate::error::db;
use crate::rate::PerWindow;
use crate::{Error, Result};

/// How long a token is good.
pub const TOKEN_SECONDS: i64 = 24 * 60 * 60;

/// Setting: the project that the providers' resources belong to.
pub(crate) const PROVIDER_PROJECT: &str = "provider.project";
/// Setting: the first account exists.
const BOOTSTRAPPED: &str = "identity.bootstrapped";

const PASSWORD_CHARS: usize = 20;
pub(super) const ACCESS_KEY_CHARS: usize = 20;
pub(super) const SECRET_KEY_CHARS: usize = 40;

/// What the administrator of a new account will log in with.
pub(super) struct NewSecrets {
    password: Zeroizing<String>,
    phc: String,
    access_key: String,
    secret_key: Zeroizing<String>,
}

impl NewSecrets {
    /// The account as it is told to whoever asked for it.
    pub(super) fn told(self, domain: DomainId, project: ProjectId, user: UserId) -> Bootstrapped {
        let Self { password, phc: _, access_key, secret_key } = self;
        Bootstrapped { domain, project, user, password, access_key, secret_key }
    }
}

/// Use cases of accounts, projects, users, tokens and access keys.
#[derive(Debug)]
pub struct Identity {
    pub(super) db: Arc<Db>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) key: Arc<SealingKey>,
    pub(super) passwords: Passwords,
    pub(super) refusals: Refusals,
    /// Tokens and temporary keys that users get.
    pub(super) issuing: PerWindow<UserId>,
}

impl Identity {
    pub(crate) fn new(
        db: Arc<Db>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        key: Arc<SealingKey>,
    ) -> Self {
        let refusals = Refusals::new(Arc::clone(&db), Arc::clone(&clock), Arc::clone(&random));
        let issuing = PerWindow::new(ISSUED_PER_MINUTE, Duration::from_mins(1));
        Self { db, clock, random, key, passwords: Passwords::default(), refusals, issuing }
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
        let secrets = self.new_secrets().await?;

        let mut tx = self.db.begin().await.map_err(db("creating the first account"))?;
        if tx.settings().find(BOOTSTRAPPED).await.map_err(db("reading a setting"))?.is_some() {
            return Ok(None);
        }
        let domain = self.first_domain(&mut tx, &wanted.domain_name).await?;
        let project = self.first_project(&mut tx, domain, &wanted.project_name).await?;
        let user = self.administrator(&mut tx, domain, &wanted.user_name, &secrets).await?;
        for (setting, value) in [(BOOTSTRAPPED, "1"), (PROVIDER_PROJECT, &project.to_string())] {
            tx.settings().set(setting, value).await.map_err(db("writing a setting"))?;
        }
        let made = secrets.told(domain, project, user);
        keep(&made).map_err(Error::internal("keeping the secrets of the first account"))?;
        tx.commit().await.map_err(db("creating the first account"))?;
        Ok(Some(made))
    }

    /// What the administrator of a new account will log in with.
    pub(super) async fn new_secrets(&self) -> Result<NewSecrets> {
        let password = random_text(&*self.random, PASSWORD_CHARS);
        let phc = self.passwords.hash(password.clone(), &*self.random).await?;
        Ok(self.secrets(password, phc))
    }

    /// The same with a password that whoever asks has chosen: it knows that one, also when the answer
    /// is lost.
    pub(super) async fn chosen_secrets(
        &self,
        password: Zeroizing<String>,
        user: &str,
    ) -> Result<NewSecrets> {
        let phc = self.hashed(password.clone(), user).await?;
        Ok(self.secrets(password, phc))
    }

    fn secrets(&self, password: Zeroizing<String>, phc: String) -> NewSecrets {
        let access_key = random_text(&*self.random, ACCESS_KEY_CHARS).to_uppercase();
        let secret_key = random_text(&*self.random, SECRET_KEY_CHARS);
        NewSecrets { password, phc, access_key, secret_key }
    }

    /// Adds the administrator of an account, with a password and an access key.
    pub(super) async fn administrator(
        &self,
        tx: &mut Tx,
        domain: DomainId,
        name: &str,
        secrets: &NewSecrets,
    ) -> Result<UserId> {
        let random = &*self.random;
        let user = User {
            id: UserId::random(random),
            domain,
            name: name.to_owned(),
            enabled: true,
            is_admin: true,
            description: String::new(),
            email: String::new(),
            created_at: tx.now(),
        };
        tx.users().insert(&user, Some(&secrets.phc)).await.map_err(db("adding a user"))?;
        let key = AccessKey {
            ak: secrets.access_key.clone(),
            user: user.id,
            sealed_secret: self.key.seal(&secrets.access_key, &secrets.secret_key, random),
            enabled: true,
            description: "first".to_owned(),
            created_at: tx.now(),
            last_used_at: None,
        };
        tx.access_keys().insert(&key).await.map_err(db("adding an access key"))?;
        Ok(user.id)
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

    /// Begins a transaction in which `actor` changes something of its account; it ends with a
    /// record of it. Its credential and what it was granted are looked at again, because most of what
    /// is changed here are credentials and grants, and what was taken back while this waited must not
    /// live on in another.
    pub(super) async fn change<'a>(
        &self,
        actor: &'a Actor,
        doing: &'static str,
    ) -> Result<Change<'a>> {
        let mut change = Change::begin((&*self.db, &self.random), actor, None, doing).await?;
        still_good(&mut change, actor.caller()).await?;
        if let Some(action) = actor.rests_on() {
            permissions(&mut change, actor.caller(), GrantScope::Account).await?.require(action)?;
        }
        Ok(change)
    }
}

/// A scoped credential reaches its project only, an unscoped one those of its account.
pub(crate) fn may_use(caller: &Caller, project: &Project) -> bool {
    project.domain == caller.domain.id
        && caller.project.as_ref().is_none_or(|scope| scope.id == project.id)
}
