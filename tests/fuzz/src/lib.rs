//! Everything that reads bytes which somebody else may have written, as functions of bytes (P24, P29).
//!
//! Each [`Target`] panics if such bytes make the product panic, break a rule of the format, or answer
//! "internal error". `fuzz/` lets a fuzzer with coverage find them; `tests/mutations.rs` changes the seeds
//! by chance in every `cargo test`. The seeds are what the golden files hold, and good sessions.
//!
//! Not here: what a change of stored bytes does to a repository (`crates/store/tests/hostile`).
#![expect(clippy::unwrap_used, reason = "a finding is a panic")]

mod api;
mod image;
mod nbd;
mod objects;
mod records;
mod s3;
mod signature;
mod texts;

/// Something that reads bytes of others.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Also the name of the fuzzer's binary.
    pub name: &'static str,
    /// Reads such bytes.
    pub run: fn(&[u8]),
    /// Good ones.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 10] = [
    Target { name: "records", run: records::run, seeds: records::seeds },
    Target { name: "frames", run: records::run_frame, seeds: records::frame_seeds },
    Target { name: "objects", run: objects::run, seeds: objects::seeds },
    Target { name: "tables", run: objects::run_tables, seeds: objects::table_seeds },
    Target { name: "texts", run: texts::run, seeds: texts::seeds },
    Target { name: "nbd", run: nbd::run, seeds: nbd::seeds },
    Target { name: "signature", run: signature::run, seeds: signature::seeds },
    Target { name: "api", run: api::run, seeds: api::seeds },
    Target { name: "image", run: image::run, seeds: image::seeds },
    Target { name: "s3", run: s3::run, seeds: s3::seeds },
];

/// Runs the target of this name.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target's name");
    (target.run)(bytes);
}

/// The first byte chooses, the others are what is read.
fn choice(bytes: &[u8], of: usize) -> (usize, &[u8]) {
    bytes.split_first().map_or((0, bytes), |(first, rest)| (usize::from(*first) % of, rest))
}

/// The lines of the golden files: name, key if it is an object, bytes.
fn golden() -> Vec<(&'static str, Option<&'static str>, Vec<u8>)> {
    const FILES: [&str; 7] = [
        include_str!("../../../crates/store/tests/golden/v1/objects.txt"),
        include_str!("../../../crates/store/tests/golden/v1/fold.txt"),
        include_str!("../../../crates/store/tests/golden/v1/sharing.txt"),
        include_str!("../../../crates/store/tests/golden/v1/trash.txt"),
        include_str!("../../../crates/store/tests/golden/v1/retire_fold.txt"),
        include_str!("../../../crates/store/tests/golden/v1/arbitrated.txt"),
        include_str!("../../../crates/store/tests/golden/v1/note.txt"),
    ];
    let line = |line: &'static str| {
        let words: Vec<&str> = line.split(' ').collect();
        let key = words.get(1).copied().filter(|_| words.len() == 3);
        Some((words[0], key, hex::decode(words.last()?).ok()?))
    };
    FILES.iter().flat_map(|file| file.lines()).filter_map(line).collect()
}
