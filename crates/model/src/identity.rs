//! Who calls: accounts, projects, users, keys.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::{DomainId, ProjectId, UserId};

/// An account (Keystone calls it a domain).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Domain {
    /// Its id.
    pub id: DomainId,
    /// Its name; unique.
    pub name: String,
}

/// A project of an account. Its name is the region's by custom.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// The account.
    pub domain: DomainId,
    /// Its name; unique in the account.
    pub name: String,
    /// Whether it may be used.
    pub enabled: bool,
}

/// A user of an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The account.
    pub domain: DomainId,
    /// Its name; unique in the account.
    pub name: String,
    /// Whether it may log in.
    pub enabled: bool,
    /// May do everything in the account.
    pub is_admin: bool,
}

/// The caller of a request, made only from a checked credential.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// The account.
    pub domain: Domain,
    /// The user.
    pub user: User,
    /// The project the credential is scoped to; none for an unscoped token.
    pub project: Option<Project>,
    /// When the credential ends; none: a key without end.
    pub expires_at: Option<Timestamp>,
}
