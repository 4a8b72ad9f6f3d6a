//! Our server, read and written by the tools of QEMU and libnbd.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use cbr_nbd::{Export, Exports, Extent, Overlay};

use crate::support::{MemoryDisk, Served, have, pattern, run};

const SIZE: usize = 8 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn qemu_img_compares_converts_and_maps_our_exports() {
    if !have("qemu-img reads our server", &["qemu-img"]) {
        return;
    }
    let served = Served::of(MemoryDisk::new(pattern(SIZE), false));
    let raw = served.folder.path().join("raw");
    std::fs::write(&raw, pattern(SIZE)).unwrap();
    let (raw, uri) = (raw.display().to_string(), served.uri());
    run("qemu-img", &["compare", "-f", "raw", "-F", "raw", &raw, &uri]).await;

    let copy = served.folder.path().join("copy.qcow2").display().to_string();
    run("qemu-img", &["convert", "-f", "raw", "-O", "qcow2", &uri, &copy]).await;
    run("qemu-img", &["compare", "-f", "raw", "-F", "qcow2", &raw, &copy]).await;

    let map = run("qemu-img", &["map", "--output=json", "-f", "raw", &uri]).await;
    // The pattern: 64 KiB of zeroes, then 128 KiB of data.
    let map: String = map.split_whitespace().collect();
    assert!(
        map.contains(
            r#""start":0,"length":65536,"depth":0,"present":true,"zero":true,"data":false"#
        ),
        "{map}"
    );
    assert!(map.contains(r#""start":65536,"length":131072,"#), "{map}");
}

#[tokio::test(flavor = "multi_thread")]
async fn qemu_img_writes_into_an_overlay_of_ours() {
    if !have("qemu-img writes to our server", &["qemu-img"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let base = Arc::new(MemoryDisk::new(vec![3; SIZE], false));
    let overlay = Overlay::create(base, [0; 32], &folder.path().join("overlay")).unwrap();
    let served = Served::of(overlay);
    let raw = folder.path().join("raw");
    std::fs::write(&raw, pattern(SIZE)).unwrap();
    let (raw, uri) = (raw.display().to_string(), served.uri());
    run("qemu-img", &["convert", "-n", "-f", "raw", "-O", "raw", &raw, &uri]).await;
    run("qemu-img", &["compare", "-f", "raw", "-F", "raw", &raw, &uri]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nbdinfo_sees_our_contexts_and_nbdcopy_copies_both_ways() {
    if !have("libnbd reads our server", &["nbdinfo", "nbdcopy"]) {
        return;
    }
    let mut disk = MemoryDisk::new(pattern(SIZE), false);
    disk.changed = Some(std::iter::once(65536..131_072).collect());
    let writable = Arc::new(MemoryDisk::new(vec![1; SIZE], true));
    let exports = Exports::default().with("", Arc::new(disk)).with("target", writable);
    let served = Served::start(exports);
    let uri = served.uri();

    let info = run("nbdinfo", &[&uri]).await;
    for line in [
        "structured",
        "is_read_only: true",
        "base:allocation",
        "qemu:dirty-bitmap:since-monday",
        "block_size_maximum: 33554432",
    ] {
        assert!(info.contains(line), "{line} is not in {info}");
    }
    assert!(run("nbdinfo", &["--list", &uri]).await.contains("export=\"target\""));
    let map = run("nbdinfo", &["--map", &uri]).await;
    let first: Vec<&str> = map.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(first, ["0", "65536", "3", "hole,zero"], "{map}");
    let dirty = run("nbdinfo", &["--map=qemu:dirty-bitmap:since-monday", &uri]).await;
    let second: Vec<&str> = dirty.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(second[..3], ["65536", "65536", "1"], "{dirty}");

    let copy = served.folder.path().join("copy");
    run("nbdcopy", &[&uri, copy.to_str().unwrap()]).await;
    assert!(std::fs::read(&copy).unwrap() == pattern(SIZE));
    let target = format!("nbd+unix:///target?socket={}", served.socket().display());
    run("nbdcopy", &["--flush", copy.to_str().unwrap(), &target]).await;
    run("nbdcopy", &[&target, copy.to_str().unwrap()]).await;
    assert!(std::fs::read(&copy).unwrap() == pattern(SIZE));
}

/// 8 TiB, all holes but one block.
struct LargeDisk;

impl Export for LargeDisk {
    fn size(&self) -> u64 {
        8 << 40
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        buffer.fill(u8::from(offset >= 7 << 40));
        Ok(())
    }

    fn extents(&self, range: Range<u64>) -> io::Result<Vec<Extent>> {
        let data = (7 << 40)..(7_u64 << 40) + 65536;
        let at = range.start;
        Ok(vec![if at < data.start {
            Extent::hole(data.start - at)
        } else if at < data.end {
            Extent::plain(data.end - at)
        } else {
            Extent::hole(range.end - at)
        }])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_empty_disk_is_mapped_by_a_few_questions() {
    if !have("qemu-img maps a large disk", &["qemu-img"]) {
        return;
    }
    let served = Served::of(LargeDisk);
    let map = run("qemu-img", &["map", "--output=json", "-f", "raw", &served.uri()]).await;
    let map: String = map.split_whitespace().collect();
    assert!(map.contains(r#""start":7696581394432,"length":65536,"#), "{map}");
}
