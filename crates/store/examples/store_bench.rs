//! Measures the store on a raw disk image: full backup, backup without changes, incremental
//! backup after scattered writes, restore; time, stored bytes and peak memory of each. Times include making everything durable; so the disk under the work directory
//! counts, and the processor time tells how much of it was work.
//!
//! ```text
//! cargo run --release -p cbr-store --example store_bench -- <image> <work directory> [--level N]
//!     [--frame BLOCKS] [--threads N] [--writes N] [--pack-mib N]
//! ```
//! The image is only read; the scattered writes go to a copy of it in the work directory, which
//! must be empty or absent and is left behind for a look at the repository.
#![expect(clippy::print_stdout, reason = "an example prints what it measured")]

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use cbr_env::{Clock, RandomExt, SeededRandom, SystemClock, SystemRandom};
use cbr_store::backend::LocalOptions;
use cbr_store::{
    ChainRef, CheckDepth, FileSource, Job, LocalBackend, MasterKey, NewFileTarget, Options,
    Repository, VersionInfo,
};

type Anyhow<T> = Result<T, Box<dyn Error>>;

struct Arguments {
    image: PathBuf,
    work: PathBuf,
    writes: u64,
    options: Options,
}

fn main() -> Anyhow<()> {
    let arguments = parse()?;
    fs::create_dir_all(arguments.work.join("repo"))?;
    let clock = SystemClock::default();
    let backend = LocalBackend::create(&arguments.work.join("repo"), LocalOptions::default())?;
    let random = Arc::new(SystemRandom::default());
    let master = MasterKey::generate(random.as_ref());
    let options = arguments.options.clone();
    let repository = Repository::init(Arc::new(backend), master, random.clone(), options)?;
    let chain = ChainRef::alone(random.uuid(), 0, random.uuid());

    println!(
        "{:<22} {:>9} {:>12} {:>14} {:>10}",
        "step", "seconds", "MiB/s", "stored bytes", "RSS MiB"
    );
    let backup = |image: &Path| backup(&repository, &chain, image);
    let first = step(&clock, "full", || backup(&arguments.image))?;
    step(&clock, "no change", || backup(&arguments.image))?;

    let copy = arguments.work.join("changed.raw");
    let copied =
        Command::new("cp").arg("--sparse=always").arg(&arguments.image).arg(&copy).status()?;
    assert!(copied.success(), "cp failed");
    scatter(&copy, arguments.writes)?;
    let last = step(&clock, &format!("{} x 4 KiB changed", arguments.writes), || backup(&copy))?;

    let restored = arguments.work.join("restored.raw");
    for (name, version, expected) in
        [("restore of the first", &first, &arguments.image), ("restore of the last", &last, &copy)]
    {
        step(&clock, name, || {
            let target = NewFileTarget::create(&restored, version.disk_bytes)?;
            let stats = repository.restore(&version.version, &target, &Job::quiet())?;
            target.publish()?;
            Ok((stats.written_bytes, stats.fetched_bytes, ()))
        })?;
        let same = Command::new("cmp").arg(&restored).arg(expected).status()?;
        assert!(same.success(), "{name}: the restored disk differs");
        fs::remove_file(&restored)?;
    }
    step(&clock, "check --read-data", || {
        let report = repository.check(CheckDepth::ReadData, &Job::quiet())?;
        assert!(report.is_clean(), "{report:?}");
        Ok((report.read_bytes, report.read_bytes, ()))
    })?;
    let freed = step(&clock, "delete of the first", || {
        let preview = repository.preview_delete(&chain, &[first.version.seq])?;
        let freed = repository.delete(&chain, &[first.version.seq])?;
        assert_eq!(preview, freed.freed_bytes, "what was promised is what was freed");
        Ok((0, freed.removed_object_bytes, freed))
    })?;
    println!("{freed:?}");
    Ok(())
}

fn backup(
    repository: &Repository,
    chain: &ChainRef,
    image: &Path,
) -> Anyhow<(u64, u64, VersionInfo)> {
    let source = FileSource::open(image)?;
    let mut session = repository.begin(chain, "store_bench")?;
    let stats = session.write(&source, None, &Job::quiet())?;
    let version = session.commit(b"store_bench")?;
    Ok((stats.read_bytes, stats.stored_bytes, version))
}

/// Runs and prints one step, which returns bytes dealt with, bytes stored or fetched, and a value.
fn step<T>(
    clock: &SystemClock,
    name: &str,
    run: impl FnOnce() -> Anyhow<(u64, u64, T)>,
) -> Anyhow<T> {
    // Resets the peak, so each step shows its own.
    fs::write("/proc/self/clear_refs", "5")?;
    let (began, cpu_began) = (clock.monotonic_micros(), cpu_seconds()?);
    let (bytes, stored, value) = run()?;
    let cpu = cpu_seconds()? - cpu_began;
    let seconds = (clock.monotonic_micros() - began) as f64 / 1e6;
    let speed = bytes as f64 / seconds / f64::from(1 << 20);
    let rss = peak_rss_mib()?;
    println!("{name:<22} {seconds:>8.2} {cpu:>8.2} {speed:>8.0} {stored:>13} {rss:>8}");
    Ok(value)
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

/// Overwrites `writes` pages anywhere in the allocated part of the disk, always the same ones.
fn scatter(image: &Path, writes: u64) -> Anyhow<()> {
    let file: File = OpenOptions::new().read(true).write(true).open(image)?;
    let extents = cbr_store::BlockSource::extents(&FileSource::open(image)?)?;
    let total: u64 = extents.iter().map(|extent| extent.end - extent.start).sum();
    let random = SeededRandom::new(1);
    for _ in 0..writes {
        let mut at = u64::from_le_bytes(random.bytes()) % total;
        for extent in &extents {
            let length = extent.end - extent.start;
            if at < length {
                file.write_all_at(&random.bytes::<4096>(), (extent.start + at) & !4095)?;
                break;
            }
            at -= length;
        }
    }
    file.sync_all()?;
    Ok(())
}

fn parse() -> Anyhow<Arguments> {
    let usage = "store_bench <image> <work directory> [--level N] [--frame N] [--threads N] \
                 [--writes N] [--pack-mib N]";
    let mut rest = std::env::args_os().skip(1);
    let (image, work) = (rest.next().ok_or(usage)?.into(), rest.next().ok_or(usage)?.into());
    let mut arguments = Arguments { image, work, writes: 4000, options: Options::default() };
    while let Some(name) = rest.next() {
        let value = rest.next().and_then(|value| value.into_string().ok()).ok_or(usage)?;
        let options = &mut arguments.options;
        match name.to_str() {
            Some("--level") => options.zstd_level = value.parse()?,
            Some("--frame") => options.frame_blocks = value.parse()?,
            Some("--threads") => options.threads = value.parse()?,
            Some("--writes") => arguments.writes = value.parse()?,
            Some("--pack-mib") => options.pack_bytes = value.parse::<u64>()? << 20,
            _ => return Err(usage.into()),
        }
    }
    Ok(arguments)
}
