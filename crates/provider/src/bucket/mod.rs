//! Buckets: places where somebody else puts raw images of disks, to be taken in as backups
//! (contract C26, C33; docs/adr/0040).
//!
//! A bucket is read and never written. What lies in it, and its names, are not trusted.
//!
//! Not here: who may read which bucket, and what becomes of an image.

mod directory;
mod image;
mod interface;
mod path;

pub use directory::DirectoryBucket;
pub use image::{HEAD_BYTES, SECTOR_BYTES, check_image, padded};
pub use interface::{Bucket, BucketError, Found, Seen};
pub use path::{InvalidPath, ObjectPath, PATH_BYTES_MAX};
