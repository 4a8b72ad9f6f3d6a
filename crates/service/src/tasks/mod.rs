//! The kinds of tasks: what takes longer than a moment, or reaches outside the database.
//!
//! Each file is one kind: an enum of stages with the step of each. A step touches
//! store and provider and may be repeated; what is true from a stage on is written
//! by its `enter`, in the transaction that saves the stage, and so exactly once.
//! Success and failure leave by the same door: a last stage that carries the outcome.

pub(crate) mod backup;
pub(crate) mod change_server;
pub(crate) mod create_image;
pub(crate) mod create_server;
pub(crate) mod create_volume;
mod databases;
pub(crate) mod delete_backup;
pub(crate) mod delete_volume;
mod disk_bytes;
mod disk_copy;
pub(crate) mod image;
pub(crate) mod limit;
pub(crate) mod migrate_resource;
pub(crate) mod order;
pub(crate) mod pace;
pub(crate) mod power;
pub(crate) mod purge;
pub(crate) mod purge_backup;
pub(crate) mod restore;
pub(crate) mod rows;
pub(crate) mod sync;
mod trash;
mod trouble;
pub(crate) use trouble::Trouble;
pub(crate) mod undelete_backup;
pub(crate) mod verify_backup;
