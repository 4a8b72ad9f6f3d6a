//! Disks on this host: raw and qcow2 images in pools, and block devices.
//!
//! The operator's view is in `docs/providers/local.md`. In short: a snapshot is a
//! reflink copy where the file system can make one; otherwise only what nobody
//! uses is read, in place, and a change in the meantime is noticed. A *server* is a
//! named group of volumes, held still and switched by the operator's commands.
//!
//! What must survive a crash lies in small files (`state.rs`); whatever is half done
//! is found there and finished or undone by the repeat.

mod catalogue;
mod closable;
mod command;
mod config;
mod durable;
mod factory;
mod freeze;
mod guard;
mod in_use;
mod inventory;
mod lock;
mod made;
mod mount;
mod place;
mod power;
mod qcow2;
mod raw;
mod reach;
mod service;
mod source;
mod state;
mod tags;
mod take;
mod target;

pub(crate) use durable::Directory;
pub(crate) use raw::RawReader;

pub use config::{
    BlockDeviceConfig, LocalConfig, MadeServersConfig, PoolConfig, PoolKind, ServerConfig,
};
pub use qcow2::qcow2_image;
pub use service::LocalProvider;
pub use tags::TagConfig;
