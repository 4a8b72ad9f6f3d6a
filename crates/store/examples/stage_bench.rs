//! Measures each stage of the data path alone, on one core, on the blocks of a raw disk image:
//! what this machine could do at most if its cores did nothing else.
//!
//! ```text
//! cargo run --release -p cbr-store --example stage_bench -- <image> [--level N] [--frame BLOCKS]
//!     [--mib N] [--json]
//! ```
//! Times are processor time of the one thread, so other work on the machine disturbs them little.
//! Not here: how the stages work together, which is `store_bench`.
#![expect(clippy::print_stdout, reason = "an example prints what it measured")]

use std::error::Error;
use std::hint::black_box;
use std::path::PathBuf;

use cbr_env::{Random, RandomExt, SystemRandom};
use cbr_store::crypto::{PackDek, TenantKey, TenantKeys};
use cbr_store::format::BLOCK_BYTES;
use cbr_store::format::frame::{Codec, FrameDecoder, FrameEncoder};
use cbr_store::format::id::{PackId, PackKind, PackRef, SessionNonce};
use cbr_store::format::slot::{SlotHead, open_slot, seal_slot};
use cbr_store::{BlockSource, ChainRef, FileSource};
use rustix::time::{ClockId, clock_gettime};

type Anyhow<T> = Result<T, Box<dyn Error>>;

struct Arguments {
    image: PathBuf,
    level: i32,
    frame_blocks: usize,
    sample_bytes: u64,
    json: bool,
}

/// A stage, the processor time it took, and how many bytes it dealt with.
struct Stage {
    name: &'static str,
    seconds: f64,
    bytes: u64,
}

fn main() -> Anyhow<()> {
    let arguments = parse()?;
    let mut stages = Vec::new();
    let sample = read(&arguments, &mut stages)?;
    let plain_bytes = sample.len() as u64;
    let stored_bytes = encode(&arguments, &sample, &mut stages)?;
    if arguments.json {
        print_json(&stages, plain_bytes, stored_bytes);
    } else {
        print_table(&stages, plain_bytes, stored_bytes);
    }
    Ok(())
}

/// Blocks that are not zeros, from all over the disk.
fn read(arguments: &Arguments, stages: &mut Vec<Stage>) -> Anyhow<Vec<u8>> {
    let source = FileSource::open(&arguments.image)?;
    let extents = source.extents()?;
    let total: u64 = extents.iter().map(|extent| extent.end - extent.start).sum();
    let stride = (total / arguments.sample_bytes).max(1);
    let piece_bytes = arguments.frame_blocks * BLOCK_BYTES;
    let mut piece = vec![0; piece_bytes];
    let (mut sample, mut number) = (Vec::new(), 0);
    let (mut reading, mut looking, mut read_bytes) = (0.0, 0.0, 0);
    let zeros = vec![0; BLOCK_BYTES];
    for extent in &extents {
        let mut at = extent.start.next_multiple_of(BLOCK_BYTES as u64);
        while at + piece_bytes as u64 <= extent.end {
            number += 1;
            if number % stride == 0 {
                let began = cpu_seconds();
                source.read_at(at, &mut piece)?;
                let read = cpu_seconds();
                let used = piece.chunks_exact(BLOCK_BYTES).filter(|block| **block != *zeros);
                let used: Vec<&[u8]> = used.collect();
                looking += cpu_seconds() - read;
                reading += read - began;
                read_bytes += piece_bytes as u64;
                for block in used {
                    sample.extend_from_slice(block);
                }
            }
            at += piece_bytes as u64;
        }
    }
    if sample.is_empty() {
        return Err("the image has no data".into());
    }
    stages.push(Stage { name: "read", seconds: reading, bytes: read_bytes });
    stages.push(Stage { name: "zero?", seconds: looking, bytes: read_bytes });
    Ok(sample)
}

/// Everything a frame goes through; returns the stored bytes.
fn encode(arguments: &Arguments, sample: &[u8], stages: &mut Vec<Stage>) -> Anyhow<u64> {
    let random = SystemRandom::default();
    let chain = ChainRef::alone(random.uuid(), 0, random.uuid());
    let keys = TenantKeys::derive(chain.tenant, 1, &TenantKey::generate(&random));
    let hasher = keys.block_hasher(&chain.domain())?;
    let id = PackId::new(SessionNonce(random.bytes()), 0);
    let pack = PackRef { domain: chain.domain(), kind: PackKind::Data, id };
    let dek = PackDek::generate(&random as &dyn Random);
    let (mut encoder, mut decoder) = (FrameEncoder::new(arguments.level)?, FrameDecoder::new()?);
    let (mut encoded, mut sealed) = (Vec::new(), Vec::new());
    let (mut opened, mut plain) = (Vec::new(), Vec::new());
    let mut totals = [0.0; 6];
    let (mut stored_bytes, mut slot) = (0, 0);
    for frame in sample.chunks(arguments.frame_blocks * BLOCK_BYTES) {
        let mut clock = Lap::begin(&mut totals);
        for block in frame.chunks_exact(BLOCK_BYTES) {
            black_box(hasher.id(block));
        }
        clock.lap()?;
        let codec = encoder.encode(frame, &mut encoded);
        clock.lap()?;
        decoder.decode(codec, &encoded, frame.len(), &mut plain).map_err(|wrong| wrong.0)?;
        assert!(plain == frame, "the encoding is wrong");
        clock.lap()?;
        let head = SlotHead { slot, codec, plain_len: u32::try_from(frame.len())? };
        sealed.clear();
        seal_slot(&dek, &pack, head, &encoded, &mut sealed);
        clock.lap()?;
        black_box(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &sealed));
        black_box(blake3::hash(&sealed));
        clock.lap()?;
        open_slot(&dek, &pack, head, &sealed, &mut opened).map_err(|wrong| wrong.0)?;
        assert!(opened == encoded && matches!(codec, Codec::None | Codec::Zstd));
        clock.lap()?;
        stored_bytes += sealed.len() as u64;
        slot += 1;
    }
    let plain_bytes = sample.len() as u64;
    let bytes = [plain_bytes, plain_bytes, plain_bytes, stored_bytes, stored_bytes, stored_bytes];
    let names = ["hash", "compress", "decode and compare", "seal", "checksums", "open and compare"];
    for ((name, seconds), bytes) in names.into_iter().zip(totals).zip(bytes) {
        stages.push(Stage { name, seconds, bytes });
    }
    Ok(stored_bytes)
}

/// Adds the time since the last lap to one total after the other.
struct Lap<'a> {
    totals: std::slice::IterMut<'a, f64>,
    last: f64,
}

impl<'a> Lap<'a> {
    fn begin(totals: &'a mut [f64]) -> Self {
        Self { totals: totals.iter_mut(), last: cpu_seconds() }
    }

    fn lap(&mut self) -> Anyhow<()> {
        let now = cpu_seconds();
        *self.totals.next().ok_or("a lap too many")? += now - self.last;
        self.last = now;
        Ok(())
    }
}

/// Processor time of this thread.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn print_table(stages: &[Stage], plain_bytes: u64, stored_bytes: u64) {
    let plain = plain_bytes as f64;
    println!("{:<20} {:>8} {:>22}", "stage", "GB/s", "s per GB of the disk");
    for stage in stages {
        let gb_per_second = stage.bytes as f64 / stage.seconds / 1e9;
        println!("{:<20} {:>8.2} {:>22.3}", stage.name, gb_per_second, per_gb(stage, plain));
    }
    let ratio = stored_bytes as f64 / plain;
    println!("{plain_bytes} bytes became {stored_bytes}, {ratio:.3} of them");
}

fn print_json(stages: &[Stage], plain_bytes: u64, stored_bytes: u64) {
    let stages: Vec<String> = stages
        .iter()
        .map(|stage| format!("\"{}\": {:.5}", stage.name, per_gb(stage, plain_bytes as f64)))
        .collect();
    println!(
        "{{\"plain_bytes\": {plain_bytes}, \"stored_bytes\": {stored_bytes}, \
         \"seconds_per_gb\": {{{}}}}}",
        stages.join(", ")
    );
}

/// Processor time per 10^9 bytes of the disk; blocks of zeros are read and looked at too.
fn per_gb(stage: &Stage, plain: f64) -> f64 {
    match stage.name {
        "read" | "zero?" => stage.seconds / stage.bytes as f64 * 1e9,
        _ => stage.seconds / plain * 1e9,
    }
}

fn parse() -> Anyhow<Arguments> {
    let usage = "stage_bench <image> [--level N] [--frame BLOCKS] [--mib N] [--json]";
    let mut rest = std::env::args_os().skip(1);
    let image = rest.next().ok_or(usage)?.into();
    let mut arguments =
        Arguments { image, level: 3, frame_blocks: 16, sample_bytes: 256 << 20, json: false };
    while let Some(name) = rest.next() {
        if name == "--json" {
            arguments.json = true;
            continue;
        }
        let value = rest.next().and_then(|value| value.into_string().ok()).ok_or(usage)?;
        match name.to_str() {
            Some("--level") => arguments.level = value.parse()?,
            Some("--frame") => arguments.frame_blocks = value.parse::<usize>()?.clamp(1, 16),
            Some("--mib") => arguments.sample_bytes = value.parse::<u64>()? << 20,
            _ => return Err(usage.into()),
        }
    }
    Ok(arguments)
}
