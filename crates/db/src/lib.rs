//! The only place with SQL: tables as types, migrations, two engines.
//!
//! SQL in, model out, no rules: whether something absent is an error, or a
//! change is allowed, the caller knows. One set of SQL text serves SQLite and
//! PostgreSQL (`docs/adr/0003-database.md`); write transactions run one after
//! the other on both, so what a write transaction has read stays true until
//! it ends.
//!
//! Start reading at [`Db`].

mod access_keys;
mod agencies;
mod agents;
mod alarm_records;
mod alarms;
mod audit;
mod backup_filter;
mod backup_rows;
mod backup_sizes;
mod backups;
mod bindings;
mod checkpoints;
mod custom_roles;
mod db;
mod deliveries;
mod disk_owners;
mod domains;
mod engine;
mod enterprise_projects;
mod error;
mod events;
mod exports;
mod grants;
mod groups;
mod last_backups;
mod listing;
mod members;
mod mfa_devices;
mod migrate;
mod migration;
mod object_claims;
mod open;
mod operations;
mod orders;
mod organization_policies;
mod policies;
mod policy_rows;
mod projects;
mod quotas;
mod row;
mod settings;
mod sql;
mod tag_filter;
mod task_rows;
mod tasks;
mod temporary_keys;
mod tokens;
mod topics;
mod trash;
mod tx;
mod users;
mod vault_backups;
mod vault_levels;
mod vault_points;
mod vault_rows;
mod vaults;
mod verification;

pub use access_keys::{AccessKey, AccessKeys};
pub use agencies::Agencies;
pub use agents::Agents;
pub use alarm_records::{AlarmRecords, RecordFilter};
pub use alarms::{Alarms, KnownState};
pub use audit::{Audit, Columns, KeptTrace};
pub use backup_sizes::{BackupSizes, CountedSizes, DueDisk, DuePage, ToCount};
pub use backups::{Backups, StoredDisk};
pub use bindings::{Binding, Bindings};
pub use checkpoints::Checkpoints;
pub use custom_roles::CustomRoles;
pub use db::Db;
pub use deliveries::Deliveries;
pub use disk_owners::DiskOwners;
pub use domains::Domains;
pub use enterprise_projects::EnterpriseProjects;
pub use error::DbError;
pub use events::Events;
pub use exports::Exports;
pub use grants::Grants;
pub use groups::Groups;
pub use last_backups::{LastBackup, LastBackups, RestorePoint};
pub use members::Members;
pub use mfa_devices::{MfaDevice, MfaDevices};
pub use migration::{Migration, Move};
pub use object_claims::{ObjectClaim, ObjectClaims};
pub use operations::Operations;
pub use orders::Orders;
pub use organization_policies::OrganizationPolicies;
pub use policies::Policies;
pub use projects::Projects;
pub use quotas::Quotas;
pub use settings::Settings;
pub use task_rows::{ClaimedTask, NewTask, TaskRecord};
pub use tasks::{Claim, Tasks};
pub use temporary_keys::{TemporaryKey, TemporaryKeys};
pub use tokens::{Token, Tokens};
pub use topics::Topics;
pub use trash::{Trash, TrashPlace, TrashedBackup};
pub use tx::Tx;
pub use users::{FailedLogins, Users};
pub use vault_backups::{KeptUntil, ResourceUsage, TakenSpace, VaultBackups};
pub use vault_levels::VaultLevels;
pub use vault_points::VaultPoints;
pub use vaults::Vaults;
pub use verification::{DamagedSpot, Verification};
