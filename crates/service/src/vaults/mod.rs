//! Vaults and what is bound to them.

mod auto_bind;
mod growth;
mod migrate;
mod orders;
mod quotas;
mod requests;
mod service;
mod settings;
mod tags;
mod usage;

pub use crate::rules::forecast::Forecast;
pub(crate) use auto_bind::bind_unprotected;
pub(crate) use growth::grow;
pub(crate) use migrate::is_at_work;
pub use orders::OrderChange;
pub use quotas::QuotaUse;
pub(crate) use quotas::{check_capacity, policies_max};
pub use requests::{NewVault, Prepaid, VaultChange, WantedResource};
pub use service::Vaults;
pub(crate) use service::existing;
pub use settings::{ExpirationDay, Expiring};
pub use tags::TagsInUse;
