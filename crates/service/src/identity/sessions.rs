//! Use cases of logins and tokens.
//!
//! A refused credential says nothing about why: unknown user, wrong password and
//! barred account look alike and cost alike.

use std::net::IpAddr;

use cbr_db::{Token, Tx};
use cbr_model::identity::{Caller, Credential, Domain, GrantScope, Project, User};
use cbr_model::{AgencyId, ProjectId, UserId};
use zeroize::Zeroizing;

use super::attempts::Attempt;
use super::credentials::{DomainRef, IssuedToken, Login, Scope, UserRef, VerifiedToken};
use super::password::{Passwords, random_text};
use super::permit::permissions;
use super::seal::token_digest;
use super::service::{Identity, TOKEN_SECONDS};
use crate::access::{Actor, Request};
use crate::audit::{Refused, Subject};
use crate::error::db;
use crate::{Error, Result};

const TOKEN_CHARS: usize = 64;
/// So many tokens of a user are good at a time; with one more the oldest ends.
const TOKENS_MAX: u64 = 1000;
/// So many tokens and temporary keys a user gets in a minute, on each node.
pub(super) const ISSUED_PER_MINUTE: u32 = 120;
/// For so long failed logins are remembered, in seconds; they count for a part of it.
const FAILURES_KEPT_SECONDS: i64 = 24 * 60 * 60;
/// What who acts through agencies needs in its own account.
pub(super) const ASSUME: &str = "iam:agencies:assume";

/// What a login must show besides the password.
#[derive(Debug)]
pub(super) enum SecondFactor {
    /// Nothing: whoever asks is known already.
    NotAsked,
    /// This code, if the user has a device and it is required.
    Code(Option<Zeroizing<String>>),
}

/// A password that was right.
pub(super) struct Proof {
    /// What was kept of it then.
    phc: Option<String>,
    /// A code of the second factor was right as well.
    has_code: bool,
}

impl Identity {
    /// Checks a password, and a second factor where one is required, and issues a token.
    pub async fn login(&self, login: Login, request: Request) -> Result<IssuedToken> {
        let doing = "logging in";
        if !Passwords::is_possible(&login.password) {
            // Whoever it is said to be: nothing is looked up, so nothing is told.
            return Err(Error::CredentialRefused);
        }
        let mut tx = self.db.read().await.map_err(db(doing))?;
        let found = find_user(&mut tx, &login.user).await?;
        let Some((domain, user)) = found else {
            drop(tx);
            // Costs what a wrong password costs.
            self.passwords.is_right(login.password, None).await?;
            drop(self.db.begin().await.map_err(db(doing))?);
            return Err(Error::CredentialRefused);
        };
        let attempt = Attempt::known(&mut tx, user.id, request.source_ip).await;
        let was_locked = attempt.map_err(db(doing))?.is_locked(&tx);
        drop(tx);
        let proven = self.proven_login(&domain, &user, login, request.source_ip).await;
        let (proof, project) = match proven {
            Err(error @ (Error::CredentialRefused | Error::SecondFactorNeeded)) => {
                // That it is locked was recorded when it came to be.
                if !was_locked {
                    self.note_failed_login((&domain, &user), &request).await;
                }
                return Err(error);
            }
            proven => proven?,
        };
        let methods = if proof.has_code { "password,totp" } else { "password" };
        let caller = Caller { project, ..whole_caller(domain, user, None) };
        self.issue(caller, methods, Some(&proof), request).await
    }

    /// Checks all that a login of this user shows, and finds the project it is for.
    async fn proven_login(
        &self,
        domain: &Domain,
        user: &User,
        login: Login,
        source: Option<IpAddr>,
    ) -> Result<(Proof, Option<Project>)> {
        let factor = SecondFactor::Code(login.passcode);
        let proof = self.prove(user, login.password, factor, source).await?;
        let mut tx = self.db.read().await.map_err(db("logging in"))?;
        Ok((proof, scoped_project(&mut tx, domain, &login.scope).await?))
    }

    /// Records that a login of a user failed. Which part was wrong is not told, so nothing is: what
    /// was typed may be a password in the wrong place.
    async fn note_failed_login(&self, (domain, user): (&Domain, &User), request: &Request) {
        let Some(event) = request.event else { return };
        let (is_proven, project) = (false, None);
        let refused = Refused { domain, user, is_proven, project, event, status: 401, request };
        self.note_refused(refused).await;
    }

    /// Records that something was refused to somebody who is known, within a limit. Nobody is kept out,
    /// or let in, because it could not be recorded.
    pub async fn note_refused(&self, refused: Refused<'_>) {
        if let Err(error) = self.refusals.record(refused).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a refusal was not recorded");
        }
    }

    /// Issues a token for `caller`, until its credential ends but at most for a day; not if the
    /// password that was shown, or else the credential, is void by now.
    pub(super) async fn issue(
        &self,
        caller: Caller,
        methods: &str,
        proof: Option<&Proof>,
        request: Request,
    ) -> Result<IssuedToken> {
        self.refuse_too_many(&caller)?;
        let actor = Actor::new(caller, request);
        let mut tx = self.change(&actor, "issuing a token").await?;
        if let Some(proof) = proof {
            let phc = tx.users().password(actor.caller().user.id).await;
            if phc.map_err(db("reading a password"))? != proof.phc {
                return Err(Error::CredentialRefused);
            }
        }
        let issued_at = tx.now();
        let longest = issued_at.plus_seconds(TOKEN_SECONDS);
        let mut caller = actor.caller().clone();
        let expires_at = caller.expires_at.map_or(longest, |end| end.min(longest));
        caller.expires_at = Some(expires_at);
        let secret = random_text(&*self.random, TOKEN_CHARS);
        let digest = token_digest(&secret);
        let made_with = std::mem::replace(&mut caller.credential, Credential::Token(digest));
        let token = Token {
            digest,
            user: caller.user.id,
            project: caller.project.as_ref().map(|project| project.id),
            agency: caller.agency,
            methods: methods.to_owned(),
            made_with,
            issued_at,
            expires_at,
        };
        tx.tokens().insert(&token).await.map_err(db("adding a token"))?;
        let kept = tx.tokens().keep_newest(token.user, TOKENS_MAX).await;
        kept.map_err(db("forgetting old tokens"))?;
        if tx.tokens().find(digest).await.map_err(db("reading a token"))?.is_none() {
            // It went with the oldest of its chain: log in anew. Nothing of this remains.
            return Err(Error::Busy);
        }
        tx.record_at_home().await?;
        tx.commit(Subject::new(caller.user.id, &caller.user.name)).await?;
        Ok(IssuedToken { secret, issued_at, caller, methods: methods.to_owned() })
    }

    /// Refuses unless `user` may log in and `password` is its own. Failures are counted, and too
    /// many refuse even what is right for a while.
    pub(super) async fn prove(
        &self,
        user: &User,
        password: Zeroizing<String>,
        factor: SecondFactor,
        source: Option<IpAddr>,
    ) -> Result<Proof> {
        let doing = "checking a password";
        let mut tx = self.db.read().await.map_err(db(doing))?;
        let phc = tx.users().password(user.id).await.map_err(db(doing))?;
        drop(tx);
        let is_right = self.passwords.is_right(password, phc.clone()).await? && user.enabled;

        // Counted one after the other, so that guesses at the same time count as well.
        let mut tx = self.db.begin().await.map_err(db(doing))?;
        let attempt = Attempt::known(&mut tx, user.id, source).await.map_err(db(doing))?;
        if attempt.is_locked(&tx) {
            return Err(Error::CredentialRefused);
        }
        let proven = match factor {
            _ if !is_right => Err(Error::CredentialRefused),
            SecondFactor::NotAsked => return Ok(Proof { phc, has_code: false }),
            SecondFactor::Code(code) => self.check_code(&mut tx, user.id, code).await,
        };
        match &proven {
            Ok(_) => attempt.succeeded(&mut tx).await.map_err(db(doing))?,
            Err(Error::CredentialRefused) => attempt.failed(&mut tx).await.map_err(db(doing))?,
            Err(_) => return proven.map(|has_code| Proof { phc, has_code }),
        }
        tx.commit().await.map_err(db(doing))?;
        proven.map(|has_code| Proof { phc, has_code })
    }

    /// Whom the token speaks for, if it is good.
    pub async fn verify_token(&self, secret: &str) -> Result<VerifiedToken> {
        let mut tx = self.db.read().await.map_err(db("verifying a token"))?;
        let digest = token_digest(secret);
        let token = tx.tokens().find(digest).await.map_err(db("reading a token"))?;
        let token = token.ok_or(Error::CredentialRefused)?;
        let mut caller = caller_of(&mut tx, token.user, token.agency).await?;
        caller.project = match token.project {
            Some(id) => Some(enabled_project(&mut tx, id).await?.ok_or(Error::CredentialRefused)?),
            None => None,
        };
        caller.expires_at = Some(token.expires_at);
        caller.credential = Credential::Token(digest);
        Ok(VerifiedToken { issued_at: token.issued_at, caller, methods: token.methods })
    }

    /// Makes a token of `subject` useless, and all that was made with it, for `caller`. One that is not good is fine.
    pub async fn revoke_token(
        &self,
        (caller, request): (Caller, Request),
        subject: &User,
        secret: &str,
    ) -> Result<()> {
        let actor = Actor::new(caller, request);
        let mut tx = self.change(&actor, "revoking a token").await?;
        tx.tokens().delete(token_digest(secret)).await.map_err(db("deleting a token"))?;
        tx.commit(Subject::new(subject.id, &subject.name)).await
    }

    /// Whoever may make credentials does not fill the database with them.
    pub(super) fn refuse_too_many(&self, caller: &Caller) -> Result<()> {
        if self.issuing.admits(caller.user.id, &*self.clock) { Ok(()) } else { Err(Error::Busy) }
    }

    /// Forgets tokens, temporary keys, used signatures and failed logins that are over; says how many.
    pub(crate) async fn sweep_tokens(&self) -> Result<u64> {
        let mut tx = self.db.begin().await.map_err(db("sweeping tokens"))?;
        let swept = tx.tokens().delete_expired().await.map_err(db("deleting tokens"))?;
        let keys = tx.temporary_keys().delete_expired().await.map_err(db("deleting keys"))?;
        tx.used_signatures().delete_expired().await.map_err(db("deleting signatures"))?;
        let before = tx.now().plus_seconds(-FAILURES_KEPT_SECONDS);
        tx.login_failures().delete_old(before).await.map_err(db("forgetting failed logins"))?;
        tx.commit().await.map_err(db("sweeping tokens"))?;
        Ok(swept + keys)
    }
}

pub(super) async fn find_domain(tx: &mut Tx, wanted: &DomainRef) -> Result<Option<Domain>> {
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

/// Whom a stored credential speaks for now: its user must still be allowed to log in, and where it is
/// for an agency, that must still trust the user's account, and the account the user.
pub(super) async fn caller_of(
    tx: &mut Tx,
    user: UserId,
    agency: Option<AgencyId>,
) -> Result<Caller> {
    let found = find_user(tx, &UserRef::Id(user)).await?.filter(|(_, user)| user.enabled);
    let (own, user) = found.ok_or(Error::CredentialRefused)?;
    let domain = match agency {
        None => own,
        Some(id) => {
            let agency = tx.agencies().find(id).await.map_err(db("reading an agency"))?;
            let now = tx.now();
            let agency = agency
                .filter(|agency| agency.trusted.id == own.id)
                .filter(|agency| agency.expires_at.is_none_or(|end| now < end))
                .ok_or(Error::CredentialRefused)?;
            let home = whole_caller(own, user.clone(), None);
            if !permissions(tx, &home, GrantScope::Account).await?.allow(ASSUME) {
                return Err(Error::CredentialRefused);
            }
            let domain = find_domain(tx, &DomainRef::Id(agency.domain)).await?;
            domain.ok_or(Error::CredentialRefused)?
        }
    };
    Ok(whole_caller(domain, user, agency))
}

/// A caller whose credential is not narrowed in any way.
const fn whole_caller(domain: Domain, user: User, agency: Option<AgencyId>) -> Caller {
    Caller {
        domain,
        user,
        project: None,
        expires_at: None,
        agency,
        narrowed_to: None,
        credential: Credential::Password,
    }
}

/// Refuses unless the credential of `caller` is good in this transaction: it was checked in another one,
/// and somebody may have taken it back since. Of a password the caller says itself whether it is.
pub(super) async fn still_good(tx: &mut Tx, caller: &Caller) -> Result<()> {
    let doing = "looking at a credential again";
    let is_there = match &caller.credential {
        Credential::Password => true,
        Credential::Token(digest) => tx.tokens().find(*digest).await.map_err(db(doing))?.is_some(),
        Credential::AccessKey(ak) => {
            tx.access_keys().find(ak).await.map_err(db(doing))?.is_some_and(|key| key.enabled)
        }
        Credential::TemporaryKey(ak) => {
            tx.temporary_keys().find(ak).await.map_err(db(doing))?.is_some()
        }
    };
    if !is_there {
        return Err(Error::CredentialRefused);
    }
    // Neither the user nor the trust that it acts by was taken back.
    caller_of(tx, caller.user.id, caller.agency).await.map(drop)
}

pub(super) async fn enabled_project(tx: &mut Tx, id: ProjectId) -> Result<Option<Project>> {
    let project = tx.projects().find(id).await.map_err(db("reading a project"))?;
    Ok(project.filter(|project| project.enabled))
}

/// The project a login asks for; one that is not the account's refuses the login.
pub(super) async fn scoped_project(
    tx: &mut Tx,
    own: &Domain,
    scope: &Scope,
) -> Result<Option<Project>> {
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
