//! Use cases of policies: those every account has, and those it makes for itself (IAM-04, IAM-08).

use cbr_db::Tx;
use cbr_model::identity::CustomRole;
use cbr_model::permission::{Document, SYSTEM_ROLES, SystemRole};
use cbr_model::{DomainId, RoleId};

use super::service::Identity;
use crate::access::AccountAccess;
use crate::audit::Subject;
use crate::error::db;
use crate::rules::identity::{CUSTOM_ROLES_MAX, check_description, check_name, check_room};
use crate::{Error, Result};

/// A policy, whoever made it.
#[derive(Clone, Debug)]
pub enum Role {
    /// One that every account has.
    System(&'static SystemRole),
    /// One that the account made.
    Custom(CustomRole),
}

impl Role {
    /// Its id.
    pub const fn id(&self) -> RoleId {
        match self {
            Self::System(role) => role.id(),
            Self::Custom(role) => role.id,
        }
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        match self {
            Self::System(role) => role.name,
            Self::Custom(role) => &role.name,
        }
    }

    /// Where it has an effect: in projects, or in the account as a whole.
    pub const fn is_for_projects(&self) -> bool {
        match self {
            Self::System(role) => role.is_for_projects,
            Self::Custom(role) => role.is_for_projects,
        }
    }
}

/// A policy to be made, or what one is to become.
#[derive(Clone, Debug)]
pub struct RoleText {
    /// Its name; unique in the account.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Free text in Chinese.
    pub description_cn: String,
    /// Where it has an effect: in projects, or in the account as a whole.
    pub is_for_projects: bool,
    /// What it says.
    pub document: Document,
}

impl RoleText {
    fn check(&self) -> Result<()> {
        check_name("display_name", &self.name)?;
        check_description(&self.description)?;
        check_description(&self.description_cn)
    }
}

impl Identity {
    /// All policies that can be granted in the account: those every account has, then its own by name.
    pub async fn roles(&self, access: &AccountAccess) -> Result<Vec<Role>> {
        let own = self.custom_roles(access).await?;
        Ok(SYSTEM_ROLES.iter().map(Role::System).chain(own.into_iter().map(Role::Custom)).collect())
    }

    /// One of them.
    pub async fn role(&self, access: &AccountAccess, id: RoleId) -> Result<Role> {
        let mut tx = self.db.read().await.map_err(db("reading a policy"))?;
        role_of(&mut tx, access.domain(), id).await
    }

    /// The policies that the account made, by name.
    pub async fn custom_roles(&self, access: &AccountAccess) -> Result<Vec<CustomRole>> {
        let doing = "listing policies";
        let mut tx = self.db.read().await.map_err(db(doing))?;
        tx.custom_roles().list(access.domain()).await.map_err(db(doing))
    }

    /// One of them.
    pub async fn custom_role(&self, access: &AccountAccess, id: RoleId) -> Result<CustomRole> {
        let mut tx = self.db.read().await.map_err(db("reading a policy"))?;
        custom_role_of(&mut tx, access.domain(), id).await
    }

    /// Makes a policy, which has no effect until it is granted.
    pub async fn create_role(&self, access: &AccountAccess, text: RoleText) -> Result<CustomRole> {
        let doing = "making a policy";
        text.check()?;
        let mut tx = self.change(access.actor(), doing).await?;
        let domain = access.domain();
        let others = tx.custom_roles().list(domain).await.map_err(db(doing))?;
        check_room("policies", others.len(), CUSTOM_ROLES_MAX)?;
        let now = tx.now();
        let role = CustomRole {
            id: RoleId::random(&*self.random),
            domain,
            name: text.name,
            description: text.description,
            description_cn: text.description_cn,
            is_for_projects: text.is_for_projects,
            document: text.document,
            created_at: now,
            updated_at: now,
        };
        refuse_taken(&others, &role)?;
        tx.custom_roles().insert(&role).await.map_err(db(doing))?;
        tx.commit(Subject::new(role.id, &role.name)).await?;
        Ok(role)
    }

    /// Replaces what a policy of the account says; at once for all it is granted to.
    pub async fn update_role(
        &self,
        access: &AccountAccess,
        id: RoleId,
        text: RoleText,
    ) -> Result<CustomRole> {
        let doing = "changing a policy";
        text.check()?;
        let mut tx = self.change(access.actor(), doing).await?;
        let before = custom_role_of(&mut tx, access.domain(), id).await?;
        let role = CustomRole {
            name: text.name,
            description: text.description,
            description_cn: text.description_cn,
            is_for_projects: text.is_for_projects,
            document: text.document,
            updated_at: tx.now(),
            ..before
        };
        if role.is_for_projects != before.is_for_projects {
            refuse_granted(&mut tx, &role, "its kind cannot change").await?;
        }
        let others = tx.custom_roles().list(role.domain).await.map_err(db(doing))?;
        refuse_taken(&others, &role)?;
        tx.custom_roles().update(&role).await.map_err(db(doing))?;
        tx.commit(Subject::new(role.id, &role.name)).await?;
        Ok(role)
    }

    /// Removes a policy of the account that is granted to nobody.
    pub async fn delete_role(&self, access: &AccountAccess, id: RoleId) -> Result<()> {
        let doing = "removing a policy";
        let mut tx = self.change(access.actor(), doing).await?;
        let role = custom_role_of(&mut tx, access.domain(), id).await?;
        refuse_granted(&mut tx, &role, "it cannot be removed").await?;
        tx.custom_roles().delete(role.domain, id).await.map_err(db(doing))?;
        tx.commit(Subject::new(id, &role.name)).await
    }
}

/// A policy that the account has; another account's looks like an absent one.
pub(super) async fn role_of(tx: &mut Tx, domain: DomainId, id: RoleId) -> Result<Role> {
    match SYSTEM_ROLES.iter().find(|role| role.id() == id) {
        Some(role) => Ok(Role::System(role)),
        None => custom_role_of(tx, domain, id).await.map(Role::Custom),
    }
}

async fn custom_role_of(tx: &mut Tx, domain: DomainId, id: RoleId) -> Result<CustomRole> {
    let role = tx.custom_roles().find(domain, id).await.map_err(db("reading a policy"))?;
    role.ok_or_else(|| Error::IdentityNotFound { noun: "policy", id: id.to_string() })
}

async fn refuse_granted(tx: &mut Tx, role: &CustomRole, what: &str) -> Result<()> {
    let count = tx.grants().count(role.id).await.map_err(db("counting grants"))?;
    if count == 0 {
        return Ok(());
    }
    let reason =
        format!("policy {} is granted {count} times; {what} before it is taken back", role.name);
    Err(Error::IdentityConflict { reason })
}

fn refuse_taken(others: &[CustomRole], role: &CustomRole) -> Result<()> {
    let is_other = |other: &CustomRole| other.name == role.name && other.id != role.id;
    let is_system = SYSTEM_ROLES.iter().any(|system| system.name == role.name);
    if is_system || others.iter().any(is_other) {
        return Err(Error::IdentityTaken { noun: "policy", name: role.name.clone() });
    }
    Ok(())
}
