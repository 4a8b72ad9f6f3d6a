//! The API as its clients see it: the router with the real services on SQLite,
//! a fake provider and a store in memory. One file per noun, as in `src/v3`.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod access;
mod agents;
mod alarms;
mod alarms_on_published;
mod anomalies;
mod answers;
mod app;
mod audit;
mod authorisation;
mod backup_retention;
mod backups;
mod billing;
mod client;
mod codes;
mod codes_not_given;
mod contract;
mod credentials;
mod default_policy;
mod encrypted;
mod exports;
mod filters;
mod foreign;
mod generated;
mod grants;
mod identity;
mod images;
mod imports;
mod kinds;
mod lasting;
mod matrix;
mod members;
mod monitoring;
mod neighbours;
mod new_vaults;
mod organization_policies;
mod people;
mod policies;
mod policy_runs;
mod protocol;
mod proxies;
mod refused_so_far;
mod replication;
mod resources;
mod search;
mod second_factor;
mod servers;
mod task_events;
mod things;
mod topics;
mod trash;
mod vault_contract;
mod vault_tags;
mod vaults;
