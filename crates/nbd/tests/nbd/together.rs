//! Our client and our server with each other, in each of the three kinds of headers.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use cbr_nbd::{Client, Error, Export, Exports, Extent, Limits, Server, Wishes, Writes};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use crate::support::{MemoryDisk, Served, clock, pattern};

const SIZE: usize = (1 << 20) + 1234;

fn wishes(extended_headers: bool) -> Wishes {
    Wishes { extended_headers, ..Wishes::new("") }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_read_in_every_kind_of_headers() {
    for extended in [false, true] {
        let served = Served::of(MemoryDisk::new(pattern(SIZE), true));
        let client = served.client(wishes(extended)).await;
        assert_eq!(client.info().size, SIZE as u64);
        assert_eq!(client.info().extended_headers, extended);
        assert_eq!(client.info().description.as_deref(), Some("a disk of a test"));
        let mut expected = pattern(SIZE);
        assert_eq!(client.read(0, u32::try_from(SIZE).unwrap()).await.unwrap(), expected);

        client.write(70_001, b"hello", false).await.unwrap();
        client.write_zeroes(200_000..300_000, true).await.unwrap();
        client.trim(400_000..500_000).await.unwrap();
        client.flush().await.unwrap();
        expected[70_001..70_006].copy_from_slice(b"hello");
        expected[200_000..300_000].fill(0);
        assert_eq!(client.read(70_000, 250_000).await.unwrap(), expected[70_000..320_000]);
        client.disconnect().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn extents_and_changes_are_what_the_disk_says() {
    let mut disk = MemoryDisk::new(pattern(1 << 20), false);
    disk.changed = Some(vec![8192..16384, 524_288..1_048_576]);
    let served = Served::of(disk);
    for extended in [false, true] {
        let name = "qemu:dirty-bitmap:since-monday";
        let asked = wishes(extended).context(name).context("qemu:dirty-bitmap:other");
        let client = served.client(asked).await;
        assert_eq!(client.info().contexts, ["base:allocation", name]);
        let changed = client.extents(name, 0..1 << 20).await.unwrap();
        let expected = [
            Extent::plain(8192),
            Extent::dirty(8192),
            Extent::plain(507_904),
            Extent::dirty(524_288),
        ];
        assert_eq!(changed, expected);
        let allocated = client.extents("base:allocation", 0..1 << 20).await.unwrap();
        assert_eq!(allocated[..2], [Extent::hole(65536), Extent::plain(131_072)]);
        assert!(client.extents("qemu:dirty-bitmap:other", 0..4096).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_disk_cannot_be_written_and_no_request_goes_beyond_the_end() {
    let served = Served::of(MemoryDisk::new(pattern(SIZE), false));
    let client = served.client(wishes(true)).await;
    assert!(client.info().read_only && !client.info().flush);
    assert!(matches!(client.write(0, b"x", false).await, Err(Error::Invalid { .. })));
    let end = SIZE as u64;
    assert!(matches!(client.read(end - 1, 2).await, Err(Error::Invalid { .. })));
    assert!(matches!(client.read(u64::MAX, 2).await, Err(Error::Invalid { .. })));
    assert_eq!(client.read(end - 1, 1).await.unwrap(), pattern(SIZE)[SIZE - 1..]);
    assert_eq!(client.read(end, 0).await.unwrap(), []);
}

/// Speaks by hand: our client would not send such requests. Simple headers.
async fn raw(served: &Served) -> UnixStream {
    let mut stream = UnixStream::connect(served.socket()).await.unwrap();
    stream.read_exact(&mut [0; 18]).await.unwrap();
    stream.write_all(&3_u32.to_be_bytes()).await.unwrap();
    // EXPORT_NAME with the empty name.
    stream.write_all(b"IHAVEOPT\0\0\0\x01\0\0\0\0").await.unwrap();
    stream.read_exact(&mut [0; 10]).await.unwrap();
    stream
}

async fn raw_request(stream: &mut UnixStream, command: u16, offset: u64, length: u32) {
    let mut bytes = 0x2560_9513_u32.to_be_bytes().to_vec();
    bytes.extend_from_slice(&0_u16.to_be_bytes());
    bytes.extend_from_slice(&command.to_be_bytes());
    bytes.extend_from_slice(&7_u64.to_be_bytes());
    bytes.extend_from_slice(&offset.to_be_bytes());
    bytes.extend_from_slice(&length.to_be_bytes());
    stream.write_all(&bytes).await.unwrap();
}

async fn raw_errno(stream: &mut UnixStream) -> u32 {
    let mut reply = [0; 16];
    stream.read_exact(&mut reply).await.unwrap();
    u32::from_be_bytes(reply[4..8].try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_may_not_be_are_refused_with_the_right_number() {
    let served = Served::of(MemoryDisk::new(pattern(SIZE), false));
    let mut stream = raw(&served).await;
    let cases = [
        (1, 0, 4, 1),             // a write: EPERM
        (6, 0, 4, 1),             // write zeroes: EPERM
        (4, 0, 4, 1),             // trim: EPERM
        (0, u64::MAX - 1, 4, 22), // a read around the end of numbers: EINVAL
        (0, SIZE as u64, 1, 22),  // a read behind the end: EINVAL
        (0, 0, u32::MAX, 75),     // a read that is too long: EOVERFLOW
        (7, 0, 4, 22),            // block status without a context: EINVAL
        (99, 0, 0, 22),           // no command: EINVAL
        (3, 0, 0, 0),             // a flush of nothing
    ];
    for (command, offset, length, errno) in cases {
        raw_request(&mut stream, command, offset, length).await;
        if command == 1 {
            stream.write_all(b"data").await.unwrap();
        }
        assert_eq!(raw_errno(&mut stream).await, errno, "command {command} at {offset}");
    }
    // A payload over the limit ends the connection before it is read.
    raw_request(&mut stream, 1, 0, 33 << 20).await;
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_durable_write_is_flushed_before_it_is_answered() {
    let disk = Arc::new(MemoryDisk::new(pattern(SIZE), true));
    let served = Served::start(Exports::default().with("", disk.clone() as Arc<dyn Export>));
    let client = served.client(wishes(true)).await;
    client.write(0, b"abc", false).await.unwrap();
    assert_eq!(*disk.flushes.lock().unwrap(), 0);
    client.write(0, b"abc", true).await.unwrap();
    assert_eq!(*disk.flushes.lock().unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_are_listed_and_chosen_by_name() {
    let small = Arc::new(MemoryDisk::new(vec![1; 4096], false));
    let large = Arc::new(MemoryDisk::new(vec![2; 8192], false));
    let served = Served::start(Exports::default().with("small", small).with("large", large));
    let names = Client::list_unix(&served.socket(), &Wishes::new(""), &*clock()).await.unwrap();
    assert_eq!(names, ["large", "small"]);
    assert_eq!(served.client(Wishes::new("large")).await.info().size, 8192);
    let none = Client::connect_unix(&served.socket(), Wishes::new("none"), clock()).await;
    assert!(matches!(none, Err(Error::Refused { .. })), "{none:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_of_several_connections_run_together() {
    let served = Served::of(MemoryDisk::new(pattern(SIZE), false));
    let expected = Arc::new(pattern(SIZE));
    let mut tasks = tokio::task::JoinSet::new();
    for extended in [false, true] {
        let client = Arc::new(served.client(wishes(extended)).await);
        for at in 0..64_u32 {
            let (client, expected) = (Arc::clone(&client), Arc::clone(&expected));
            tasks.spawn(async move {
                let start = (at * 16_000) as usize;
                let read = client.read(start as u64, 24_000).await.unwrap();
                assert_eq!(read, expected[start..start + 24_000]);
            });
        }
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

/// Fails in its second half, and panics at its end.
struct BrokenDisk;

impl Export for BrokenDisk {
    fn size(&self) -> u64 {
        1 << 20
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        assert!(offset != 1_048_575, "this disk breaks its promises");
        if offset + buffer.len() as u64 > 524_288 {
            return Err(io::Error::other("a bad sector"));
        }
        buffer.fill(9);
        Ok(())
    }

    fn extents(&self, range: Range<u64>) -> io::Result<Vec<Extent>> {
        let first = 524_288_u64.saturating_sub(range.start);
        Ok(vec![Extent::plain(first), Extent { length: 1 << 20, flags: Extent::HOLE }])
    }

    fn writes(&self) -> Option<&dyn Writes> {
        None
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_disk_fails_its_requests_and_not_the_connection() {
    let served = Served::of(BrokenDisk);
    for extended in [false, true] {
        let client = served.client(wishes(extended)).await;
        let io_error = |read| matches!(read, Err(Error::Remote { errno: 5, .. }));
        assert!(io_error(client.read(0, 1 << 20).await));
        assert!(io_error(client.read(1_048_575, 1).await));
        assert_eq!(client.read(0, 512).await.unwrap(), [9; 512]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_client_does_not_keep_its_place() {
    let limits =
        Limits { connections: 1, handshake: Duration::from_millis(50), ..Limits::default() };
    let exports = Exports::default().with("", Arc::new(MemoryDisk::new(vec![1; 512], false)));
    let served = Served::limited(exports, limits);
    let _silent = UnixStream::connect(served.socket()).await.unwrap();
    let client = served.client(Wishes::new("")).await;
    assert_eq!(client.read(0, 512).await.unwrap(), [1; 512]);
}

/// Exports that nobody uses take no connection from one that somebody does.
#[tokio::test(flavor = "multi_thread")]
async fn sockets_without_clients_hold_no_connection() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let all = Server::new(Exports::default(), limits, clock());
    let folder = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let mut sockets = Vec::new();
    for name in ["a", "b", "c"] {
        let disk = Arc::new(MemoryDisk::new(vec![1; 512], false));
        let server = all.with_exports(Exports::default().with("", disk));
        let socket = folder.path().join(name);
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let until = stop.clone();
        tokio::spawn(async move { server.serve_unix(listener, until).await });
        sockets.push(socket);
    }
    for socket in sockets {
        let client = Client::connect_unix(&socket, Wishes::new(""), clock()).await.unwrap();
        assert_eq!(client.read(0, 512).await.unwrap(), [1; 512]);
        client.disconnect().await.unwrap();
    }
    stop.cancel();
}

#[tokio::test]
async fn a_server_that_stops_answers_what_it_has_read_and_ends() {
    let exports = Exports::default().with("", Arc::new(MemoryDisk::new(vec![1; 512], false)));
    let server = Server::new(exports, Limits::default(), clock());
    let stop = CancellationToken::new();
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let until = stop.clone();
    let serving = tokio::spawn(async move { server.serve_stream(theirs, until).await });
    let client = Client::over(ours, Wishes::new(""), clock()).await.unwrap();
    assert_eq!(client.read(0, 512).await.unwrap(), [1; 512]);
    stop.cancel();
    serving.await.unwrap().unwrap();
    assert!(matches!(client.read(0, 512).await, Err(Error::Connection { .. })));
}

/// All zero, and larger than any file.
struct HugeDisk;

impl Export for HugeDisk {
    fn size(&self) -> u64 {
        1 << 60
    }

    fn read_at(&self, _: u64, buffer: &mut [u8]) -> io::Result<()> {
        buffer.fill(0);
        Ok(())
    }

    fn extents(&self, range: Range<u64>) -> io::Result<Vec<Extent>> {
        Ok(vec![Extent::hole(range.end - range.start)])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exbibyte_of_nothing_is_one_extent_and_one_question() {
    let served = Served::of(HugeDisk);
    let client = served.client(Wishes::new("")).await;
    let found = client.extents("base:allocation", 0..1 << 60).await.unwrap();
    assert_eq!(found, [Extent::hole(1 << 60)]);
    assert_eq!(client.read((1 << 60) - 4096, 4096).await.unwrap(), [0; 4096]);
}
