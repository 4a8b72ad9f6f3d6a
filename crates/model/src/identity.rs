//! Who calls: accounts, projects, users, keys.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::{AgencyId, DomainId, GroupId, ProjectId, RoleId, UserId};
use crate::permission::Document;

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
    /// May do everything in the account, and cannot be removed: who made the account.
    pub is_admin: bool,
    /// Free text.
    pub description: String,
    /// Where mail reaches the user; may be empty.
    pub email: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Users who are granted the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// The account.
    pub domain: DomainId,
    /// Its name; unique in the account.
    pub name: String,
    /// Free text.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A policy that an account made for itself (IAM-08).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CustomRole {
    /// Its id.
    pub id: RoleId,
    /// The account.
    pub domain: DomainId,
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
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Whoever a policy can be granted to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Grantee {
    /// The users of a group.
    Group(GroupId),
    /// Who acts through an agency.
    Agency(AgencyId),
}

/// Where a policy is granted (IAM-02).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum GrantScope {
    /// In the account as a whole: users, groups, keys, enterprise projects.
    Account,
    /// In every project there is and will be.
    AllProjects,
    /// In one project.
    Project(ProjectId),
}

/// A policy granted to somebody somewhere.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Grant {
    /// To whom.
    pub to: Grantee,
    /// Which policy.
    pub role: RoleId,
    /// Where.
    pub scope: GrantScope,
}

/// What an account lets another one do in its name (IAM-13).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agency {
    /// Its id.
    pub id: AgencyId,
    /// The account that trusts.
    pub domain: DomainId,
    /// Its name; unique in the account.
    pub name: String,
    /// The account that is trusted.
    pub trusted: Domain,
    /// Free text.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is void; none: never.
    pub expires_at: Option<Timestamp>,
}

/// A group of an account's resources across projects (RGN-02).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EnterpriseProject {
    /// Its id: a UUID, or `0` for the one every account has.
    pub id: String,
    /// Its name; unique in the account.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Whether new things may be put into it.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What a caller showed, by which it can be found again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Credential {
    /// A password. Nothing is found by it.
    Password,
    /// A token, by its SHA-256.
    Token([u8; 32]),
    /// An access key, by its public half.
    AccessKey(String),
    /// A temporary access key, by its public half.
    TemporaryKey(String),
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
    /// The agency it acts through: then `domain` is the account that trusts, and `user` is
    /// of the account that is trusted.
    pub agency: Option<AgencyId>,
    /// What the credential was narrowed to when it was made; none: all its user may do.
    pub narrowed_to: Option<Document>,
    /// The credential: what is made with it is made only while it is good.
    pub credential: Credential,
}

impl Caller {
    /// Whether it administers its account. Who acts through an agency does not, whatever it is at home.
    pub const fn is_administrator(&self) -> bool {
        self.user.is_admin && self.agency.is_none()
    }

    /// Whether its credential is a temporary access key, which makes no lasting credential.
    pub const fn is_temporary_key(&self) -> bool {
        matches!(self.credential, Credential::TemporaryKey(_))
    }
}
