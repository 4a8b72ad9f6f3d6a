//! What goes into and comes out of identity: logins, tokens, keys.
//!
//! Whatever holds a secret shows nothing of itself in `Debug`.

use cbr_model::identity::Caller;
use cbr_model::{DomainId, ProjectId, Timestamp, UserId};
use zeroize::Zeroizing;

/// The first account.
#[derive(Clone, Debug)]
pub struct FirstAccount {
    /// Name of the account.
    pub domain_name: String,
    /// Name of its project; by custom the region's name.
    pub project_name: String,
    /// Name of its administrator.
    pub user_name: String,
}

/// The first account as created: the only time its secrets are shown.
#[derive(Clone)]
pub struct Bootstrapped {
    /// The account.
    pub domain: DomainId,
    /// Its project.
    pub project: ProjectId,
    /// Its administrator.
    pub user: UserId,
    /// The administrator's password.
    pub password: Zeroizing<String>,
    /// Access key id.
    pub access_key: String,
    /// Its secret.
    pub secret_key: Zeroizing<String>,
}

/// How a login names its user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UserRef {
    /// By id.
    Id(UserId),
    /// By name in an account.
    Name {
        /// The account.
        domain: DomainRef,
        /// The user.
        name: String,
    },
}

/// How a login names an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DomainRef {
    /// By id.
    Id(DomainId),
    /// By name.
    Name(String),
}

/// What a login asks a token for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// A project by id.
    Project(ProjectId),
    /// A project by name; of the user's account, or of the one named.
    ProjectName {
        /// The account, if named.
        domain: Option<DomainRef>,
        /// The project.
        name: String,
    },
    /// The account as a whole.
    Domain(DomainRef),
    /// Nothing in particular.
    Unscoped,
}

/// A login with a password.
pub struct Login {
    /// Who.
    pub user: UserRef,
    /// The proof.
    pub password: Zeroizing<String>,
    /// A code of the second factor.
    pub passcode: Option<Zeroizing<String>>,
    /// What for.
    pub scope: Scope,
}

/// A fresh token.
pub struct IssuedToken {
    /// What the holder shows; kept here only as a hash.
    pub secret: Zeroizing<String>,
    /// Since when it is good.
    pub issued_at: Timestamp,
    /// Who it speaks for, and until when.
    pub caller: Caller,
    /// How its holder proved who it is, separated by commas.
    pub methods: String,
}

/// A checked token.
#[derive(Clone, Debug)]
pub struct VerifiedToken {
    /// Since when it is good.
    pub issued_at: Timestamp,
    /// Who it speaks for, and until when.
    pub caller: Caller,
    /// How its holder proved who it is, separated by commas.
    pub methods: String,
}

/// An access key, for checking a signature.
pub struct SigningKey {
    /// The secret the signature is made with.
    pub secret: Zeroizing<String>,
    /// Who it speaks for.
    pub caller: Caller,
    /// Whether its use is to be noted ([`crate::Identity::note_use`]) when the signature is right.
    pub notes_use: bool,
}

macro_rules! debug_without_secrets {
    ($($name:ident),+) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )+};
}

debug_without_secrets!(Bootstrapped, Login, IssuedToken, SigningKey);
