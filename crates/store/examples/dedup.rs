//! Measures what sharing blocks between chains costs and gains: a disk on its own in both scopes, a
//! disk and its clones, restores by the shortest run that is borrowed, and less and less memory.
//! Bytes, calls of the backend and processor time are the evidence; seconds are those of one machine
//! on one day.
//!
//! ```text
//! cargo run --release -p cbr-store --example dedup -- <empty work directory> [--mib N] [--clones N]
//! ```
#![expect(clippy::print_stdout, reason = "an example prints what it measured")]

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cbr_env::{Clock, Random, RandomExt, SeededRandom, SystemClock, SystemRandom};
use cbr_store::backend::LocalOptions;
use cbr_store::backend::layer::Counting;
use cbr_store::{
    ChainRef, FileSource, Job, LocalBackend, MasterKey, NewFileTarget, Options, Repository, Scope,
    VersionInfo,
};
use uuid::Uuid;

type Anyhow<T> = Result<T, Box<dyn Error>>;

const BLOCK: usize = 65_536;
const TENANT: Uuid = Uuid::from_u128(1);
/// How often a step is measured; the least processor time counts.
const ROUNDS: usize = 3;

/// Writes a disk of which three of four MiB hold data, no two blocks equal.
fn make(path: &Path, mib: u64, seed: u64) -> Anyhow<()> {
    let mut file = File::create(path)?;
    for at in 0..mib {
        let mut part = vec![0; 1 << 20];
        if at % 4 != 3 {
            part.chunks_mut(BLOCK).enumerate().for_each(|(n, block)| {
                fill(block, seed << 32 | at << 8 | n as u64);
            });
        }
        file.write_all(&part)?;
    }
    Ok(file.sync_all()?)
}

/// Half noise, half not.
fn fill(block: &mut [u8], seed: u64) {
    let (noise, rest) = block.split_at_mut(BLOCK / 2);
    SeededRandom::new(seed).fill(noise);
    let line: [u8; 64] = std::array::from_fn(|at| noise[at]);
    rest.chunks_mut(line.len()).for_each(|chunk| chunk.copy_from_slice(&line[..chunk.len()]));
}

/// A copy of a disk of which a tenth of the blocks is different: half of these alone, half in runs of
/// 16.
fn clone(from: &Path, to: &Path, mib: u64, seed: u64) -> Anyhow<()> {
    fs::copy(from, to)?;
    let file = File::options().write(true).open(to)?;
    let random = SeededRandom::new(seed);
    let blocks = mib << 4;
    let mut block = vec![0; BLOCK];
    let mut write = |at: u64| -> Anyhow<()> {
        // What is free stays free.
        if (at >> 4) % 4 != 3 {
            fill(&mut block, (seed << 32 | 1 << 31) + at);
            file.write_all_at(&block, at * BLOCK as u64)?;
        }
        Ok(())
    };
    for _ in 0..blocks / 20 {
        write(number(&random) % blocks)?;
    }
    for _ in 0..blocks / 320 {
        let start = number(&random) % (blocks - 16);
        (start..start + 16).try_for_each(&mut write)?;
    }
    Ok(file.sync_all()?)
}

fn number(random: &SeededRandom) -> u64 {
    u64::from_le_bytes(random.bytes())
}

struct World {
    repository: Repository,
    counting: Arc<Counting>,
    folder: PathBuf,
    scope: Scope,
}

/// What one step took.
#[derive(Clone, Copy, Default)]
struct Took {
    cpu_seconds: f64,
    seconds: f64,
    peak_mib: u64,
    calls: u64,
    bytes_got: u64,
}

impl World {
    fn new(folder: &Path, scope: Scope, options: Options) -> Anyhow<Self> {
        fs::create_dir_all(folder)?;
        let local = LocalBackend::create(folder, LocalOptions::default())?;
        let counting = Arc::new(Counting::new(Arc::new(local)));
        let random = Arc::new(SystemRandom::default());
        let master = MasterKey::generate(random.as_ref());
        let repository = Repository::init(counting.clone(), master, random, options)?;
        Ok(Self { repository, counting, folder: folder.to_owned(), scope })
    }

    fn chain(&self, n: u128) -> ChainRef {
        ChainRef { scope: self.scope, ..ChainRef::alone(TENANT, 0, Uuid::from_u128(n)) }
    }

    fn back_up(&self, n: u128, image: &Path) -> Anyhow<(Took, VersionInfo)> {
        self.step(|| {
            let mut session = self.repository.begin(&self.chain(n), "dedup")?;
            session.write(&FileSource::open(image)?, None, &Job::quiet())?;
            Ok(session.commit(b"dedup")?)
        })
    }

    fn restore(&self, version: &VersionInfo, to: &Path) -> Anyhow<Took> {
        let (took, ()) = self.step(|| {
            let target = NewFileTarget::create(to, version.disk_bytes)?;
            self.repository.restore(&version.version, &target, &Job::quiet())?;
            Ok(target.publish()?)
        })?;
        Ok(took)
    }

    /// Bytes of everything that is stored.
    fn stored(&self) -> Anyhow<u64> {
        let mut folders = vec![self.folder.clone()];
        let mut bytes = 0;
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let meta = entry.metadata()?;
                if meta.is_dir() {
                    folders.push(entry.path());
                } else if !entry.file_name().to_string_lossy().starts_with('.') {
                    bytes += meta.len();
                }
            }
        }
        Ok(bytes)
    }

    fn step<T>(&self, run: impl FnOnce() -> Anyhow<T>) -> Anyhow<(Took, T)> {
        // Resets the peak, so each step shows its own.
        fs::write("/proc/self/clear_refs", "5")?;
        let clock = SystemClock::default();
        let before = self.counting.counts();
        let (began, cpu_began) = (clock.monotonic_micros(), cpu_seconds()?);
        let value = run()?;
        let cpu_seconds = cpu_seconds()? - cpu_began;
        let seconds = (clock.monotonic_micros() - began) as f64 / 1e6;
        let after = self.counting.counts();
        let calls = |c: &cbr_store::backend::layer::Counts| {
            c.puts + c.gets + c.range_gets + c.sizes + c.lists + c.deletes
        };
        let (calls, bytes_got) =
            (calls(&after) - calls(&before), after.bytes_got - before.bytes_got);
        let peak_mib = peak_rss_mib()?;
        Ok((Took { cpu_seconds, seconds, peak_mib, calls, bytes_got }, value))
    }
}

fn name(scope: Scope) -> &'static str {
    match scope {
        Scope::Volume => "disk",
        Scope::Tenant => "tenant",
    }
}

fn row(title: &str, took: &Took, stored: u64) {
    let Took { cpu_seconds, seconds, peak_mib, calls, bytes_got } = took;
    let (stored, got) = (stored as f64 / 1e6, *bytes_got as f64 / 1e6);
    println!(
        "| {title} | {cpu_seconds:.2} | {seconds:.2} | {peak_mib} | {calls} | {got:.1} | {stored:.1} |"
    );
}

fn head(title: &str) {
    println!("\n{title}\n\n| step | CPU s | s | peak MiB | calls | MB got | MB stored |");
    println!("| --- | --: | --: | --: | --: | --: | --: |");
}

/// The one with the least processor time.
fn least(rounds: &[(Took, u64)]) -> (Took, u64) {
    let least = rounds.iter().min_by(|a, b| a.0.cpu_seconds.total_cmp(&b.0.cpu_seconds));
    least.copied().unwrap_or_default()
}

/// What a disk pays that has nobody to share with.
fn alone(work: &Path, base: &Path, changed: &Path) -> Anyhow<()> {
    head("A disk on its own (the least of three)");
    let steps = ["full", "unchanged", "10 % changed"];
    for scope in [Scope::Volume, Scope::Tenant] {
        let mut all = vec![Vec::new(); steps.len()];
        for _ in 0..ROUNDS {
            let world = World::new(&work.join("alone"), scope, Options::default())?;
            let mut before = 0;
            for (at, image) in [base, base, changed].into_iter().enumerate() {
                let (took, _) = world.back_up(2, image)?;
                let stored = world.stored()?;
                all[at].push((took, stored - before));
                before = stored;
            }
            fs::remove_dir_all(&world.folder)?;
        }
        for (step, rounds) in steps.iter().zip(&all) {
            let (took, stored) = least(rounds);
            row(&format!("{step}, {}", name(scope)), &took, stored);
        }
    }
    Ok(())
}

/// A disk and its clones.
fn clones(work: &Path, base: &Path, mib: u64, count: u64) -> Anyhow<()> {
    head(&format!("A disk and {count} clones, 10 % changed in each; sums over all"));
    let image = work.join("clone.raw");
    for scope in [Scope::Volume, Scope::Tenant] {
        let world = World::new(&work.join("clones"), scope, Options::default())?;
        let (mut sum, _) = world.back_up(2, base)?;
        let mut last = None;
        for n in 0..count {
            clone(base, &image, mib, 100 + n)?;
            let (took, version) = world.back_up(3 + u128::from(n), &image)?;
            sum.cpu_seconds += took.cpu_seconds;
            sum.seconds += took.seconds;
            sum.calls += took.calls;
            sum.bytes_got += took.bytes_got;
            sum.peak_mib = sum.peak_mib.max(took.peak_mib);
            last = Some(version);
        }
        row(&format!("backups, {}", name(scope)), &sum, world.stored()?);
        if let Some(version) = last {
            let mut rounds = Vec::new();
            for _ in 0..ROUNDS {
                rounds.push((restored(&world, &version, &image, work)?, 0));
            }
            row(&format!("restore of the last, {}", name(scope)), &least(&rounds).0, 0);
        }
        fs::remove_dir_all(&world.folder)?;
    }
    Ok(fs::remove_file(&image)?)
}

/// Restores, and compares with what was backed up.
fn restored(world: &World, version: &VersionInfo, image: &Path, work: &Path) -> Anyhow<Took> {
    let to = work.join("restored.raw");
    let took = world.restore(version, &to)?;
    assert!(fs::read(&to)? == fs::read(image)?, "the restored disk differs");
    fs::remove_file(&to)?;
    Ok(took)
}

/// The shortest run that is borrowed: space against the speed of restores.
fn runs(work: &Path, base: &Path, mib: u64) -> Anyhow<()> {
    head("The shortest run that is borrowed, in blocks: a clone with 10 % changed");
    let image = work.join("clone.raw");
    clone(base, &image, mib, 100)?;
    for run in [1, 2, 4, 8] {
        let options = Options { borrow_run_blocks: run, ..Options::default() };
        let world = World::new(&work.join("runs"), Scope::Tenant, options)?;
        world.back_up(2, base)?;
        let before = world.stored()?;
        let (took, version) = world.back_up(3, &image)?;
        row(&format!("backup, {run}"), &took, world.stored()? - before);
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push((restored(&world, &version, &image, work)?, 0));
        }
        row(&format!("restore, {run}"), &least(&rounds).0, 0);
        fs::remove_dir_all(&world.folder)?;
    }
    Ok(fs::remove_file(&image)?)
}

/// Less memory finds less, and takes no more than it says.
fn memory(work: &Path, base: &Path, mib: u64) -> Anyhow<()> {
    head("Memory for hints: a clone with 10 % changed, and less and less memory");
    let image = work.join("clone.raw");
    clone(base, &image, mib, 100)?;
    for kib in [192 << 10, 16 << 10, 4 << 10, 1 << 10, 128, 0] {
        let options = Options { dedup_ram_bytes: kib << 10, ..Options::default() };
        let world = World::new(&work.join("memory"), Scope::Tenant, options)?;
        world.back_up(2, base)?;
        let before = world.stored()?;
        let (took, _) = world.back_up(3, &image)?;
        row(&format!("{kib} KiB"), &took, world.stored()? - before);
        fs::remove_dir_all(&world.folder)?;
    }
    Ok(fs::remove_file(&image)?)
}

/// Processor time of all threads, in the program and in the kernel.
fn cpu_seconds() -> Anyhow<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().ok_or("no stat")?.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    Ok((ticks(11).ok_or("no utime")? + ticks(12).ok_or("no stime")?) / 100.0)
}

fn peak_rss_mib() -> Anyhow<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.split_whitespace().nth(1).ok_or("no figure")?.parse::<u64>()? / 1024)
}

fn main() -> Anyhow<()> {
    let usage = "dedup <empty work directory> [--mib N] [--clones N]";
    let mut arguments = std::env::args().skip(1);
    let work: PathBuf = arguments.next().ok_or(usage)?.into();
    let (mut mib, mut counts) = (512, vec![2, 10]);
    while let Some(option) = arguments.next() {
        let value: u64 = arguments.next().ok_or(usage)?.parse()?;
        match option.as_str() {
            "--mib" => mib = value,
            "--clones" => counts = vec![value],
            _ => return Err(usage.into()),
        }
    }
    fs::create_dir_all(&work)?;
    let (base, changed) = (work.join("base.raw"), work.join("changed.raw"));
    make(&base, mib, 1)?;
    clone(&base, &changed, mib, 99)?;
    println!("Disks of {mib} MiB, three quarters in use; blocks half noise.");
    alone(&work, &base, &changed)?;
    for count in counts {
        clones(&work, &base, mib, count)?;
    }
    runs(&work, &base, mib)?;
    memory(&work, &base, mib)
}
