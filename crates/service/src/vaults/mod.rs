//! Vaults and what is bound to them.

mod migrate;
mod orders;
mod quotas;
mod requests;
mod service;
mod settings;
mod tags;

pub use orders::OrderChange;
pub use quotas::QuotaUse;
pub use requests::{NewVault, Prepaid, VaultChange, WantedResource};
pub use service::Vaults;
pub(crate) use service::existing;
pub use settings::{ExpirationDay, Expiring};
pub use tags::TagsInUse;
