//! The client half of the programme: it knows the public API and nothing else.
//!
//! `connection` finds out whom to talk to and as whom, `signer` and `transport`
//! carry a request there, `wire` reads what the commands show, `lookup` turns
//! names into ids, `wait` follows tasks until they end (`events` and `progress` are how it hears of them), and `download` copies disks.

pub(crate) mod connection;
pub(crate) mod download;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod job;
pub(crate) mod lookup;
pub(crate) mod profile;
pub(crate) mod progress;
pub(crate) mod signer;
pub(crate) mod transport;
pub(crate) mod wait;
pub(crate) mod wire;

pub(crate) use connection::ConnectionArgs;
pub(crate) use error::ApiError;
pub(crate) use transport::Client;
