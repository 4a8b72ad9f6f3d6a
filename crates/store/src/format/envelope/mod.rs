//! The envelope around every object: header, sections, footer.
//!
//! Every byte is covered: a section by the code or seal of its role and by its
//! hash, the rest by checksums; and every seal is bound to the header and to
//! the key the object lies under, so nothing can change places (P4, P31). The
//! footer alone says where the sections are, so a reader that needs only the
//! tables of a pack reads only its tail.

mod header;
mod reader;
mod remains;
mod section;
mod tail;
mod writer;

pub use header::{HEADER_BYTES, MAGIC, ObjectKind};
pub use reader::Reader;
pub use section::{SECTIONS_MAX, SectionType};
pub use tail::{FOOTER_BYTES_MAX, Listed, TRAILER_MAGIC, Tail};
pub use writer::Writer;

pub(super) use remains::{Remains, Said};
pub(super) use section::hash128;
pub(crate) use section::hash128_of;
pub(super) use writer::Assembly;
