//! qcow2 as QEMU understands it: its images are read, ours pass its check, and each
//! sees the other's locks.

use std::path::{Path, PathBuf};
use std::process::Command;

use cbr_env::{RandomExt, SeededRandom};
use cbr_model::ResourceId;
use cbr_provider::contract;
use cbr_provider::{
    BackupSource, DiskSelection, Inventory, LocalProvider, ProviderError, RestoreTarget,
    VolumeStatus,
};
use tempfile::TempDir;

use crate::support::{MIB, has, id, open, pool, run, skipped};

struct Bench {
    dir: TempDir,
    provider: LocalProvider,
}

impl Bench {
    fn new(test: &str) -> Option<Self> {
        if !has("qemu-img") {
            skipped(test, "qemu-img is not installed");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("pool")).unwrap();
        let provider = open(&pool(&dir.path().join("pool")), &dir.path().join("state"));
        Some(Self { dir, provider })
    }

    fn pool(&self, file: &str) -> PathBuf {
        self.dir.path().join("pool").join(file)
    }

    fn raw(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn id(&self, file: &str) -> ResourceId {
        id(&self.provider, file).await
    }

    async fn allocated_bytes(&self, volume: ResourceId) -> u64 {
        let name = contract::random_name();
        self.provider.open(volume, &DiskSelection::All, &name).await.unwrap();
        let reader = self.provider.reader(&name, volume).await.unwrap();
        self.provider.close(&name).await.unwrap();
        reader.allocated().unwrap().into_iter().map(|range| range.end - range.start).sum()
    }

    /// The whole content of a volume, by a snapshot, reading only what is allocated.
    async fn content(&self, volume: ResourceId) -> Vec<u8> {
        let name = contract::random_name();
        self.provider.open(volume, &DiskSelection::All, &name).await.unwrap();
        let reader = self.provider.reader(&name, volume).await.unwrap();
        let mut bytes = vec![0; usize::try_from(reader.size_bytes()).unwrap()];
        for range in reader.allocated().unwrap() {
            let (start, end) =
                (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
            reader.read_at(range.start, &mut bytes[start..end]).unwrap();
        }
        self.provider.confirm(&name).await.unwrap();
        self.provider.close(&name).await.unwrap();
        bytes
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// 24 MiB with data, holes and a ragged end.
fn content() -> Vec<u8> {
    let random = SeededRandom::new(1);
    let mut bytes = vec![0; 24 << 20];
    for (start, length) in
        [(0, 70_000), (5 << 20, 3 << 20), ((17 << 20) + 511, 4097), (25_165_000, 824)]
    {
        for piece in bytes[start..start + length].chunks_mut(1024) {
            let fresh = random.bytes::<1024>();
            let length = piece.len();
            piece.copy_from_slice(&fresh[..length]);
        }
    }
    bytes
}

#[tokio::test]
async fn images_of_qemu_are_read_in_every_supported_form() {
    let Some(bench) = Bench::new("images of QEMU") else { return };
    let (raw, expected) = (bench.raw("expected.img"), content());
    std::fs::write(&raw, &expected).unwrap();
    let forms: [(&str, &[&str]); 6] = [
        ("plain.qcow2", &[]),
        ("old.qcow2", &["-o", "compat=0.10"]),
        ("small.qcow2", &["-o", "cluster_size=4096"]),
        ("large.qcow2", &["-o", "cluster_size=2M"]),
        ("compressed.qcow2", &["-c"]),
        ("prepared.qcow2", &["-o", "preallocation=metadata"]),
    ];
    for (file, options) in forms {
        let path = bench.pool(file);
        let command = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2"];
        run(&[&command, options, &[text(&raw), text(&path)]].concat());
        assert!(bench.content(bench.id(file).await).await == expected, "{file}");
    }
}

#[tokio::test]
async fn what_we_write_into_an_image_passes_the_check_of_qemu_and_compares_equal() {
    let Some(bench) = Bench::new("images for QEMU") else { return };
    let (raw, expected) = (bench.raw("expected.img"), content());
    std::fs::write(&raw, &expected).unwrap();
    let other = bench.raw("other.img");
    std::fs::write(&other, vec![0xA5; expected.len()]).unwrap();
    let forms: [(&str, &[&str]); 4] = [
        ("plain.qcow2", &[]),
        ("old.qcow2", &["-o", "compat=0.10"]),
        ("small.qcow2", &["-o", "cluster_size=4096"]),
        ("compressed.qcow2", &["-c"]),
    ];
    for (file, options) in forms {
        // The image is full of other data before.
        let path = bench.pool(file);
        let command = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2"];
        run(&[&command, options, &[text(&other), text(&path)]].concat());
        let volume = bench.id(file).await;
        let name = contract::random_name();
        bench.provider.prepare(volume, expected.len() as u64, &name).await.unwrap();
        let writer = bench.provider.writer(volume, &name).await.unwrap();
        assert!(!writer.is_known_zero(), "{file}");
        for (number, block) in expected.chunks(1 << 16).enumerate() {
            let offset = number as u64 * (1 << 16);
            if block.iter().all(|byte| *byte == 0) {
                writer.zero(offset..offset + block.len() as u64).unwrap();
            } else {
                writer.write_at(offset, block).unwrap();
            }
        }
        drop(writer);
        bench.provider.finish(volume, &name).await.unwrap();
        run(&["qemu-img", "check", "-f", "qcow2", text(&path)]);
        run(&["qemu-img", "compare", "-f", "qcow2", "-F", "raw", text(&path), text(&raw)]);
        assert!(bench.content(volume).await == expected, "{file}");
        if file != "old.qcow2" {
            let allocated = bench.allocated_bytes(volume).await;
            assert!(allocated < 5 * MIB, "{file}: {allocated} bytes are still allocated");
        }
    }
}

#[tokio::test]
async fn images_that_name_other_files_are_refused_and_listed_as_errors() {
    // P29: CVE-2024-32498 and its like.
    let Some(bench) = Bench::new("hostile images") else { return };
    let secret = bench.raw("secret.img");
    std::fs::write(&secret, vec![0x53; 1 << 20]).unwrap();
    let create = ["qemu-img", "create", "-q", "-f", "qcow2"];
    let backing = bench.pool("backing.qcow2");
    run(&[&create[..], &["-F", "raw", "-b", text(&secret), text(&backing)]].concat());
    let external = bench.pool("external.qcow2");
    let option = format!("data_file={},data_file_raw=on", text(&secret));
    run(&[&create[..], &["-o", &option, text(&external), "1M"]].concat());
    std::fs::write(&secret, vec![0x53; 1 << 20]).unwrap();
    // A raw image whose guest wrote a qcow2 header into it is still a raw image.
    std::fs::copy(&backing, bench.pool("guest.raw")).unwrap();

    for (file, why) in [("backing.qcow2", "backing file"), ("external.qcow2", "another file")] {
        let volume = bench.id(file).await;
        let status = bench.provider.volume(volume).await.unwrap().status;
        let VolumeStatus::Error { why: shown } = status else { panic!("{file}: {status:?}") };
        assert!(shown.contains(why) && shown.contains("qemu-img"), "{shown}");
        let name = contract::random_name();
        let opened = bench.provider.open(volume, &DiskSelection::All, &name).await.unwrap_err();
        assert!(opened.to_string().contains(why), "{opened}");
        assert!(!opened.is_retryable());
        assert!(bench.provider.prepare(volume, 1, &name).await.is_err());
    }
    let guest = bench.content(bench.id("guest.raw").await).await;
    assert_eq!(guest, std::fs::read(&backing).unwrap());
}

#[tokio::test]
async fn an_image_with_internal_snapshots_is_read_but_not_overwritten() {
    let Some(bench) = Bench::new("internal snapshots") else { return };
    let path = bench.pool("disk.qcow2");
    run(&["qemu-img", "create", "-q", "-f", "qcow2", text(&path), "16M"]);
    run(&["qemu-img", "snapshot", "-c", "before", text(&path)]);
    let volume = bench.id("disk.qcow2").await;
    assert!(bench.content(volume).await.iter().all(|byte| *byte == 0));
    let error = bench.provider.prepare(volume, 1, &contract::random_name()).await.unwrap_err();
    assert!(error.to_string().contains("internal snapshots"), "{error}");
    assert_eq!(bench.provider.volume(volume).await.unwrap().status, VolumeStatus::Available);
}

#[tokio::test]
async fn qemu_does_not_open_an_image_that_is_being_restored_and_the_reverse() {
    let Some(bench) = Bench::new("locks of QEMU") else { return };
    for (file, format) in [("disk.raw", "raw"), ("disk.qcow2", "qcow2")] {
        let path = bench.pool(file);
        run(&["qemu-img", "create", "-q", "-f", format, text(&path), "16M"]);
        let volume = bench.id(file).await;
        let name = contract::random_name();
        bench.provider.prepare(volume, 1, &name).await.unwrap();
        let copy = bench.raw("copy.img");
        let convert = ["convert", "-f", format, "-O", "raw", text(&path), text(&copy)];
        let refused = Command::new("qemu-img").args(convert).output().unwrap();
        let error = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && error.contains("lock"), "{format}: {error}");
        bench.provider.finish(volume, &name).await.unwrap();
        run(&[&["qemu-img"], &convert[..]].concat());

        if !has("qemu-io") {
            skipped("the reverse", "qemu-io is not installed");
            continue;
        }
        let mut qemu = Command::new("qemu-io")
            .args(["-f", format, "-c", "sleep 60000"])
            .arg(&path)
            .spawn()
            .unwrap();
        let mut busy = None;
        for _ in 0..100 {
            busy = bench.provider.volume(volume).await.unwrap().busy;
            if busy.is_some() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let prepared = bench.provider.prepare(volume, 1, &contract::random_name()).await;
        qemu.kill().unwrap();
        qemu.wait().unwrap();
        assert!(busy.is_some(), "{format}: an image QEMU has open is busy");
        assert!(matches!(prepared, Err(ProviderError::InUse { .. })), "{format}: {prepared:?}");
    }
}

#[tokio::test]
async fn a_damaged_image_gives_errors_and_no_panic() {
    // P29: every header byte and a sample of table bytes, each damaged in turn.
    let Some(bench) = Bench::new("damaged images") else { return };
    let (raw, path) = (bench.raw("expected.img"), bench.pool("disk.qcow2"));
    std::fs::write(&raw, &content()[..6 << 20]).unwrap();
    run(&["qemu-img", "convert", "-c", "-O", "qcow2", text(&raw), text(&path)]);
    let sound = std::fs::read(&path).unwrap();
    let volume = bench.id("disk.qcow2").await;
    let random = SeededRandom::new(2);
    let tables = (0..150).map(|_| {
        let [a, b, c, ..] = random.bytes::<3>().map(usize::from);
        (a << 16 | b << 8 | c) % sound.len()
    });
    for at in (0..112).chain(tables).chain((0..512).map(|i| 0x30000 + i).step_by(7)) {
        let mut damaged = sound.clone();
        damaged[at] ^= 1 << (at % 8);
        std::fs::write(&path, &damaged).unwrap();
        let name = contract::random_name();
        if bench.provider.open(volume, &DiskSelection::All, &name).await.is_ok()
            && let Ok(reader) = bench.provider.reader(&name, volume).await
        {
            // Whatever is said about it, it is said; a panic would fail the test.
            let mut buffer = vec![0; 1 << 16];
            for range in reader.allocated().unwrap_or_default() {
                let mut offset = range.start;
                while offset < range.end {
                    let length = (range.end - offset).min(1 << 16);
                    let piece = &mut buffer[..usize::try_from(length).unwrap()];
                    if reader.read_at(offset, piece).is_err() {
                        break;
                    }
                    offset += length;
                }
            }
        }
        bench.provider.close(&name).await.unwrap();
        if bench.provider.prepare(volume, 1, &name).await.is_ok() {
            let writer = bench.provider.writer(volume, &name).await.unwrap();
            let end = writer.size_bytes();
            let _ = (0..8).try_for_each(|step| writer.write_at(step * (end / 8), &[1; 4096]));
            let _ = writer.zero(end / 4..end / 2);
            drop(writer);
            let _ = bench.provider.finish(volume, &name).await;
            bench.provider.abandon(volume, &name, "damaged").await.unwrap();
            // Lifts the mark, so that the next damage is read and not refused.
            std::fs::write(&path, &sound).unwrap();
            bench.provider.prepare(volume, 1, &name).await.unwrap();
            bench.provider.finish(volume, &name).await.unwrap();
        }
    }
}
