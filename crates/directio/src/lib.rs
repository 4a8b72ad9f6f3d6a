//! Bulk data written past the page cache.
//!
//! Not here: what is written and when it must be durable, which is the callers' business.

mod buffer;
mod file;

pub use buffer::PageBuffer;
pub use file::{ALIGN_BYTES, DirectFile};
