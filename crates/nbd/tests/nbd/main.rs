//! The crate from outside: its server and client with each other, with hostile peers, and with
//! the tools of others. Where a tool is missing a test says `skipped: …`.

#![expect(clippy::unwrap_used, reason = "test code")]

mod hostile;
mod overlay;
mod support;
mod tls;
mod together;
mod with_their_clients;
mod with_their_servers;
