//! qcow2 images, without backing file and without external data file.
//!
//! The bytes of an image come from a guest, so nothing in them decides what is
//! opened: the format is told by the operator's file name, and an image that
//! names another file is refused before anything is read through it (P29).

mod header;
mod image;
mod occupancy;
mod tables;

pub(crate) use header::Header;
pub use image::qcow2_image;
pub(crate) use image::{Qcow2Reader, Qcow2Writer, create, read_first};
pub(crate) use occupancy::Inconsistent;
pub(crate) use tables::is_empty_from;
