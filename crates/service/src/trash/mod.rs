//! The trash: backups that were deleted and can be taken back.

mod service;

pub use service::{InTrash, Trash};
