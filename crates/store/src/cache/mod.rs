//! Small local files that may be lost at any time: what makes a new process as fast as one that goes on.
//!
//! Nothing here is needed, and nothing that is read here is believed for having been found: who puts something
//! here seals it, and opens it himself.

mod directory;
mod files;

pub use directory::CacheDirectory;
pub use files::{CacheFiles, Opened};
