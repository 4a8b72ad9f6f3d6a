//! Accounts, projects, users and groups, what they may do, and with what proof.

mod accounts;
mod agencies;
mod attempts;
mod credentials;
mod enterprise;
mod grants;
mod groups;
mod keys;
mod mfa;
mod migration;
mod password;
mod permit;
mod predefined_tags;
mod projects;
mod recovery;
mod reseal;
mod roles;
mod seal;
mod service;
mod sessions;
mod temporary;
mod users;

pub(crate) use accounts::operator;
pub use agencies::{AgencyText, Duration};
pub use cbr_db::AccessKey;
pub use credentials::{
    Bootstrapped, DomainRef, FirstAccount, IssuedToken, Login, Scope, SigningKey, UserRef,
    VerifiedToken,
};
pub(crate) use enterprise::check_enterprise_project;
pub use keys::{KeyChange, NewKey};
pub use mfa::{NewDevice, ShownDevice};
pub(crate) use permit::Permissions;
pub use recovery::{NotReset, reset_second_factor};
pub use reseal::reseal;
pub use roles::{Role, RoleText};
pub use seal::SealingKey;
pub use service::{Identity, TOKEN_SECONDS};
pub(crate) use service::{PROVIDER_PROJECT, may_use};
pub use temporary::{AgencyRef, NewTemporaryKey, TemporaryWish};
pub use users::{NewUser, UserChange};
