//! The rules: use cases, task kinds, sweeps and access decisions.
//!
//! One struct per noun holds its use cases ([`Vaults`], [`Backups`], …). A
//! request is a plain value, an answer is a plain value, a refusal is a variant
//! of [`Error`]. Nothing here knows HTTP or SQL. Every use case of a tenant
//! takes an [`Access`], which only [`Identity::access`] makes.
//!
//! What takes longer than a moment, or reaches outside the database, is a task:
//! the use case enqueues it in its own transaction and answers; `tasks` does it.

pub mod access;
pub mod agents;
pub mod alarms;
pub mod anomalies;
pub mod audit;
pub mod backups;
pub mod billing;
mod card;
pub mod catalogue;
pub mod checkpoints;
mod content;
mod core;
pub mod directory;
pub mod error;
pub mod exports;
mod failure;
pub mod identity;
pub mod images;
pub mod imports;
pub mod jobs;
pub mod monitoring;
pub mod nodes;
pub mod operations;
pub mod organization_policies;
mod paging;
pub mod policies;
pub mod protectables;
mod rate;
pub mod replication;
mod resources;
pub mod retention;
mod rules;
pub mod schedules;
pub mod servers;
pub mod services;
pub mod sharing;
pub mod store_watch;
pub mod sweeps;
mod tasks;
#[cfg(test)]
mod tests;
pub mod topics;
pub mod trash;
pub mod vaults;
pub mod verification;
pub mod volumes;

pub use access::{Access, AccountAccess, Actor, OwnAccess, Request};
pub use agents::Agents;
pub use alarms::Alarms;
pub use anomalies::Anomalies;
pub use audit::Audit;
pub use backups::Backups;
pub use billing::Billing;
pub use catalogue::Catalogue;
pub use checkpoints::Checkpoints;
pub use directory::Directory;
pub use error::Error;
pub use exports::Exports;
pub use identity::Identity;
pub use images::Images;
pub use imports::Imports;
pub use jobs::Jobs;
pub use monitoring::Monitoring;
pub use operations::Operations;
pub use organization_policies::OrganizationPolicies;
pub use policies::Policies;
pub use protectables::Protectables;
pub use replication::Replication;
pub use retention::Expiry;
pub use schedules::Schedules;
pub use servers::Servers;
pub use services::{Deps, Services};
pub use sharing::Sharing;
pub use store_watch::StoreWatch;
pub use sweeps::Sweeps;
pub use topics::Topics;
pub use trash::Trash;
pub use vaults::Vaults;
pub use verification::Verification;
pub use volumes::Volumes;

/// What use cases return.
pub type Result<T> = std::result::Result<T, Error>;
