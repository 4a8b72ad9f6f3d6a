//! Reading a version back: all of it (restore) or any part of it (a disk reader).

mod cache;
mod fetch;
mod layout;
mod reader;
mod run;

pub(crate) use cache::ReadCache;
pub use reader::{DiskExtent, DiskReader, ExtentKind};
pub(crate) use run::Restore;
