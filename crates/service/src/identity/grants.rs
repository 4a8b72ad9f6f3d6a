//! Use cases of grants: which group or agency has which policy, and where (IAM-02).

use cbr_db::Tx;
use cbr_model::DomainId;
use cbr_model::identity::{Grant, GrantScope, Grantee};

use super::groups::group_of;
use super::roles::{Role, role_of};
use super::service::Identity;
use crate::access::AccountAccess;
use crate::audit::Subject;
use crate::error::db;
use crate::rules::identity::{GRANTS_MAX, check_room};
use crate::{Error, Result};

impl Identity {
    /// Grants a policy; what was granted already stays so.
    pub async fn grant(&self, access: &AccountAccess, grant: Grant) -> Result<()> {
        let doing = "granting a policy";
        let mut tx = self.change(access.actor(), doing).await?;
        let (name, role) = checked(&mut tx, access.domain(), &grant).await?;
        let is_for_account = grant.scope == GrantScope::Account;
        if role.is_for_projects() == is_for_account {
            let place = if is_for_account { "projects" } else { "the account as a whole" };
            let reason = format!("policy {} has an effect in {place}; grant it there", role.name());
            return Err(Error::invalid("role_id", reason));
        }
        let there_are = tx.grants().of(grant.to).await.map_err(db(doing))?.len();
        check_room("grants", there_are, GRANTS_MAX)?;
        tx.grants().insert(&grant).await.map_err(db(doing))?;
        tx.commit(subject(&grant, &name, &role)).await
    }

    /// Takes a grant back.
    pub async fn revoke(&self, access: &AccountAccess, grant: Grant) -> Result<()> {
        let doing = "taking a policy back";
        let mut tx = self.change(access.actor(), doing).await?;
        let (name, role) = checked(&mut tx, access.domain(), &grant).await?;
        if !tx.grants().delete(&grant).await.map_err(db(doing))? {
            return Err(absent(&grant));
        }
        tx.commit(subject(&grant, &name, &role)).await
    }

    /// Refuses unless exactly this is granted.
    pub async fn check_granted(&self, access: &AccountAccess, grant: Grant) -> Result<()> {
        let doing = "reading grants";
        let mut tx = self.db.read().await.map_err(db(doing))?;
        checked(&mut tx, access.domain(), &grant).await?;
        let granted = tx.grants().of(grant.to).await.map_err(db(doing))?;
        if granted.contains(&grant) { Ok(()) } else { Err(absent(&grant)) }
    }

    /// The policies granted to somebody in exactly one place.
    pub async fn granted(
        &self,
        access: &AccountAccess,
        to: Grantee,
        scope: GrantScope,
    ) -> Result<Vec<Role>> {
        let doing = "listing grants";
        let mut tx = self.db.read().await.map_err(db(doing))?;
        grantee_of(&mut tx, access.domain(), to).await?;
        scope_of(&mut tx, access.domain(), scope).await?;
        let mut roles = Vec::new();
        for grant in tx.grants().of(to).await.map_err(db(doing))? {
            if grant.scope == scope {
                roles.push(role_of(&mut tx, access.domain(), grant.role).await?);
            }
        }
        Ok(roles)
    }
}

/// Refuses what is not of the account; gives the name of whom it is about, and the policy.
async fn checked(tx: &mut Tx, domain: DomainId, grant: &Grant) -> Result<(String, Role)> {
    let name = grantee_of(tx, domain, grant.to).await?;
    scope_of(tx, domain, grant.scope).await?;
    Ok((name, role_of(tx, domain, grant.role).await?))
}

async fn grantee_of(tx: &mut Tx, domain: DomainId, to: Grantee) -> Result<String> {
    match to {
        Grantee::Group(id) => group_of(tx, domain, id).await.map(|group| group.name),
        Grantee::Agency(id) => {
            let agency = tx.agencies().find(id).await.map_err(db("reading an agency"))?;
            agency
                .filter(|agency| agency.domain == domain)
                .map(|agency| agency.name)
                .ok_or_else(|| Error::IdentityNotFound { noun: "agency", id: id.to_string() })
        }
    }
}

async fn scope_of(tx: &mut Tx, domain: DomainId, scope: GrantScope) -> Result<()> {
    let GrantScope::Project(id) = scope else { return Ok(()) };
    let project = tx.projects().find(id).await.map_err(db("reading a project"))?;
    project.filter(|project| project.domain == domain).map(drop).ok_or(Error::ProjectNotFound(id))
}

fn subject(grant: &Grant, name: &str, role: &Role) -> Subject {
    let place = match grant.scope {
        GrantScope::Account => "account".to_owned(),
        GrantScope::AllProjects => "all projects".to_owned(),
        GrantScope::Project(id) => id.to_string(),
    };
    Subject::new(role.id(), format!("{} to {name} in {place}", role.name()))
}

fn absent(grant: &Grant) -> Error {
    Error::IdentityNotFound { noun: "grant of policy", id: grant.role.to_string() }
}
