//! The S3 backend against a server in this process, behind a proxy that can spoil every answer.
//!
//! ```text
//! S3Backend ──▶ proxy (faults, by plan or by seed) ──▶ s3s-fs (a directory)
//! ```

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may")]

mod bucket;
mod contract;
#[expect(dead_code, reason = "disks can do more than these tests need")]
#[path = "../disk/mod.rs"]
mod disk;
mod faults;
mod foreign;
mod history;
#[expect(dead_code, reason = "the arbiter can fail, which is tested elsewhere")]
#[path = "../memory_arbiter/mod.rs"]
mod memory_arbiter;
mod overwriting;
mod proxy;
