//! How many requests a backup, a restore and a deletion make of a backend, per GiB.
//!
//! ```text
//! cargo run --release -p cbr-store --example requests
//! ```
//! What an object store is paid for. One GiB of data that does not compress; then 1 % of its 64 KiB
//! blocks, scattered, are changed.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use cbr_env::SeededRandom;
use cbr_store::backend::layer::{Counting, Counts};
use cbr_store::backend::{Backend, MemoryBackend};
use cbr_store::{
    BlockSource, BlockTarget, ChainRef, CheckDepth, Job, MasterKey, Options, Repository,
};
use uuid::Uuid;

const GIB: u64 = 1 << 30;
const BLOCK: u64 = 1 << 16;

/// A disk of noise; every hundredth block differs from one generation to the next.
struct Noise {
    generation: u64,
}

impl BlockSource for Noise {
    fn size_bytes(&self) -> u64 {
        GIB
    }

    #[expect(clippy::single_range_in_vec_init, reason = "one extent")]
    fn extents(&self) -> io::Result<Vec<Range<u64>>> {
        Ok(vec![0..GIB])
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        for (word, bytes) in into.chunks_mut(8).enumerate() {
            let position = offset + word as u64 * 8;
            let block = position / BLOCK;
            let generation = if block % 100 == 7 { self.generation } else { 0 };
            let mut noise = (position ^ generation << 48).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            noise = (noise ^ noise >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            bytes.copy_from_slice(&(noise ^ noise >> 32).to_le_bytes()[..bytes.len()]);
        }
        Ok(())
    }
}

/// Somewhere to restore to that keeps nothing.
struct Nowhere;

impl BlockTarget for Nowhere {
    fn size_bytes(&self) -> u64 {
        GIB
    }

    fn is_known_zero(&self) -> bool {
        true
    }

    fn write_at(&self, _: u64, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn zero(&self, _: Range<u64>) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let counting = Arc::new(Counting::new(Arc::new(MemoryBackend::default())));
    let backend = Arc::clone(&counting) as Arc<dyn Backend>;
    let random = Arc::new(SeededRandom::new(1));
    let master = MasterKey::from_bytes([7; 32]);
    let repository = Repository::init(backend, master, random, Options::default())?;
    let chain = ChainRef::alone(Uuid::from_u128(1), 0, Uuid::from_u128(2));
    let mut before = counting.counts();
    let mut report = |what: &str| {
        let now = counting.counts();
        print(what, &before, &now);
        before = now;
    };

    let mut made = Vec::new();
    for (generation, what) in [(0, "full backup"), (0, "no change"), (1, "1 % changed")] {
        let mut session = repository.begin(&chain, what)?;
        session.write(&Noise { generation }, None, &Job::quiet())?;
        made.push(session.commit(b"")?);
        report(what);
    }
    repository.restore(&made[2].version, &Nowhere, &Job::quiet())?;
    report("restore");
    repository.check(CheckDepth::Structure, &Job::quiet())?;
    report("check");
    repository.delete(&chain, &[made[0].version.seq])?;
    report("delete the first");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "that is what it is for")]
fn print(what: &str, before: &Counts, now: &Counts) {
    println!(
        "{what:17} put {:4}  get {:4}  range get {:4}  head {:3}  list {:3}  delete {:3}  \
         sent {:5} MiB  received {:5} MiB",
        now.puts - before.puts,
        now.gets - before.gets,
        now.range_gets - before.range_gets,
        now.sizes - before.sizes,
        now.lists - before.lists,
        now.deletes - before.deletes,
        (now.bytes_put - before.bytes_put) >> 20,
        (now.bytes_got - before.bytes_got) >> 20,
    );
}
