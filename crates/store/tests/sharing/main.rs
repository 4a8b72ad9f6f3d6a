//! Chains of one tenant that share blocks: what is saved, what is needed, what is removed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod audit;
mod basics;
mod counts;
#[path = "../disk/mod.rs"]
mod disk;
mod folding;
mod healing;
mod histories;
mod interleaving;
mod patched;
#[path = "../reachable/mod.rs"]
#[expect(dead_code, reason = "a chain alone has one generation of each pack at once")]
mod reachable;
mod trash;
mod world;
