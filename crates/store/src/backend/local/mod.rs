//! A backend in a directory of a local file system.
//!
//! An object is a file under its key. A put writes a temporary file in the
//! directory `.incoming`, syncs it, links it to its name, syncs the directory
//! of that name and only then removes the temporary name. So a temporary file
//! that is left over says exactly that its put was not finished, and the next
//! opening makes everything visible durable before it sweeps.
//!
//! Files of its own, whose names no key can have: `.incoming/`, `.reserve`.

mod directory;
mod durable;
mod files;
mod listing;
mod reserve;
#[cfg(test)]
mod tests;

pub use directory::{LocalBackend, LocalOptions};
pub use files::{FileOps, Os};
