//! Repositories that earlier releases wrote are opened, listed, restored, checked and cleaned up (P18).
//!
//! `tests/golden/v1/repository` is such a repository, as a local backend keeps it; its master key
//! is 32 times 0x11. Never rewrite it: a new version of the format gets a directory of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;

use cbr_store::backend::{Backend, Key, LocalBackend, LocalOptions, MemoryBackend, Put};
use cbr_store::format::id::PackKind;
use cbr_store::format::place::Place;
use cbr_store::{CheckDepth, Job, MasterKey, Options, Repository};

use crate::world::{
    CHAIN, Disk, Expected, Seeds, assert_all_can_go, assert_no_leak, assert_versions, backup,
    master, open, options,
};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1/repository")
}

/// A repository with damaged packs and patches of them; some slots have their blocks in several.
fn healed_directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1/healed")
}

fn disks() -> [Disk; 4] {
    let first = Disk::of(&[1_000_001, 0, 1_000_002, 1_000_003, 1_000_004, 0]);
    let second = first.with(0, 0).with(1, 1_000_005).with(2, 1_000_009).with(3, 0);
    let mut third = second.with(5, 1_000_006);
    // The disk grows, and ends within a block.
    third.0.extend(vec![7; 5000]);
    let fourth = Disk(third.with(3, 1_000_007).0[..250_000].to_vec());
    [first, second, third, fourth]
}

fn expected() -> Expected {
    let [_, second, third, fourth] = disks();
    [(2, second), (4, third), (5, fourth)].into()
}

/// Four versions, the first deleted and compacted away, and an aborted session between them.
fn write_versions(backend: &Arc<dyn Backend>) {
    let repository = open(backend, &Seeds::new(2026)).unwrap();
    let [first, second, third, fourth] = disks();
    backup(&repository, "one", &first).unwrap();
    backup(&repository, "two", &second).unwrap();
    repository.begin(&CHAIN, "given up").unwrap().abort().unwrap();
    backup(&repository, "four", &third).unwrap();
    backup(&repository, "five", &fourth).unwrap();
    repository.delete(&CHAIN, &[1]).unwrap();
    assert_versions(&repository, &expected());
}

fn load(directory: &Path, prefix: &str, into: &mut BTreeMap<Key, Vec<u8>>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            load(&entry.path(), &format!("{name}/"), into);
        } else if let Ok(key) = Key::new(name) {
            into.insert(key, std::fs::read(entry.path()).unwrap());
        }
    }
}

fn golden() -> Arc<MemoryBackend> {
    loaded(&directory())
}

fn loaded(directory: &Path) -> Arc<MemoryBackend> {
    let mut objects = BTreeMap::new();
    load(directory, "", &mut objects);
    Arc::new(MemoryBackend::from_snapshot(objects))
}

#[test]
fn the_golden_repository_is_read_as_it_was_written() {
    let memory = golden();
    let before = memory.snapshot();
    let backend: Arc<dyn Backend> = memory.clone();
    let random = Seeds::new(1).random();
    let repository = Repository::open(backend, master(), random, options()).unwrap();
    assert_versions(&repository, &expected());
    let cards: Vec<Vec<u8>> =
        repository.catalogue().unwrap().into_iter().map(|info| info.card).collect();
    assert_eq!(cards, [&b"two"[..], b"four", b"five"]);
    let report = repository.check(CheckDepth::ReadData, &Job::quiet()).unwrap();
    assert!(report.is_clean() && report.unknown_objects == 0, "{report:?}");
    assert_eq!(memory.snapshot(), before, "reading changes nothing");
}

#[test]
fn the_golden_repository_contains_one_object_of_each_kind_and_a_compacted_pack() {
    let objects = golden().snapshot();
    let places: Vec<Place> = objects.keys().map(|key| Place::parse(key).unwrap()).collect();
    assert!(places.contains(&Place::Descriptor));
    assert!(places.iter().any(|place| matches!(place, Place::TenantKey(..))));
    assert!(places.iter().any(|place| matches!(place, Place::Domain(_))));
    assert!(places.iter().any(|place| matches!(place, Place::Delete(..))));
    assert_eq!(places.iter().filter(|place| matches!(place, Place::Claim(..))).count(), 5);
    assert_eq!(places.iter().filter(|place| matches!(place, Place::Outcome(..))).count(), 5);
    assert!(places.iter().any(|place| matches!(place, Place::Pack(_, 1))), "{places:?}");
}

#[test]
fn the_golden_repository_is_backed_up_to_deleted_from_and_emptied() {
    let memory = golden();
    let backend: Arc<dyn Backend> = memory.clone();
    let repository = open(&backend, &Seeds::new(2)).unwrap();
    let mut expected = expected();
    let disk = expected[&5].with(2, 1_000_008);
    let info = backup(&repository, "six", &disk).unwrap();
    expected.insert(info.version.seq, disk);
    assert_versions(&repository, &expected);
    repository.delete(&CHAIN, &[4]).unwrap();
    expected.remove(&4);
    assert_versions(&repository, &expected);
    assert_no_leak(memory.as_ref());
    assert_all_can_go(&repository, &memory);
}

/// P8: the page `docs/format/v1.md` is complete: a reader written from it alone restores the same.
#[test]
fn an_independent_reader_restores_the_golden_repository() {
    restore_independently(&directory(), &expected());
}

/// P5, P8: also what is left of a damaged pack is found, and what patches have of it.
#[test]
fn an_independent_reader_restores_the_healed_repository() {
    restore_independently(&healed_directory(), &healed());
}

fn restore_independently(repository: &Path, expected: &Expected) {
    let outputs = tempfile::tempdir().unwrap();
    for (seq, disk) in expected {
        let restored = restored_by_reader(repository, &master(), *seq, outputs.path());
        assert!(restored.is_none_or(|restored| restored.unwrap() == disk.0), "version {seq}");
    }
}

/// What `docs/format/reader.py` restores, or how it refuses; `None`, loudly, where it lacks what
/// it needs.
pub(crate) fn restored_by_reader(
    directory: &Path,
    master: &MasterKey,
    seq: u64,
    outputs: &Path,
) -> Option<Result<Vec<u8>, ExitStatus>> {
    let reader = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/format/reader.py");
    let modules = "import blake3, zstandard, cryptography";
    let found = Command::new("python3").args(["-c", modules]).output();
    if !found.is_ok_and(|output| output.status.success()) {
        // Not by a macro: the harness would keep it to itself.
        let text =
            b"skipped: the second reader needs python3 with cryptography, blake3, zstandard\n";
        let _ = std::io::Write::write_all(&mut std::io::stderr(), text);
        return None;
    }
    let key = outputs.join(format!("{seq}.key"));
    master.write_new_file(&key).unwrap();
    let output = outputs.join(seq.to_string());
    let version = format!("{CHAIN}@{seq}");
    let status = Command::new("python3")
        .arg(&reader)
        .arg(directory)
        .args([&key.display().to_string(), &version, &output.display().to_string()])
        .status();
    let status = status.unwrap();
    Some(if status.success() { Ok(std::fs::read(&output).unwrap()) } else { Err(status) })
}

/// The disks of the healed repository: three versions in frames of four blocks.
fn healed() -> Expected {
    let first = Disk::of(&[1_000_001, 1_000_002, 1_000_003, 1_000_004, 1_000_005, 1_000_006]);
    let second = first.with(1, 1_000_007);
    let third = second.with(5, 1_000_008);
    [(1, first), (2, second), (3, third)].into()
}

/// P5, P18: patches are read by all later releases, and taken away with their packs.
#[test]
fn the_healed_repository_restores_and_is_clean() {
    let memory = loaded(&healed_directory());
    let before = memory.snapshot();
    let patches = before.keys().filter(|key| matches!(Place::parse(key), Some(Place::Patch(..))));
    assert!(patches.count() >= 2);
    let backend: Arc<dyn Backend> = memory.clone();
    let repository =
        Repository::open(backend, master(), Seeds::new(1).random(), options()).unwrap();
    assert_versions(&repository, &healed());
    let report = repository.check(CheckDepth::ReadData, &Job::quiet()).unwrap();
    assert!(report.is_clean() && report.unknown_objects == 0, "{report:?}");
    assert!(report.healed >= 1);
    assert_eq!(memory.snapshot(), before, "reading changes nothing");
    assert_all_can_go(&repository, &memory);
    assert!(
        !memory.snapshot().keys().any(|key| matches!(Place::parse(key), Some(Place::Patch(..))))
    );
}

/// A slot of two versions is damaged; two backups give its blocks back one after the other.
fn write_healed(memory: &Arc<MemoryBackend>) {
    let backend: Arc<dyn Backend> = memory.clone();
    let options = Options { frame_blocks: 4, ..options() };
    let seeds = Seeds::new(2027);
    let open = || {
        let (backend, random) = (Arc::clone(&backend), seeds.random());
        Repository::init(backend, master(), random, options.clone()).unwrap()
    };
    let expected = healed();
    for disk in expected.values() {
        backup(&open(), "old", disk).unwrap();
    }
    let data: Vec<Key> = memory
        .snapshot()
        .into_keys()
        .filter(|key| {
            matches!(Place::parse(key), Some(Place::Pack(pack, 0)) if
            pack.kind == PackKind::Data)
        })
        .collect();
    for key in &data {
        let mut wrong = memory.snapshot()[key].clone();
        wrong[70] ^= 1;
        memory.overwrite(key, wrong);
    }
    // The third has all blocks of the first but two, one of which the second has.
    for disk in [&expected[&3], &expected[&2], &expected[&1]] {
        let repository = open();
        let report = repository.check(CheckDepth::ReadData, &Job::quiet()).unwrap();
        let spots: Vec<_> = report.problems.iter().filter_map(|problem| problem.spot).collect();
        let mut session = repository.begin(&CHAIN, "heals").unwrap();
        session.distrust(&spots);
        session.write(disk, None, &Job::quiet()).unwrap();
        session.abort().unwrap();
    }
    assert_versions(&open(), &expected);
}

#[test]
#[ignore = "writes the golden repository, once per format: cargo test -p cbr-store --test hostile write_the_golden -- --ignored"]
fn write_the_golden_repository() {
    let memory = Arc::new(MemoryBackend::default());
    let backend: Arc<dyn Backend> = memory.clone();
    write_versions(&backend);
    keep(&memory, &directory());
}

#[test]
#[ignore = "writes the healed golden repository, once per format: cargo test -p cbr-store --test hostile write_the_healed -- --ignored"]
fn write_the_healed_repository() {
    let memory = Arc::new(MemoryBackend::default());
    write_healed(&memory);
    keep(&memory, &healed_directory());
}

fn keep(memory: &MemoryBackend, directory: &Path) {
    let options = LocalOptions { reserve_bytes: 0, ..LocalOptions::default() };
    let local = LocalBackend::create(directory, options).unwrap();
    for (key, bytes) in memory.snapshot() {
        assert_eq!(local.put_new(&key, &[&bytes]).unwrap(), Put::Created, "{key} is there already");
    }
    std::fs::remove_dir(directory.join(".incoming")).unwrap();
}
