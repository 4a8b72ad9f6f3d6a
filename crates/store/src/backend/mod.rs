//! Where a repository's objects lie.
//!
//! A backend keeps whole, immutable objects under names. Everything the engine
//! promises rests on two properties: a put never overwrites and is durable when
//! it returns, and absence is never confused with failure.

mod interface;
mod key;
pub mod layer;
mod local;
mod memory;
mod probe;
mod s3;

pub use crate::format::record::Probe;
pub use interface::{
    Backend, BackendError, BackendExt, Decided, Entry, LIST_PAGE_MAX, OBJECT_BYTES_MAX, Op, Page,
    Put,
};
pub use key::{KEY_BYTES_MAX, Key, SEGMENT_BYTES_MAX};
pub use local::{FileOps, LocalBackend, LocalOptions, Os};
pub use memory::MemoryBackend;
pub(crate) use probe::creates_once;
pub use probe::{Weight, probe, survey};
pub use s3::{S3Backend, S3Credentials, S3Options};
