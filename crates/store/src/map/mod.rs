//! The map of a version: which slot holds which block.
//!
//! A copy-on-write tree: a new version writes only the nodes on the way to what changed and
//! shares every other subtree with its parent by pointer. Every pointer carries the hash of the
//! node it points to, so the root stands for all of it.

pub(crate) mod assembler;
mod borrowings;
pub(crate) mod cells;
pub(crate) mod geometry;
pub(crate) mod reader;

pub(crate) use assembler::Assembler;
pub(crate) use reader::MapReader;
