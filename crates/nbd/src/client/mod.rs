//! The client: one connection, many requests on it at the same time.

mod connection;
mod negotiate;
mod pending;
mod receive;

pub use connection::Client;
pub use negotiate::{DiskInfo, Wishes};
