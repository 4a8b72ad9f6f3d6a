//! What can go wrong, by what the caller would do differently.

use std::io;

use crate::wire::Malformed;

/// The result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation over NBD, or with an overlay, failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection failed or ended; a new one may work.
    #[error("NBD connection, {during}")]
    Connection {
        /// What was being done.
        during: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The other side does not speak the protocol, or not our subset; a new connection fails too.
    #[error("NBD protocol, {during}: {what}")]
    Protocol {
        /// What was being done.
        during: &'static str,
        /// What was wrong.
        what: &'static str,
    },
    /// The server refused an option: no such export, no TLS, a policy.
    #[error("the NBD server refused {option} with reply {reply:#x}")]
    Refused {
        /// The option.
        option: &'static str,
        /// The number of the error reply.
        reply: u32,
    },
    /// The server failed one request; the connection is still good.
    #[error("the NBD server failed a {command} with error {errno}")]
    Remote {
        /// The command.
        command: &'static str,
        /// The protocol's error number: 1 not permitted, 5 I/O, 22 invalid, 28 no space, …
        errno: u32,
    },
    /// The caller asked for something outside of the disk, beyond a limit or not offered.
    #[error("NBD {command}: {what}")]
    Invalid {
        /// The command.
        command: &'static str,
        /// Why not.
        what: &'static str,
    },
    /// The peer was silent for too long.
    #[error("NBD connection, {during}: the peer is silent")]
    Silent {
        /// What was waited for.
        during: &'static str,
    },
    /// A certificate, a key or a name that TLS cannot be done with.
    #[error("TLS certificate or key: {what}")]
    Certificate {
        /// Why not.
        what: String,
    },
    /// The overlay's files are not what this process may use.
    #[error("overlay {path}: {what}")]
    Overlay {
        /// The path.
        path: String,
        /// Why.
        what: &'static str,
    },
    /// The overlay's files could not be read or written.
    #[error("overlay {path}")]
    OverlayFile {
        /// The path.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn connection(during: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Connection { during, source }
    }

    pub(crate) fn malformed(during: &'static str) -> impl FnOnce(Malformed) -> Self {
        move |Malformed(what)| Self::Protocol { during, what }
    }
}
