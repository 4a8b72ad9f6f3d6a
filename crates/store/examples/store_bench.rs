//! Measures the store on a raw disk image: full backup, backup without changes, incremental
//! backup after scattered writes without and with a change map, restore; time, processor time,
//! stored bytes and peak memory of each. Times include making everything durable, so the disk
//! under the work directory counts; the processor time tells how much of it was work.
//!
//! ```text
//! cargo run --release -p cbr-store --example store_bench -- <image> <work directory> [--level N]
//!     [--frame BLOCKS] [--threads N] [--writes N] [--pack-mib N] [--memory-mib N] [--json]
//!     [--until full|no-change|increment|restore]
//! ```
//! The image is only read; the scattered writes go to a copy of it in the work directory, which
//! must be empty or absent and is left behind for a look at the repository.
#![expect(clippy::print_stdout, reason = "an example prints what it measured")]

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use cbr_env::{Clock, RandomExt, SeededRandom, SystemClock, SystemRandom};
use cbr_store::backend::LocalOptions;
use cbr_store::{
    BlockSource, ChainRef, CheckDepth, FileSource, Job, LocalBackend, MasterKey, NewFileTarget,
    Options, Repository, VersionInfo,
};

type Anyhow<T> = Result<T, Box<dyn Error>>;

struct Arguments {
    image: PathBuf,
    work: PathBuf,
    writes: u64,
    until: String,
    json: bool,
    options: Options,
}

/// What one step took.
struct Took {
    name: String,
    seconds: f64,
    cpu_seconds: f64,
    bytes: u64,
    stored_bytes: u64,
    peak_mib: u64,
}

struct Bench {
    clock: SystemClock,
    took: Vec<Took>,
    repository: Repository,
    chain: ChainRef,
    arguments: Arguments,
}

fn main() -> Anyhow<()> {
    let arguments = parse()?;
    fs::create_dir_all(arguments.work.join("repo"))?;
    let backend = LocalBackend::create(&arguments.work.join("repo"), LocalOptions::default())?;
    let random = Arc::new(SystemRandom::default());
    let master = MasterKey::generate(random.as_ref());
    let options = arguments.options.clone();
    let repository = Repository::init(Arc::new(backend), master, random.clone(), options)?;
    let chain = ChainRef::alone(random.uuid(), 0, random.uuid());
    let (clock, took) = (SystemClock::default(), Vec::new());
    let mut bench = Bench { clock, took, repository, chain, arguments };
    bench.run()?;
    bench.print();
    Ok(())
}

impl Bench {
    fn run(&mut self) -> Anyhow<()> {
        let image = self.arguments.image.clone();
        let first = self.step("full", |bench| bench.backup(&image, None))?;
        if self.arguments.until == "full" {
            return Ok(());
        }
        self.step("no change", |bench| bench.backup(&image, None))?;
        if self.arguments.until == "no-change" {
            return Ok(());
        }
        let copy = self.arguments.work.join("changed.raw");
        let copied = Command::new("cp").arg("--sparse=always").arg(&image).arg(&copy).status()?;
        assert!(copied.success(), "cp failed");
        scatter(&copy, self.arguments.writes, 1)?;
        let last = self.step("increment", |bench| bench.backup(&copy, None))?;
        if self.arguments.until == "increment" {
            return Ok(());
        }
        self.step("4 000 random reads", |bench| bench.read_pages(&first, &image))?;
        self.restore("restore of the first", &first, &image)?;
        self.restore("restore of the last", &last, &copy)?;
        let changed = scatter(&copy, self.arguments.writes, 2)?;
        let mapped = self.step("with a change map", |bench| bench.backup(&copy, Some(&changed)))?;
        self.restore("restore of that", &mapped, &copy)?;
        if self.arguments.until == "restore" {
            return Ok(());
        }
        self.step("check --read-data", |bench| {
            let report = bench.repository.check(CheckDepth::ReadData, &Job::quiet())?;
            assert!(report.is_clean(), "{report:?}");
            Ok((report.read_bytes, report.read_bytes, ()))
        })?;
        self.step("delete of the first", |bench| {
            let seqs = [first.version.seq];
            let preview = bench.repository.preview_delete(&bench.chain, &seqs)?;
            let freed = bench.repository.delete(&bench.chain, &seqs)?;
            assert_eq!(preview, freed.freed_bytes, "what was promised is what was freed");
            Ok((0, freed.removed_object_bytes, ()))
        })
    }

    fn backup(
        &self,
        image: &Path,
        changed: Option<&[Range<u64>]>,
    ) -> Anyhow<(u64, u64, VersionInfo)> {
        let source = FileSource::open(image)?;
        let mut session = self.repository.begin(&self.chain, "store_bench")?;
        let stats = session.write(&source, changed, &Job::quiet())?;
        let version = session.commit(b"store_bench")?;
        Ok((stats.read_bytes, stats.stored_bytes, version))
    }

    /// Reads pages from all over a version that nobody has read yet, one at a time, as a mounted or
    /// booted backup is read. They must be what was backed up.
    fn read_pages(&self, version: &VersionInfo, expected: &Path) -> Anyhow<(u64, u64, ())> {
        const READS: u64 = 4000;
        let (disk, source) =
            (self.repository.open_disk(&version.version)?, FileSource::open(expected)?);
        let (mut page, mut same) = ([0; 4096], [0; 4096]);
        for at in pages(&source.extents()?, READS, 3) {
            disk.read_at(at, &mut page)?;
            source.read_at(at, &mut same)?;
            assert_eq!(page, same, "the page at {at} differs");
        }
        Ok((READS * 4096, 0, ()))
    }

    /// Restores a version to a new file, which must be what was backed up.
    fn restore(&mut self, name: &str, version: &VersionInfo, expected: &Path) -> Anyhow<()> {
        let restored = self.arguments.work.join("restored.raw");
        self.step(name, |bench| {
            let target = NewFileTarget::create(&restored, version.disk_bytes)?;
            let stats = bench.repository.restore(&version.version, &target, &Job::quiet())?;
            target.publish()?;
            Ok((stats.written_bytes, stats.fetched_bytes, ()))
        })?;
        assert_same(&restored, expected)?;
        Ok(fs::remove_file(&restored)?)
    }

    /// Runs one step, which returns bytes dealt with, bytes stored or fetched, and a value.
    fn step<T>(
        &mut self,
        name: &str,
        run: impl FnOnce(&Self) -> Anyhow<(u64, u64, T)>,
    ) -> Anyhow<T> {
        // Resets the peak, so each step shows its own.
        fs::write("/proc/self/clear_refs", "5")?;
        let (began, cpu_began) = (self.clock.monotonic_micros(), cpu_seconds()?);
        let (bytes, stored_bytes, value) = run(self)?;
        let cpu_seconds = cpu_seconds()? - cpu_began;
        let seconds = (self.clock.monotonic_micros() - began) as f64 / 1e6;
        let (name, peak_mib) = (name.to_owned(), peak_rss_mib()?);
        self.took.push(Took { name, seconds, cpu_seconds, bytes, stored_bytes, peak_mib });
        Ok(value)
    }

    fn print(&self) {
        if self.arguments.json {
            let rows: Vec<String> = self.took.iter().map(Took::json).collect();
            println!("[{}]", rows.join(",\n"));
            return;
        }
        println!("step                  seconds  CPU s    MB/s   stored bytes  peak MiB");
        for took in &self.took {
            let Took { name, seconds, cpu_seconds, bytes, stored_bytes, peak_mib } = took;
            let speed = *bytes as f64 / seconds / 1e6;
            println!(
                "{name:<21} {seconds:>7.2} {cpu_seconds:>6.2} {speed:>7.0} {stored_bytes:>14} {peak_mib:>9}"
            );
        }
    }
}

impl Took {
    fn json(&self) -> String {
        let Self { name, seconds, cpu_seconds, bytes, stored_bytes, peak_mib } = self;
        format!(
            "{{\"step\": \"{name}\", \"seconds\": {seconds:.3}, \"cpu_seconds\": {cpu_seconds:.2}, \
             \"bytes\": {bytes}, \"stored_bytes\": {stored_bytes}, \"peak_mib\": {peak_mib}}}"
        )
    }
}

/// Compares two sparse files without reading what both have as holes.
fn assert_same(one: &Path, other: &Path) -> Anyhow<()> {
    let (one, other) = (FileSource::open(one)?, FileSource::open(other)?);
    assert_eq!(one.size_bytes(), other.size_bytes(), "the restored disk has another size");
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    // What is data in either of them must be the same in both.
    for extent in one.extents()?.into_iter().chain(other.extents()?) {
        let mut at = extent.start;
        while at < extent.end {
            let length = usize::try_from((extent.end - at).min(1 << 20))?;
            one.read_at(at, &mut left[..length])?;
            other.read_at(at, &mut right[..length])?;
            assert!(left[..length] == right[..length], "the restored disk differs at {at}");
            at += length as u64;
        }
    }
    Ok(())
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
    let kib: u64 = line.split_whitespace().nth(1).ok_or("no figure")?.parse()?;
    Ok(kib / 1024)
}

/// Overwrites `writes` pages anywhere in the allocated part of the disk, for a seed always the
/// same ones; returns their ranges.
fn scatter(image: &Path, writes: u64, seed: u64) -> Anyhow<Vec<Range<u64>>> {
    let file: File = OpenOptions::new().read(true).write(true).open(image)?;
    let random = SeededRandom::new(seed ^ 1);
    let mut written = Vec::new();
    for page in pages(&FileSource::open(image)?.extents()?, writes, seed) {
        file.write_all_at(&random.bytes::<4096>(), page)?;
        written.push(page..page + 4096);
    }
    file.sync_all()?;
    Ok(written)
}

/// The places of `count` pages anywhere in `extents`.
fn pages(extents: &[Range<u64>], count: u64, seed: u64) -> Vec<u64> {
    let total: u64 = extents.iter().map(|extent| extent.end - extent.start).sum();
    let random = SeededRandom::new(seed);
    let place = || {
        let mut at = u64::from_le_bytes(random.bytes()) % total;
        for extent in extents {
            let length = extent.end - extent.start;
            if at < length {
                return (extent.start + at) & !4095;
            }
            at -= length;
        }
        unreachable!("the place is within the extents")
    };
    (0..count).map(|_| place()).collect()
}

fn parse() -> Anyhow<Arguments> {
    let usage = "store_bench <image> <work directory> [--level N] [--frame N] [--threads N] \
                 [--writes N] [--pack-mib N] [--memory-mib N] [--until STEP] [--json]";
    let mut rest = std::env::args_os().skip(1);
    let (image, work) = (rest.next().ok_or(usage)?.into(), rest.next().ok_or(usage)?.into());
    let (options, until) = (Options::default(), "delete".to_owned());
    let mut arguments = Arguments { image, work, writes: 4000, until, json: false, options };
    while let Some(name) = rest.next() {
        if name == "--json" {
            arguments.json = true;
            continue;
        }
        let value = rest.next().and_then(|value| value.into_string().ok()).ok_or(usage)?;
        let options = &mut arguments.options;
        match name.to_str() {
            Some("--level") => options.zstd_level = value.parse()?,
            Some("--frame") => options.frame_blocks = value.parse()?,
            Some("--threads") => options.threads = value.parse()?,
            Some("--writes") => arguments.writes = value.parse()?,
            Some("--until") => arguments.until = value,
            Some("--memory-mib") => options.memory_bytes = value.parse::<u64>()? << 20,
            Some("--pack-mib") => options.pack_bytes = value.parse::<u64>()? << 20,
            _ => return Err(usage.into()),
        }
    }
    Ok(arguments)
}
