//! Vaults and what is bound to them.

mod requests;
mod service;

pub use requests::{NewVault, VaultChange, WantedResource};
pub use service::Vaults;
pub(crate) use service::existing;
