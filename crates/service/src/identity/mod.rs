//! Accounts, projects, users, passwords, tokens and access keys.

mod credentials;
mod password;
mod reseal;
mod seal;
mod service;

pub use credentials::{
    Bootstrapped, DomainRef, FirstAccount, IssuedToken, Login, Scope, SigningKey, UserRef,
    VerifiedToken,
};
pub use reseal::reseal;
pub use seal::SealingKey;
pub use service::{Identity, TOKEN_SECONDS};
pub(crate) use service::{PROVIDER_PROJECT, may_use};
