//! Tables `user_groups` and `group_members`.

use cbr_model::identity::{Group, User};
use cbr_model::{DomainId, GroupId, UserId};

use crate::error::DbError;
use crate::row::Row;
use crate::sql::Sql;
use crate::tx::Tx;
use crate::users::user;

/// The table of groups, with their members.
#[derive(Debug)]
pub struct Groups<'t> {
    pub(crate) tx: &'t mut Tx,
}

impl Groups<'_> {
    /// Adds a group. [`DbError::Taken`] when the account has one with its name.
    pub async fn insert(&mut self, group: &Group) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO user_groups (id, domain_id, name, description, created_at)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(group.id)
        .bind(group.domain)
        .bind(&group.name)
        .bind(&group.description)
        .bind(group.created_at);
        self.tx.execute("groups.insert", sql).await.map(drop)
    }

    /// An account's group.
    pub async fn find(&mut self, domain: DomainId, id: GroupId) -> Result<Option<Group>, DbError> {
        let sql = Sql::new("SELECT * FROM user_groups WHERE domain_id = $1 AND id = $2");
        let row = self.tx.row("groups.find", "user_groups", sql.bind(domain).bind(id)).await?;
        row.map(|row| group(&row)).transpose()
    }

    /// An account's groups, by name.
    pub async fn list(&mut self, domain: DomainId) -> Result<Vec<Group>, DbError> {
        let sql = Sql::new("SELECT * FROM user_groups WHERE domain_id = $1 ORDER BY name, id");
        let rows = self.tx.rows("groups.list", "user_groups", sql.bind(domain)).await?;
        rows.iter().map(group).collect()
    }

    /// Replaces name and description; says whether the group was there.
    pub async fn update(&mut self, group: &Group) -> Result<bool, DbError> {
        let sql = Sql::new(
            "UPDATE user_groups SET name = $1, description = $2 WHERE domain_id = $3 AND id = $4",
        )
        .bind(&group.name)
        .bind(&group.description)
        .bind(group.domain)
        .bind(group.id);
        self.tx.execute_one("groups.update", sql).await
    }

    /// Removes a group with its members' membership and its grants; says whether it was there.
    pub async fn delete(&mut self, domain: DomainId, id: GroupId) -> Result<bool, DbError> {
        let sql = Sql::new("DELETE FROM user_groups WHERE domain_id = $1 AND id = $2");
        self.tx.execute_one("groups.delete", sql.bind(domain).bind(id)).await
    }

    /// Makes a user a member; it may be one already.
    pub async fn add_member(&mut self, group: GroupId, user: UserId) -> Result<(), DbError> {
        let sql = Sql::new(
            "INSERT INTO group_members (group_id, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        );
        self.tx.execute("groups.add_member", sql.bind(group).bind(user)).await.map(drop)
    }

    /// Ends a membership; says whether there was one.
    pub async fn remove_member(&mut self, group: GroupId, user: UserId) -> Result<bool, DbError> {
        let sql = Sql::new("DELETE FROM group_members WHERE group_id = $1 AND user_id = $2");
        self.tx.execute_one("groups.remove_member", sql.bind(group).bind(user)).await
    }

    /// Whether a user is a member.
    pub async fn has_member(&mut self, group: GroupId, user: UserId) -> Result<bool, DbError> {
        let sql = Sql::new(
            "SELECT COUNT(*) AS n FROM group_members WHERE group_id = $1 AND user_id = $2",
        );
        Ok(self.tx.number("groups.has_member", sql.bind(group).bind(user)).await? > 0)
    }

    /// The members, by name.
    pub async fn members(&mut self, group: GroupId) -> Result<Vec<User>, DbError> {
        let sql = Sql::new(
            "SELECT u.* FROM users u JOIN group_members m ON m.user_id = u.id
             WHERE m.group_id = $1 ORDER BY u.name, u.id",
        );
        let rows = self.tx.rows("groups.members", "users", sql.bind(group)).await?;
        rows.iter().map(user).collect()
    }

    /// The groups a user is a member of, by name.
    pub async fn of_user(&mut self, user: UserId) -> Result<Vec<Group>, DbError> {
        let sql = Sql::new(
            "SELECT g.* FROM user_groups g JOIN group_members m ON m.group_id = g.id
             WHERE m.user_id = $1 ORDER BY g.name, g.id",
        );
        let rows = self.tx.rows("groups.of_user", "user_groups", sql.bind(user)).await?;
        rows.iter().map(group).collect()
    }
}

fn group(row: &Row) -> Result<Group, DbError> {
    Ok(Group {
        id: row.id("id")?,
        domain: row.id("domain_id")?,
        name: row.text("name")?,
        description: row.text("description")?,
        created_at: row.time("created_at")?,
    })
}
