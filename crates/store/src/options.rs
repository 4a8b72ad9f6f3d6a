//! Settings of the engine. They change speed and space, never the format.

use std::path::PathBuf;
use std::thread;

use crate::format::id::Scope;

/// A block from another session is borrowed only with a neighbour. `scripts/bench dedup` measures it:
/// longer runs store more and make restores hardly faster (ADR 18).
const BORROW_RUN_BLOCKS: usize = 2;

/// How a repository is written and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Worker threads of a backup, restore or check. With 0 these calls start no thread and do
    /// everything in the caller's, call after call in an order that repeats: for simulation, and
    /// for programs that may not start threads.
    pub threads: usize,
    /// What the buffers of one backup or restore may take. Two packs and a few megabytes per
    /// thread are the least; packs are made smaller if need be.
    pub memory_bytes: u64,
    /// The level of zstd, 1..=19.
    pub zstd_level: i32,
    /// Blocks that are compressed together, 1..=16. More compress better; fewer cost less when
    /// single blocks are read or replaced.
    pub frame_blocks: u16,
    /// When a data pack is full. Stored bytes.
    pub pack_bytes: u64,
    /// When a pack of map nodes is full. Stored bytes.
    pub map_pack_bytes: u64,
    /// A pack of which fewer percent are needed is rewritten by a reclaim. Packs nobody needs
    /// are always removed.
    pub compact_below_percent: u8,
    /// What all open disks together keep of what was read lately.
    pub read_cache_bytes: u64,
    /// So many new records of a chain (claims, outcomes, deletions) are folded into one object, so
    /// that a long log is not read record by record.
    pub fold_after: u32,
    /// What the hints for blocks that chains share may take, of all tenants together. Less finds
    /// less; nothing else depends on it.
    pub dedup_ram_bytes: u64,
    /// The fewest blocks in a row that are borrowed from what another session has written. Nobody has
    /// to choose it: ADR 18 says what was measured.
    #[doc(hidden)]
    pub borrow_run_blocks: usize,
    /// Where a process leaves what it has read of maps for the next one, in a directory of its own for each
    /// repository (ADR 41). It need not be there, and may be removed at any time. `None`: nowhere.
    pub cache: Option<PathBuf>,
    /// With what chains share blocks that have no version yet: see [`crate::Repository::resolve`].
    pub new_chains: Scope,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: thread::available_parallelism().map_or(2, usize::from).min(16),
            memory_bytes: 192 << 20,
            zstd_level: 3,
            frame_blocks: 16,
            pack_bytes: 64 << 20,
            map_pack_bytes: 8 << 20,
            compact_below_percent: 60,
            read_cache_bytes: 64 << 20,
            fold_after: 32,
            dedup_ram_bytes: 192 << 20,
            borrow_run_blocks: BORROW_RUN_BLOCKS,
            cache: None,
            new_chains: Scope::Volume,
        }
    }
}

/// Buffers of one worker: what it reads, gathers, encodes, seals and decodes again.
const LANE_BYTES: u64 = 12 << 20;
/// So small that a simulated disk has many packs; what a server accepts begins higher.
const PACK_BYTES_MIN: u64 = 1 << 10;

impl Options {
    /// The settings with every value in its legal range and the memory bound kept.
    pub(crate) fn clamped(&self) -> Self {
        let memory_bytes = self.memory_bytes.max(32 << 20);
        let lanes_max = crate::size::to_usize((memory_bytes / 2 / LANE_BYTES).max(1));
        let threads = self.threads.min(lanes_max);
        // One pack is filling while one is being uploaded.
        let lanes = threads.max(1) as u64;
        let for_packs = memory_bytes - (lanes * LANE_BYTES).min(memory_bytes / 2);
        Self {
            threads,
            memory_bytes,
            zstd_level: self.zstd_level.clamp(1, 19),
            frame_blocks: self.frame_blocks.clamp(1, 16),
            pack_bytes: self.pack_bytes.clamp(PACK_BYTES_MIN, 1 << 30).min(for_packs / 2),
            map_pack_bytes: self
                .map_pack_bytes
                .clamp(PACK_BYTES_MIN, 64 << 20)
                .min(memory_bytes / 8),
            compact_below_percent: self.compact_below_percent.min(100),
            read_cache_bytes: self.read_cache_bytes.clamp(8 << 20, 64 << 30),
            fold_after: self.fold_after.max(1),
            dedup_ram_bytes: self.dedup_ram_bytes,
            borrow_run_blocks: self.borrow_run_blocks.clamp(1, 16),
            cache: self.cache.clone(),
            new_chains: self.new_chains,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffers_fit_into_the_memory_whatever_is_asked_for() {
        for (threads, memory_mib) in [(1, 0), (2, 64), (2, 192), (16, 192), (64, 1024), (0, 4096)] {
            let asked = Options { threads, memory_bytes: memory_mib << 20, ..Options::default() };
            let options = asked.clamped();
            let used = 2 * options.pack_bytes + options.threads as u64 * LANE_BYTES;
            assert!(options.threads <= threads && used <= options.memory_bytes, "{options:?}");
            assert_eq!(options.clamped(), options, "clamping twice changes nothing");
        }
        assert_eq!(Options::default().clamped().pack_bytes, 64 << 20);
    }
}
