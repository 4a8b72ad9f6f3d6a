//! Our client with `qemu-nbd`: raw and qcow2, holes, dirty bitmaps, writes.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use cbr_nbd::{Client, Wishes};

use crate::support::{clock, have, pattern, run};

const SIZE: usize = 4 << 20;

/// A `qemu-nbd` that ends with the test.
struct QemuNbd {
    _process: tokio::process::Child,
    socket: PathBuf,
}

impl QemuNbd {
    async fn start(folder: &Path, arguments: &[&str], image: &Path) -> Self {
        let socket = folder.join("qemu.socket");
        let process = tokio::process::Command::new("qemu-nbd")
            .args(["--persistent", "--shared=4", "--socket"])
            .arg(&socket)
            .args(arguments)
            .arg(image)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        for _ in 0..500 {
            if tokio::net::UnixStream::connect(&socket).await.is_ok() {
                return Self { _process: process, socket };
            }
            let pause = tokio::time::interval(Duration::from_millis(10));
            tokio::pin!(pause);
            pause.tick().await;
            pause.tick().await;
        }
        panic!("qemu-nbd does not listen");
    }

    async fn client(&self, wishes: Wishes) -> Client {
        Client::connect_unix(&self.socket, wishes, clock()).await.unwrap()
    }
}

/// The whole disk, by its extents: holes are not read.
async fn read_by_extents(client: &Client) -> (Vec<u8>, u64) {
    let mut bytes = vec![0; usize::try_from(client.info().size).unwrap()];
    let (mut at, mut holes) = (0, 0);
    for extent in client.extents("base:allocation", 0..client.info().size).await.unwrap() {
        if extent.is_zero() {
            holes += extent.length;
        } else {
            let data = client.read(at, u32::try_from(extent.length).unwrap()).await.unwrap();
            let start = usize::try_from(at).unwrap();
            bytes[start..start + data.len()].copy_from_slice(&data);
        }
        at += extent.length;
    }
    assert_eq!(at, client.info().size);
    (bytes, holes)
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_and_qcow2_are_read_by_their_extents() {
    if !have("our client with qemu-nbd", &["qemu-nbd", "qemu-img"]) {
        return;
    }
    for format in ["raw", "qcow2"] {
        for extended in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let (raw, image) = (folder.path().join("raw"), folder.path().join("image"));
            std::fs::write(&raw, pattern(SIZE)).unwrap();
            let (from, to) = (raw.to_str().unwrap(), image.to_str().unwrap());
            run("qemu-img", &["convert", "-f", "raw", "-O", format, from, to]).await;
            let qemu = QemuNbd::start(folder.path(), &["-f", format, "-r"], &image).await;
            let wishes = Wishes { extended_headers: extended, ..Wishes::new("") };
            let client = qemu.client(wishes).await;
            assert!(client.info().read_only);
            let (bytes, holes) = read_by_extents(&client).await;
            assert!(bytes == pattern(SIZE), "{format}");
            assert!(holes >= SIZE as u64 / 4, "{format}: {holes} bytes of holes");
            client.disconnect().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dirty_bitmap_says_what_was_written_since() {
    if !have("our client with a bitmap of qemu-nbd", &["qemu-nbd", "qemu-img", "qemu-io"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image.qcow2");
    let path = image.to_str().unwrap();
    run("qemu-img", &["create", "-f", "qcow2", path, "4M"]).await;
    run("qemu-img", &["bitmap", "--add", "-g", "65536", path, "monday"]).await;
    run("qemu-io", &["-f", "qcow2", "-c", "write -P 5 1M 128k", path]).await;
    let qemu = QemuNbd::start(folder.path(), &["-f", "qcow2", "-r", "-B", "monday"], &image).await;
    let context = "qemu:dirty-bitmap:monday";
    let client = qemu.client(Wishes::new("").context(context)).await;
    assert_eq!(client.info().contexts, ["base:allocation", context]);
    let found = client.extents(context, 0..4 << 20).await.unwrap();
    let found: Vec<_> = found.iter().map(|extent| (extent.length, extent.is_dirty())).collect();
    assert_eq!(found, [(1 << 20, false), (128 << 10, true), ((3 << 20) - (128 << 10), false)]);
    assert_eq!(client.read(1 << 20, 512).await.unwrap(), [5; 512]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_our_client_writes_is_in_the_image() {
    if !have("our client writes to qemu-nbd", &["qemu-nbd"]) {
        return;
    }
    for extended in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        let mut expected = pattern(SIZE);
        std::fs::write(&image, &expected).unwrap();
        let qemu = QemuNbd::start(folder.path(), &["-f", "raw"], &image).await;
        let wishes = Wishes { extended_headers: extended, ..Wishes::new("") };
        let client = qemu.client(wishes).await;
        client.write(12_288, &[8; 5000], false).await.unwrap();
        client.write(0, &[9; 512], true).await.unwrap();
        client.write_zeroes(100_000..200_000, true).await.unwrap();
        client.flush().await.unwrap();
        expected[12_288..17_288].fill(8);
        expected[..512].fill(9);
        expected[100_000..200_000].fill(0);
        assert!(std::fs::read(&image).unwrap() == expected);
        let names = Client::list_unix(&qemu.socket, &Wishes::new(""), &*clock()).await.unwrap();
        assert_eq!(names, [""]);
        client.disconnect().await.unwrap();
    }
}
