//! The use cases and tasks on the provider's fake, a store in memory and a real database.

mod alarms;
mod audit;
mod backup;
mod backup_states;
mod capacity;
mod catalogue;
mod delete;
mod exports;
mod faults;
mod half_way;
mod identity;
mod images;
mod members;
mod migration;
mod restore;
mod rules;
mod schedules;
mod sharing;
mod store_watch;
mod sweeps;
mod topics;
mod trash;
mod vaults;
mod verification;
mod volumes;
mod world;
