//! A durable local overlay: what was written over a disk that cannot be written.

mod blocks;
mod disk;
mod journal;

pub use disk::Overlay;
