//! The store in a hostile world: crashes, failing backends, damaged bytes, old repositories.
#![expect(clippy::unwrap_used, reason = "a test may stop anywhere")]

mod containment;
mod corruption;
mod crash;
mod full_disk;
mod golden;
mod healing;
mod interleaving;
mod keys;
mod listing;
mod nodes;
mod notes;
mod nth;
mod reencrypt;
mod rewriting;
mod trash;
mod world;
mod zombie;
