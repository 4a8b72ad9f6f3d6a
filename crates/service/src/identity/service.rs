//! Accounts, projects, users, passwords, tokens and access keys.

use cbr_model::ProjectId;
use cbr_model::identity::{Caller, Project};

use super::credentials::{
    Bootstrapped, FirstAccount, IssuedToken, Login, SigningKey, VerifiedToken,
};
use crate::{Access, Error, Result};

/// How long a token is good.
pub const TOKEN_SECONDS: i64 = 24 * 60 * 60;

/// Who uses the service, and with what proof.
#[derive(Debug)]
pub struct Identity {}

impl Identity {
    /// Creates the first account if there is none; `None`: there is one already.
    pub async fn bootstrap(&self, wanted: &FirstAccount) -> Result<Option<Bootstrapped>> {
        let _ = wanted;
        Err(later("bootstrapping"))
    }

    /// Checks a password and issues a token.
    pub async fn login(&self, login: Login) -> Result<IssuedToken> {
        let _ = login;
        Err(later("logging in"))
    }

    /// Whom the token speaks for, if it is good.
    pub async fn verify_token(&self, secret: &str) -> Result<VerifiedToken> {
        let _ = secret;
        Err(later("verifying a token"))
    }

    /// Makes a token useless. One that is not good is fine.
    pub async fn revoke_token(&self, secret: &str) -> Result<()> {
        let _ = secret;
        Err(later("revoking a token"))
    }

    /// The secret and owner of an access key, if it is good.
    pub async fn access_key(&self, access_key: &str) -> Result<SigningKey> {
        let _ = access_key;
        Err(later("reading an access key"))
    }

    /// The projects the caller may use, in order of their names; `name`: only the one of that name.
    pub async fn projects(&self, caller: &Caller, name: Option<&str>) -> Result<Vec<Project>> {
        let _ = (caller, name);
        Err(later("listing projects"))
    }

    /// One project the caller may use.
    pub async fn project(&self, caller: &Caller, id: ProjectId) -> Result<Project> {
        let _ = (caller, id);
        Err(later("reading a project"))
    }

    /// Lets the caller into a project it may use; another one looks like an absent one.
    pub async fn access(
        &self,
        caller: Caller,
        project: ProjectId,
        request_id: String,
    ) -> Result<Access> {
        let _ = Access::new(caller, project, request_id);
        Err(later("checking access"))
    }
}

fn later(doing: &'static str) -> Error {
    Error::internal(doing)("first phase")
}
