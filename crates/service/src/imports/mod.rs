//! Backups that somebody else put into a bucket as raw images (contract C26, C33; docs/adr/0040).
//!
//! The operator says which buckets there are and which projects may read them. A project names a bucket and
//! an image; what is in the image becomes a backup in its file vault, made by the task that makes all
//! backups, from other bytes.

mod buckets;
mod error;
mod rules;
mod service;
mod sidecar;

pub use buckets::{Buckets, ConfiguredBucket};
pub use error::ImportError;
pub(crate) use rules::{Begin, Place, look, place, write};
pub use service::{ITEMS_MAX, Imported, Imports, NewImport, SyncBegun};
pub(crate) use sidecar::Sidecar;
pub use sidecar::{SIDECAR_BYTES_MAX, SIDECAR_SUFFIX, SIDECARS_MAX};
