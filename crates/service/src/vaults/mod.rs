//! Vaults and what is bound to them.

mod requests;
mod service;
mod tags;

pub use requests::{NewVault, Prepaid, VaultChange, WantedResource};
pub use service::Vaults;
pub(crate) use service::existing;
pub use tags::TagsInUse;
