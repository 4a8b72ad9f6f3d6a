//! How much one server does at the same time.

use std::time::Duration;

/// The limits of a server. Its memory is bounded by `connections` × `connection_bytes`,
/// twice where an answer is made from a payload.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections served at the same time; more wait to be accepted.
    pub connections: usize,
    /// Longest read, and longest payload of a write, in bytes. At least 64 KiB, at most 1 GiB.
    pub request_bytes: u32,
    /// Requests in work, of one connection; the next one is read when one is answered.
    pub connection_requests: usize,
    /// Bytes of payloads and answers in memory, of one connection. At least `request_bytes`.
    pub connection_bytes: usize,
    /// Threads that wait in calls of exports, of all connections.
    pub threads: usize,
    /// How long a handshake may take.
    pub handshake: Duration,
    /// How long a payload may be on its way, or an answer may wait to be taken.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 32,
            request_bytes: 32 << 20,
            connection_requests: 16,
            connection_bytes: 64 << 20,
            threads: 16,
            handshake: Duration::from_secs(10),
            stall: Duration::from_mins(1),
        }
    }
}

impl Limits {
    /// The limits with each within what the server can work with.
    pub(super) fn sane(mut self) -> Self {
        self.connections = self.connections.max(1);
        self.request_bytes = self.request_bytes.clamp(64 << 10, 1 << 30);
        self.connection_requests = self.connection_requests.max(1);
        self.connection_bytes =
            self.connection_bytes.clamp(self.request_bytes as usize + (4 << 20), 1 << 40);
        self.threads = self.threads.max(1);
        self
    }
}
