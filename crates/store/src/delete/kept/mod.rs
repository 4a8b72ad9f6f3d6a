//! What was read of maps, kept for the next process in a local file for each domain (ADR 41).
//!
//! The file is a row of *chunks*. Each is sealed, and says of some nodes what they say: facts about what never
//! changes, named by pointers that carry a hash. So each is true by itself and for ever, whichever others are
//! there, in whatever order, and however old the file is. A chunk opens only with the key of this tenant, for
//! this repository, this domain and this release; what does not open is no chunk, and its file goes.
//!
//! What a proof has read is added as a chunk. When more was added than was there, the file is made anew from
//! memory. So what is written is in proportion to what was read.
//!
//! No call here fails: without the file a proof reads the maps.

mod chunk;
mod compare;
mod file;
#[cfg(test)]
mod tests;

pub(crate) use file::KeptMaps;
pub(super) use file::{KeptDomain, KeptFile};
#[cfg(test)]
pub(super) use tests::MemoryFiles;
