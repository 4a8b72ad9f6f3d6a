//! Measures how costs grow: increments, deletions and what-ifs of chains with 10, 100 and 1 000
//! versions, and of disks of 8 GiB, 128 GiB and 1 TiB with equally much on them. Calls of the
//! backend and bytes are the evidence; seconds are those of one machine on one day.
//!
//! ```text
//! cargo run --release -p cbr-store --example growth -- <empty work directory> \
//!     [--versions N,N,N] [--size GIB]
//! ```
#![expect(clippy::print_stdout, reason = "an example prints what it measured")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cbr_env::{Clock, RandomExt, SeededRandom, SystemClock, SystemRandom};
use cbr_store::backend::LocalOptions;
use cbr_store::backend::layer::{Counting, Counts};
use cbr_store::{BlockSource, ChainRef, Job, LocalBackend, MasterKey, Options, Repository};

type Anyhow<T> = Result<T, Box<dyn Error>>;

const BLOCK: u64 = 65_536;
const BLOCK_LEN: usize = 65_536;
const GIB: u64 = 1 << 30;
/// Blocks in use, and blocks that an increment replaces.
const USED_BLOCKS: u64 = 2048;
const CHANGED_BLOCKS: u64 = 16;

/// A disk whose blocks in use lie evenly all over it.
struct Sparse {
    size: u64,
    /// What each block holds, as a seed.
    blocks: BTreeMap<u64, u64>,
}

impl Sparse {
    fn new(size: u64) -> Self {
        let gap = size / BLOCK / USED_BLOCKS;
        Self { size, blocks: (0..USED_BLOCKS).map(|n| (n * gap, n)).collect() }
    }

    /// Replaces some blocks; which, and what they hold then, follows from `seed`.
    fn change(&mut self, seed: u64) -> Vec<Range<u64>> {
        let random = SeededRandom::new(seed);
        let places: Vec<u64> = self.blocks.keys().copied().collect();
        let mut changed = BTreeSet::new();
        while (changed.len() as u64) < CHANGED_BLOCKS {
            let at = u64::from_le_bytes(random.bytes()) % USED_BLOCKS;
            changed.extend(usize::try_from(at).ok().and_then(|at| places.get(at)));
        }
        let mut ranges = Vec::new();
        for block in changed {
            self.blocks.insert(block, (seed << 16) | (block % BLOCK));
            ranges.push(block * BLOCK..(block + 1) * BLOCK);
        }
        ranges
    }
}

impl BlockSource for Sparse {
    fn size_bytes(&self) -> u64 {
        self.size
    }

    fn extents(&self) -> io::Result<Vec<Range<u64>>> {
        Ok(self.blocks.keys().map(|block| block * BLOCK..(block + 1) * BLOCK).collect())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        for (at, part) in (offset / BLOCK..).zip(into.chunks_mut(BLOCK_LEN)) {
            let seed = self.blocks.get(&at).copied().unwrap_or(0);
            // Half of it noise, half of it not.
            let noise: [u8; 32] = SeededRandom::new(seed).bytes();
            for (n, piece) in part.chunks_mut(32).enumerate() {
                let piece_noise = if n % 2 == 0 { mixed(&noise, n) } else { noise };
                piece.copy_from_slice(&piece_noise[..piece.len()]);
            }
        }
        Ok(())
    }
}

/// Other noise for each place.
fn mixed(seed: &[u8; 32], n: usize) -> [u8; 32] {
    let mut other = *seed;
    for (byte, by) in other.iter_mut().zip(SeededRandom::new(n as u64).bytes::<32>()) {
        *byte ^= by;
    }
    other
}

struct World {
    repository: Repository,
    counting: Arc<Counting>,
    master: [u8; 32],
    chain: ChainRef,
    clock: SystemClock,
}

impl World {
    fn new(work: &Path) -> Anyhow<Self> {
        fs::create_dir_all(work)?;
        let local = LocalBackend::create(work, LocalOptions::default())?;
        let counting = Arc::new(Counting::new(Arc::new(local)));
        let random = Arc::new(SystemRandom::default());
        let master = random.bytes();
        let chain = ChainRef::alone(random.uuid(), 0, random.uuid());
        let key = MasterKey::from_bytes(master);
        let repository = Repository::init(counting.clone(), key, random, Options::default())?;
        Ok(Self { repository, counting, master, chain, clock: SystemClock::default() })
    }

    /// As another process has it, which remembers nothing but what others left in this cache.
    fn opened_anew(&self, cache: Option<&Path>) -> Anyhow<Repository> {
        let (key, random) = (MasterKey::from_bytes(self.master), SystemRandom::default());
        let options = Options { cache: cache.map(Path::to_owned), ..Options::default() };
        Ok(Repository::open(self.counting.clone(), key, Arc::new(random), options)?)
    }

    fn back_up(&self, disk: &Sparse, changed: Option<&[Range<u64>]>) -> Anyhow<u64> {
        let mut session = self.repository.begin(&self.chain, "growth")?;
        session.write(disk, changed, &Job::quiet())?;
        Ok(session.commit(b"card")?.version.seq)
    }

    /// Runs one step and prints its row.
    fn step<T>(&self, name: &str, run: impl FnOnce() -> Anyhow<T>) -> Anyhow<T> {
        fs::write("/proc/self/clear_refs", "5")?;
        let (before, began) = (self.counting.counts(), self.clock.monotonic_micros());
        let value = run()?;
        let milliseconds = (self.clock.monotonic_micros() - began) as f64 / 1000.0;
        let c = since(&before, &self.counting.counts());
        println!(
            "| {name} | {} | {} | {} | {} | {} | {} | {:.1} | {:.1} | {milliseconds:.1} | {} |",
            c.puts,
            c.gets,
            c.range_gets,
            c.sizes,
            c.lists,
            c.deletes,
            c.bytes_put as f64 / 1e3,
            c.bytes_got as f64 / 1e3,
            peak_rss_mb()?,
        );
        Ok(value)
    }
}

fn since(before: &Counts, after: &Counts) -> Counts {
    Counts {
        puts: after.puts - before.puts,
        gets: after.gets - before.gets,
        range_gets: after.range_gets - before.range_gets,
        sizes: after.sizes - before.sizes,
        lists: after.lists - before.lists,
        deletes: after.deletes - before.deletes,
        bytes_put: after.bytes_put - before.bytes_put,
        bytes_got: after.bytes_got - before.bytes_got,
    }
}

fn peak_rss_mb() -> Anyhow<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.split_whitespace().nth(1).ok_or("no figure")?.parse::<u64>()? * 1024 / 1_000_000)
}

fn head(title: &str) {
    println!("\n{title}\n");
    println!(
        "| step | puts | gets | range gets | sizes | lists | deletes | kB put | kB got | ms | peak MB |"
    );
    println!("| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |");
}

/// One chain that grows to each of `counts` versions.
fn by_versions(work: &Path, counts: &[u64], gib: u64) -> Anyhow<()> {
    head(&format!("By versions: a {gib} GiB disk, 128 MiB in use, 1 MiB changed per increment"));
    let world = World::new(&work.join("repository"))?;
    let mut disk = Sparse::new(gib * GIB);
    let mut made = 0;
    for count in counts {
        while made + 1 < *count {
            let changed = disk.change(made);
            world.back_up(&disk, Some(&changed))?;
            made += 1;
        }
        let changed = disk.change(made);
        let versions = world.step(&format!("increment, {count} versions"), || {
            world.back_up(&disk, Some(&changed))
        })?;
        made += 1;
        let what_if = format!("what-if, {count} versions");
        let usage = world.step(&what_if, || Ok(world.repository.usage(&world.chain)?))?;
        let half: BTreeSet<u64> = (1..=versions).filter(|seq| seq % 2 == 0).collect();
        let one = BTreeSet::from([versions / 2]);
        let began = world.clock.monotonic_micros();
        let (freed_half, freed_one) = (usage.freed_bytes(&half), usage.freed_bytes(&one));
        let micros = world.clock.monotonic_micros() - began;
        println!("| two sets of it, in memory: {freed_half} and {freed_one} bytes, {micros} us |");
        let freed = world.step(&format!("delete one, {count} versions"), || {
            Ok(world.repository.delete(&world.chain, &[versions / 2])?)
        })?;
        assert_eq!(freed.freed_bytes, freed_one, "what was promised is what was freed");
        // What a process costs that has deleted before, and one that has not.
        world.step(&format!("delete another, {count} versions"), || {
            Ok(world.repository.delete(&world.chain, &[versions / 2 + 1])?)
        })?;
        let fresh = world.opened_anew(None)?;
        world.step(&format!("delete a third in a new process, {count} versions"), || {
            Ok(fresh.delete(&world.chain, &[versions / 2 - 1])?)
        })?;
        drop(fresh);
        with_cache(&world, &work.join(format!("cache{count}")), (count, versions))?;
    }
    Ok(())
}

/// Deletions of processes that leave what they read for the next one.
fn with_cache(world: &World, cache: &Path, (count, versions): (&u64, u64)) -> Anyhow<()> {
    let names = ["that has nothing yet", "that has what the one before read"];
    for (name, seq) in names.into_iter().zip([versions / 2 + 2, versions / 2 - 2]) {
        let fresh = world.opened_anew(Some(cache))?;
        world.step(
            &format!("delete in a new process with a cache {name}, {count} versions"),
            || Ok(fresh.delete(&world.chain, &[seq])?),
        )?;
        let mut bytes = 0;
        for of_repository in fs::read_dir(cache)? {
            for file in fs::read_dir(of_repository?.path())? {
                bytes += file?.metadata()?.len();
            }
        }
        println!("| the cache has {bytes} bytes then |");
        if seq < versions / 2 {
            world.step(&format!("its next deletion, {count} versions"), || {
                Ok(fresh.delete(&world.chain, &[versions / 2 + 3])?)
            })?;
            let began = world.clock.monotonic_micros();
            let (right, wrong) = world.opened_anew(Some(cache))?.compare_kept_maps(&world.chain)?;
            let micros = world.clock.monotonic_micros() - began;
            println!(
                "| {right} of its nodes compared with the maps in {micros} us, {wrong} wrong |"
            );
        }
    }
    Ok(())
}

/// Disks of different sizes with the same blocks on them.
fn by_size(work: &Path) -> Anyhow<()> {
    head("By size: 128 MiB in use all over the disk, 1 MiB changed per increment");
    for (name, size) in [("8 GiB", 8 * GIB), ("128 GiB", 128 * GIB), ("1 TiB", 1024 * GIB)] {
        let world = World::new(&work.join(name.replace(' ', "")))?;
        let mut disk = Sparse::new(size);
        world.step(&format!("first backup, {name}"), || world.back_up(&disk, None))?;
        let changed = disk.change(1);
        world.step(&format!("increment with a change map, {name}"), || {
            world.back_up(&disk, Some(&changed))
        })?;
        disk.change(2);
        world.step(&format!("increment without, {name}"), || world.back_up(&disk, None))?;
        world.step(&format!("what-if, {name}"), || Ok(world.repository.usage(&world.chain)?))?;
        world.step(&format!("delete the first, {name}"), || {
            Ok(world.repository.delete(&world.chain, &[1])?)
        })?;
    }
    Ok(())
}

fn main() -> Anyhow<()> {
    let usage = "growth <empty work directory> [--versions N,N,N] [--size GIB]";
    let mut arguments = std::env::args().skip(1);
    let work: PathBuf = arguments.next().ok_or(usage)?.into();
    let (mut counts, mut gib) = (vec![10, 100, 1000], None);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or(usage)?;
        match name.as_str() {
            "--versions" => counts = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
            "--size" => gib = Some(value.parse()?),
            _ => return Err(usage.into()),
        }
    }
    by_versions(&work.join("versions"), &counts, gib.unwrap_or(8))?;
    match gib {
        Some(_) => Ok(()),
        None => by_size(&work.join("sizes")),
    }
}
