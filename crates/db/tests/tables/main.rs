//! The table suite: every query of every table, on SQLite and on PostgreSQL.
//!
//! One text of SQL serves both engines; only running all of it on both shows
//! that it does. PostgreSQL is skipped, loudly, where it is not installed.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod access;
mod agents;
mod alarms;
mod backup_counts;
mod backups;
mod billing;
mod builders;
mod domain_migrations;
mod exports;
mod identity;
mod images;
mod migration;
mod nodes;
mod object_claims;
mod opening;
mod operations;
mod policies;
mod runs;
mod sharing;
mod tasks;
mod transactions;
mod trash;
mod used_signatures;
mod vault_contract;
mod vault_points;
mod vaults;
mod verification;
mod writers_lock;
