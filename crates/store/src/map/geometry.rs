//! Where a byte of the disk lies in the map: blocks, leaves, inner nodes.
//!
//! A block is 64 KiB, a leaf maps 256 blocks (16 MiB), an inner node of level `n` points to 256
//! nodes of level `n - 1`; leaves have level 0. The root of a disk has the lowest level whose one
//! node covers it, so a disk that grows gets a new root above the old one.

use std::ops::Range;

/// Bytes of a block.
pub(crate) const BLOCK_BYTES: u64 = 64 << 10;
/// Blocks a leaf maps.
pub(crate) const LEAF_BLOCKS: u64 = 256;
/// Children of an inner node.
pub(crate) const FANOUT: u64 = 256;
/// Bytes a leaf maps.
pub(crate) const LEAF_BYTES: u64 = BLOCK_BYTES * LEAF_BLOCKS;
/// The highest level a root can have: 2^64 bytes are 2^40 leaves, 5 levels of 256.
pub(crate) const LEVEL_MAX: u8 = 5;

/// How many blocks a disk has, the last one perhaps short.
pub(crate) const fn blocks(disk_bytes: u64) -> u64 {
    disk_bytes.div_ceil(BLOCK_BYTES)
}

/// How many leaves cover a disk.
pub(crate) const fn leaves(disk_bytes: u64) -> u64 {
    disk_bytes.div_ceil(LEAF_BYTES)
}

/// How many leaves one node of `level` covers.
pub(crate) const fn leaves_below(level: u8) -> u64 {
    1 << (8 * level as u32)
}

/// The level of the root of a disk.
pub(crate) fn root_level(disk_bytes: u64) -> u8 {
    (0..LEVEL_MAX).find(|level| leaves_below(*level) >= leaves(disk_bytes)).unwrap_or(LEVEL_MAX)
}

/// The bytes of block `block`, cut at the end of the disk.
pub(crate) fn block_range(block: u64, disk_bytes: u64) -> Range<u64> {
    let start = block * BLOCK_BYTES;
    start.min(disk_bytes)..(start.saturating_add(BLOCK_BYTES)).min(disk_bytes)
}

/// The blocks of leaf `leaf` that a disk of `disk_bytes` has, as indexes within the leaf.
pub(crate) fn leaf_blocks(leaf: u64, disk_bytes: u64) -> u64 {
    blocks(disk_bytes).saturating_sub(leaf * LEAF_BLOCKS).min(LEAF_BLOCKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_as_low_as_the_disk_allows() {
        let cases: [(u64, u8); 8] = [
            (0, 0),
            (1, 0),
            (LEAF_BYTES, 0),
            (LEAF_BYTES + 1, 1),
            (LEAF_BYTES * 256, 1),
            (LEAF_BYTES * 256 + 1, 2),
            (LEAF_BYTES * 65536, 2),
            (u64::MAX, 5),
        ];
        for (disk_bytes, level) in cases {
            assert_eq!(root_level(disk_bytes), level, "{disk_bytes}");
        }
    }

    #[test]
    fn the_last_block_and_the_last_leaf_are_cut_at_the_end_of_the_disk() {
        let disk = LEAF_BYTES + 3 * BLOCK_BYTES + 5;
        assert_eq!((blocks(disk), leaves(disk)), (260, 2));
        assert_eq!((leaf_blocks(0, disk), leaf_blocks(1, disk), leaf_blocks(2, disk)), (256, 4, 0));
        assert_eq!(block_range(259, disk), (259 * BLOCK_BYTES)..disk);
        assert_eq!(block_range(300, disk), disk..disk);
    }
}
