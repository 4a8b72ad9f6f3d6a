//! Writing a version: read → zero? → id → as in the parent? → compress → seal → pack → upload.
//!
//! ```text
//! lane 1:  reader ──▶ worker ──┐               one pack filling      one uploading
//! lane 2:  reader ──▶ worker ──┼─▶ data packer ─────────────────┬─▶ uploader ─▶ backend
//!   …                          └─▶ map assembler ─▶ map packer ─┘
//! ```
//! Every arrow is bounded, so memory is bounded by [`crate::Options`], not by the disk.

mod borrow;
pub(crate) mod encoder;
pub(crate) mod packer;
pub(crate) mod pipeline;
pub(crate) mod plan;
mod reader;
pub(crate) mod stop;
mod worker;
