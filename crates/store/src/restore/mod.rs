//! Reading a version back: all of it (restore) or any part of it (a disk reader).

mod fetch;
mod layout;
mod reader;
mod run;

pub use reader::DiskReader;
pub(crate) use run::Restore;
