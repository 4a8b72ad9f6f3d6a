//! The operation table. An operation that is not in it does not exist.

use crate::operation::Operation;
use crate::v3::{backups, checkpoints, operation_logs, protectables, vault_tags, vaults};
use crate::{ecs, evs, identity, system, x};

/// Every operation, in the order of the OpenAPI document.
pub static OPERATIONS: &[Operation] = &[
    // CBR (contract C)
    vaults::create::OPERATION,
    vaults::order::OPERATION,
    vaults::list::OPERATION,
    vaults::show::OPERATION,
    vaults::update::OPERATION,
    vaults::delete::OPERATION,
    vaults::add_resources::OPERATION,
    vaults::remove_resources::OPERATION,
    vault_tags::change::OPERATION,
    vault_tags::create::OPERATION,
    vault_tags::delete::OPERATION,
    vault_tags::show::OPERATION,
    vault_tags::list::OPERATION,
    vault_tags::find::OPERATION,
    checkpoints::create::OPERATION,
    checkpoints::show::OPERATION,
    backups::list::OPERATION,
    backups::show::OPERATION,
    backups::update::OPERATION,
    backups::delete::OPERATION,
    backups::restore::OPERATION,
    operation_logs::list::OPERATION,
    operation_logs::show::OPERATION,
    protectables::list::OPERATION,
    protectables::show::OPERATION,
    // ours
    x::cancel_operation::OPERATION,
    x::backup_sizes::OPERATION,
    x::exports::create::OPERATION,
    x::exports::list::OPERATION,
    x::exports::list_all::OPERATION,
    x::exports::delete::OPERATION,
    x::backup_integrity::OPERATION,
    x::verify_backup::OPERATION,
    x::what_if::OPERATION,
    x::trash::list::OPERATION,
    x::trash::undelete::OPERATION,
    x::trash::purge::OPERATION,
    // identity (contract F.1)
    identity::versions::ROOT,
    identity::versions::SHOW,
    identity::login::OPERATION,
    identity::tokens::SHOW,
    identity::tokens::REVOKE,
    identity::projects::LIST,
    identity::projects::LIST_AUTH,
    identity::projects::SHOW,
    identity::domains::OPERATION,
    identity::catalog::OPERATION,
    identity::regions::OPERATION,
    // disks (contract F.3)
    evs::list::OPERATION,
    evs::show::OPERATION,
    evs::create::OPERATION,
    evs::create::OPERATION_V2,
    evs::delete::OPERATION,
    evs::job::OPERATION,
    // servers (contract F.4)
    ecs::list::OPERATION,
    ecs::show::OPERATION,
    // the process
    system::health::OPERATION,
    system::metrics::OPERATION,
    system::openapi::OPERATION,
];
