//! Who may do what: what a caller was granted, and the doors that ask for it (IAM-01, IAM-02).
//!
//! Grants are read anew for every request, so a change has its effect with the next one.

use cbr_db::Tx;
use cbr_model::ProjectId;
use cbr_model::identity::{Caller, GrantScope, Project};
use cbr_model::permission::{Decision, Document, SYSTEM_ROLES, decide};

use super::service::{Identity, may_use};
use crate::access::{AccountAccess, Actor, OwnAccess, Request};
use crate::error::db;
use crate::{Access, Error, Result};

/// Actions whose operations are called in one project and have their effect in all (contract C45 to C50).
const OF_ALL_PROJECTS: &str = "cbr:organizationPolicies:";

/// What a caller may do in one place.
#[derive(Debug)]
pub(crate) struct Permissions {
    /// Everything: the administrator of the account.
    everything: bool,
    granted: Vec<Document>,
    /// What the credential was narrowed to.
    narrowed_to: Option<Document>,
}

impl Permissions {
    /// Refuses what is not allowed.
    pub(crate) fn require(&self, action: &str) -> Result<()> {
        if self.allow(action) {
            Ok(())
        } else {
            Err(Error::ActionDenied { action: action.to_owned() })
        }
    }

    pub(super) fn allow(&self, action: &str) -> bool {
        self.decide(action).is_allowed()
    }

    fn decide(&self, action: &str) -> Decision {
        let is_cut_off = |document| !decide([document], action).is_allowed();
        if self.narrowed_to.as_ref().is_some_and(is_cut_off) {
            return Decision::Denied;
        }
        if self.everything { Decision::Allowed } else { decide(&self.granted, action) }
    }
}

impl Identity {
    /// Lets the caller into a project it may use, for `action` if the operation needs one;
    /// another's project looks like an absent one.
    pub async fn access(
        &self,
        caller: Caller,
        project: ProjectId,
        action: Option<&str>,
        request: Request,
    ) -> Result<Access> {
        let doing = "letting somebody into a project";
        self.refuse_expired(&caller)?;
        let mut tx = self.db.read().await.map_err(db(doing))?;
        let found = tx.projects().find(project).await.map_err(db(doing))?;
        let is_open = |found: &Project| found.enabled && may_use(&caller, found);
        found.filter(is_open).ok_or(Error::Forbidden)?;
        let here = permissions(&mut tx, &caller, GrantScope::Project(project)).await?;
        if let Some(action) = action {
            // Who is denied it here is denied it, whatever is said elsewhere (IAM-11).
            here.require(action)?;
            if action.starts_with(OF_ALL_PROJECTS) {
                // What changes every project of the account is not granted in one of them.
                permissions(&mut tx, &caller, GrantScope::AllProjects).await?.require(action)?;
            }
        }
        Ok(Access::new(Actor::new(caller, request), project, here))
    }

    /// Lets the caller do `action` in its account as a whole.
    pub async fn account(
        &self,
        caller: Caller,
        action: &str,
        request: Request,
    ) -> Result<AccountAccess> {
        if self.may_in_account(&caller, action).await? {
            Ok(AccountAccess::new(Actor::new(caller, request).permitted(action)))
        } else {
            Err(Error::ActionDenied { action: action.to_owned() })
        }
    }

    /// Lets the caller do to itself what it needs `action` for to do to others. Nobody has to grant
    /// it that, but somebody may have denied it (IAM-11).
    pub async fn own(&self, caller: Caller, action: &str, request: Request) -> Result<OwnAccess> {
        let decided = self.decided_in_account(&caller, action).await?;
        if decided == Decision::Denied {
            return Err(Error::ActionDenied { action: action.to_owned() });
        }
        // A credential for one project is not good for the account as a whole.
        let is_permitted = decided.is_allowed() && caller.project.is_none();
        let actor = Actor::new(caller, request);
        let actor = if is_permitted { actor.permitted(action) } else { actor };
        Ok(OwnAccess::new(actor, is_permitted))
    }

    /// A credential for one project is not good for the account as a whole.
    pub(super) async fn may_in_account(&self, caller: &Caller, action: &str) -> Result<bool> {
        let decided = self.decided_in_account(caller, action).await?;
        Ok(decided.is_allowed() && caller.project.is_none())
    }

    async fn decided_in_account(&self, caller: &Caller, action: &str) -> Result<Decision> {
        self.refuse_expired(caller)?;
        let mut tx = self.db.read().await.map_err(db("reading grants"))?;
        Ok(permissions(&mut tx, caller, GrantScope::Account).await?.decide(action))
    }

    fn refuse_expired(&self, caller: &Caller) -> Result<()> {
        if caller.expires_at.is_some_and(|end| end <= self.clock.now()) {
            return Err(Error::CredentialRefused);
        }
        Ok(())
    }
}

/// Refuses a credential that ends, is borrowed, or is for one project: out of those nothing whole and
/// lasting is made – no password, no key, no second factor.
pub(super) fn require_lasting(caller: &Caller) -> Result<()> {
    if caller.is_temporary_key() || caller.agency.is_some() || caller.project.is_some() {
        return Err(Error::Forbidden);
    }
    Ok(())
}

/// What the caller was granted there.
pub(super) async fn permissions(
    tx: &mut Tx,
    caller: &Caller,
    place: GrantScope,
) -> Result<Permissions> {
    let doing = "reading grants";
    let narrowed_to = caller.narrowed_to.clone();
    if caller.is_administrator() {
        return Ok(Permissions { everything: true, granted: Vec::new(), narrowed_to });
    }
    let domain = caller.domain.id;
    let roles = match caller.agency {
        Some(agency) => tx.grants().roles_of_agency(agency, place).await,
        None => tx.grants().roles_of_user(domain, caller.user.id, place).await,
    };
    let mut custom = Vec::new();
    let mut granted = Vec::new();
    for role in roles.map_err(db(doing))? {
        match SYSTEM_ROLES.iter().find(|known| known.id() == role) {
            Some(known) => granted.push(known.document()),
            None => custom.push(role),
        }
    }
    granted.extend(tx.custom_roles().documents(domain, &custom).await.map_err(db(doing))?);
    Ok(Permissions { everything: false, granted, narrowed_to })
}
