//! Stores that ignore `If-None-Match`, and what stands in for it (docs/adr on the arbiter).

#![expect(clippy::unwrap_used, reason = "a test may stop anywhere")]

#[expect(dead_code, reason = "disks can do more than these tests need")]
#[path = "../disk/mod.rs"]
mod disk;
mod keys;
#[path = "../memory_arbiter/mod.rs"]
mod memory_arbiter;
mod store;
mod watch;
mod wrapper;
