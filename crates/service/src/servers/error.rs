//! Why something about servers was refused.

use cbr_model::ResourceId;

/// Why something about servers was refused.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Nobody said how it is started and stopped.
    #[error(
        "server {0} cannot be started or stopped from here: its configuration has no commands for it"
    )]
    NotPowered(ResourceId),
    /// It is the operator's.
    #[error(
        "server {0} is one of the operator's configuration, not made here; it is changed and deleted there"
    )]
    NotMade(ResourceId),
    /// Its disks are not changed while it may use them.
    #[error("server {0} is not off; stop it first")]
    NotOff(ResourceId),
    /// The disk is another server's, at work or in error.
    #[error("disk {volume} cannot be attached: it is {status}; it must be available")]
    VolumeNotAttachable {
        /// The disk.
        volume: ResourceId,
        /// Its state.
        status: &'static str,
    },
    /// It is not one of the server's, or the one it boots from.
    #[error("disk {volume} cannot be detached from server {server}: {reason}")]
    VolumeNotDetachable {
        /// The disk.
        volume: ResourceId,
        /// The server.
        server: ResourceId,
        /// Why.
        reason: &'static str,
    },
}
