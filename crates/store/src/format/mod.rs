//! Format v1: what the stored bytes mean, byte by byte.
//!
//! `docs/format/v1.md` says the same in prose; a change to one is a change to
//! both and a new golden file. Every decoder here is total: any input gives a
//! value or an error, never a panic, and never more memory than the input
//! justifies.
//!
//! Not here: where objects lie (`backend`), in which order they are written and
//! what they mean together (the engine).

pub mod codec;
pub mod deaths;
pub mod envelope;
pub mod frame;
pub mod id;
pub mod node;
pub mod pack;
pub mod place;
pub mod record;
pub mod references;
pub mod slot;

/// Blocks are 64 KiB; the last one of a disk is treated as filled up with zeros.
pub const BLOCK_BYTES: usize = 64 * 1024;
/// The most blocks a slot of a data pack holds.
pub const FRAME_BLOCKS_MAX: usize = 16;
/// The most plain bytes a slot holds, in data and in metadata packs.
pub const SLOT_PLAIN_BYTES_MAX: usize = FRAME_BLOCKS_MAX * BLOCK_BYTES;
/// The most slots a pack has.
pub const PACK_SLOTS_MAX: usize = 65_536;
/// The most blocks a pack has.
pub const PACK_BLOCKS_MAX: usize = 65_536;
/// The most stored bytes the slots of a pack have together.
pub const PACK_BYTES_MAX: u64 = 1 << 30;
/// Blocks of a leaf, and children of an inner node.
pub const NODE_FANOUT: usize = 256;
/// Levels of inner nodes above the leaves, at most: enough for 2^56 blocks.
pub const MAP_HEIGHT_MAX: u8 = 6;
