//! Use cases of groups and who is in them (IAM-01).

use cbr_db::Tx;
use cbr_model::identity::{Group, User};
use cbr_model::{DomainId, GroupId, UserId};

use super::service::Identity;
use super::users::user_of;
use crate::access::AccountAccess;
use crate::audit::Subject;
use crate::error::db;
use crate::rules::identity::{GROUPS_MAX, check_description, check_name, check_room};
use crate::{Error, Result};

impl Identity {
    /// Makes a group, which is granted nothing yet.
    pub async fn create_group(
        &self,
        access: &AccountAccess,
        name: String,
        description: String,
    ) -> Result<Group> {
        let doing = "making a group";
        check_name("name", &name)?;
        check_description(&description)?;
        let mut tx = self.change(access.actor(), doing).await?;
        let domain = access.domain();
        let others = tx.groups().list(domain).await.map_err(db(doing))?;
        check_room("groups", others.len(), GROUPS_MAX)?;
        refuse_taken(&others, &name)?;
        let id = GroupId::random(&*self.random);
        let group = Group { id, domain, name, description, created_at: tx.now() };
        tx.groups().insert(&group).await.map_err(db(doing))?;
        tx.commit(Subject::new(group.id, &group.name)).await?;
        Ok(group)
    }

    /// The groups of the account, by name.
    pub async fn groups(&self, access: &AccountAccess) -> Result<Vec<Group>> {
        let doing = "listing groups";
        let mut tx = self.db.read().await.map_err(db(doing))?;
        tx.groups().list(access.domain()).await.map_err(db(doing))
    }

    /// A group of the account.
    pub async fn group(&self, access: &AccountAccess, id: GroupId) -> Result<Group> {
        let mut tx = self.db.read().await.map_err(db("reading a group"))?;
        group_of(&mut tx, access.domain(), id).await
    }

    /// Changes what is named.
    pub async fn update_group(
        &self,
        access: &AccountAccess,
        id: GroupId,
        name: Option<String>,
        description: Option<String>,
    ) -> Result<Group> {
        let doing = "changing a group";
        let mut tx = self.change(access.actor(), doing).await?;
        let mut group = group_of(&mut tx, access.domain(), id).await?;
        if let Some(name) = name.filter(|name| *name != group.name) {
            check_name("name", &name)?;
            refuse_taken(&tx.groups().list(group.domain).await.map_err(db(doing))?, &name)?;
            group.name = name;
        }
        if let Some(description) = description {
            check_description(&description)?;
            group.description = description;
        }
        tx.groups().update(&group).await.map_err(db(doing))?;
        tx.commit(Subject::new(group.id, &group.name)).await?;
        Ok(group)
    }

    /// Removes a group with all it was granted; its users stay.
    pub async fn delete_group(&self, access: &AccountAccess, id: GroupId) -> Result<()> {
        let doing = "removing a group";
        let mut tx = self.change(access.actor(), doing).await?;
        let group = group_of(&mut tx, access.domain(), id).await?;
        tx.groups().delete(group.domain, id).await.map_err(db(doing))?;
        tx.commit(Subject::new(id, &group.name)).await
    }

    /// Puts a user into a group; it may be there already.
    pub async fn add_to_group(
        &self,
        access: &AccountAccess,
        group: GroupId,
        user: UserId,
    ) -> Result<()> {
        let doing = "adding a user to a group";
        let mut tx = self.change(access.actor(), doing).await?;
        let group = group_of(&mut tx, access.domain(), group).await?;
        let user = user_of(&mut tx, access.domain(), user).await?;
        tx.groups().add_member(group.id, user.id).await.map_err(db(doing))?;
        tx.commit(Subject::new(group.id, format!("{}/{}", group.name, user.name))).await
    }

    /// Takes a user out of a group.
    pub async fn remove_from_group(
        &self,
        access: &AccountAccess,
        group: GroupId,
        user: UserId,
    ) -> Result<()> {
        let doing = "removing a user from a group";
        let mut tx = self.change(access.actor(), doing).await?;
        let group = group_of(&mut tx, access.domain(), group).await?;
        let user = user_of(&mut tx, access.domain(), user).await?;
        if !tx.groups().remove_member(group.id, user.id).await.map_err(db(doing))? {
            return Err(no_member(user.id));
        }
        tx.commit(Subject::new(group.id, format!("{}/{}", group.name, user.name))).await
    }

    /// Refuses unless the user is in the group.
    pub async fn check_in_group(
        &self,
        access: &AccountAccess,
        group: GroupId,
        user: UserId,
    ) -> Result<()> {
        let doing = "reading a group";
        let mut tx = self.db.read().await.map_err(db(doing))?;
        let group = group_of(&mut tx, access.domain(), group).await?;
        let user = user_of(&mut tx, access.domain(), user).await?;
        let is_in = tx.groups().has_member(group.id, user.id).await.map_err(db(doing))?;
        if is_in { Ok(()) } else { Err(no_member(user.id)) }
    }

    /// The users in a group, by name.
    pub async fn users_in_group(&self, access: &AccountAccess, id: GroupId) -> Result<Vec<User>> {
        let doing = "listing the users of a group";
        let mut tx = self.db.read().await.map_err(db(doing))?;
        group_of(&mut tx, access.domain(), id).await?;
        tx.groups().members(id).await.map_err(db(doing))
    }
}

/// A group of the account; another account's looks like an absent one.
pub(super) async fn group_of(tx: &mut Tx, domain: DomainId, id: GroupId) -> Result<Group> {
    let group = tx.groups().find(domain, id).await.map_err(db("reading a group"))?;
    group.ok_or_else(|| Error::IdentityNotFound { noun: "group", id: id.to_string() })
}

fn refuse_taken(others: &[Group], name: &str) -> Result<()> {
    if others.iter().any(|other| other.name == name) {
        return Err(Error::IdentityTaken { noun: "group", name: name.to_owned() });
    }
    Ok(())
}

fn no_member(user: UserId) -> Error {
    Error::IdentityNotFound { noun: "member", id: user.to_string() }
}
