//! The calls, so that a test can fail each of them.

use std::fmt;
use std::io::{self, Read};

/// An open file and its size in bytes.
pub type Opened = (u64, Box<dyn Read>);

/// Where the files are. Every call may fail, and then its caller goes on without.
///
/// Several processes may use the same files at once: what one of them loses by that is read again from the
/// repository.
pub trait CacheFiles: fmt::Debug + Send + Sync {
    /// Opens a file; `None` if there is none.
    fn open(&self, name: &str) -> io::Result<Option<Opened>>;
    /// Adds to the end of a file; its size then, or `None` if there is none.
    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<Option<u64>>;
    /// Makes a file of these pieces, all of it or nothing, in the place of what is there; its size.
    fn replace(&self, name: &str, pieces: &mut dyn Iterator<Item = Vec<u8>>) -> io::Result<u64>;
    /// Removes a file, if it is there.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// The names of all files.
    fn names(&self) -> io::Result<Vec<String>>;
}
