//! The NBD protocol: disks over a socket.
//!
//! A [`Server`] gives any [`Export`] to clients such as QEMU, `nbdcopy` or the kernel; a
//! [`Client`] reads the disks of others, with what changed in them; an [`Overlay`] makes a
//! disk that can only be read writable, and keeps what was acknowledged as durable.
//!
//! Ground layer: knows no backup, no vault. Time is an argument.
#![doc = include_str!("../README.md")]

mod client;
mod error;
mod export;
mod extent;
mod overlay;
mod server;
mod stream;
mod tls;
mod wire;

pub use client::{Client, DiskInfo, Wishes};
pub use error::{Error, Result};
pub use export::{Changes, Export, Writes};
pub use extent::{Extent, Extents};
pub use overlay::Overlay;
pub use server::{Exports, Limits, Server};
pub use stream::Stream;
pub use tls::{ClientTls, ServerTls};
