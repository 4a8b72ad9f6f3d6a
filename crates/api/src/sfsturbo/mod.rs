//! File systems, as SFS Turbo has them (contract F.5).
//!
//! No provider of file systems exists yet, so there are none: the list is empty, none is found by its
//! id, and making one is refused. Nothing here pretends otherwise.

pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod one;
