//! Both sides of an NBD session. What a peer says is given at once, then it hangs up.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use cbr_env::{Clock, SystemClock};
use cbr_nbd::{Client, Export, Exports, Extent, Limits, Server, Wishes};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio_util::sync::CancellationToken;

use crate::choice;

const SIZE: u64 = 300_000;

/// Zeros, and nothing else.
struct Zeros;

impl Export for Zeros {
    fn size(&self) -> u64 {
        SIZE
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        assert!(offset + buffer.len() as u64 <= SIZE, "a read beyond the disk");
        buffer.fill(0);
        Ok(())
    }

    fn extents(&self, range: Range<u64>) -> io::Result<Vec<Extent>> {
        assert!(range.start < range.end && range.end <= SIZE, "extents beyond the disk");
        Ok(vec![Extent::hole(range.end - range.start)])
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::default())
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// The first byte says who hears it: a server, or a client with or without extended headers.
pub(crate) fn run(bytes: &[u8]) {
    let (who, bytes) = choice(bytes, 3);
    let limits = Limits {
        handshake: Duration::from_secs(5),
        stall: Duration::from_secs(5),
        ..Limits::default()
    };
    block_on(async {
        let (ours, theirs) = duplex(1 << 16);
        let (mut hears, mut says) = tokio::io::split(theirs);
        let peer = async {
            let _ = says.write_all(bytes).await;
            let _ = says.shutdown().await;
            let mut sink = tokio::io::sink();
            let _ = tokio::io::copy(&mut hears, &mut sink).await;
        };
        let product = async {
            if who == 0 {
                let server =
                    Server::new(Exports::default().with("", Arc::new(Zeros)), limits, clock());
                let _ = server.serve_stream(ours, CancellationToken::new()).await;
            } else {
                let _ = session(ours, who == 2).await;
            }
        };
        let both = async { tokio::join!(peer, product) };
        tokio::time::timeout(Duration::from_secs(10), both).await.expect("it hangs");
    });
}

/// Every request there is.
async fn session(stream: tokio::io::DuplexStream, extended_headers: bool) -> cbr_nbd::Result<()> {
    let patience = Duration::from_secs(5);
    let wishes = Wishes { extended_headers, patience, ..Wishes::new("") };
    let client = Client::over(stream, wishes, clock()).await?;
    let size = client.info().size.min(SIZE);
    client.read(0, u32::try_from(size).unwrap_or_default()).await?;
    client.extents("base:allocation", 0..size).await?;
    client.flush().await?;
    client.disconnect().await
}

/// What both sides say in a good session, recorded.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for extended in [false, true] {
        let (said, answered) = block_on(recorded(extended));
        seeds.push([&[0], &said[..]].concat());
        seeds.push([&[1 + u8::from(extended)], &answered[..]].concat());
    }
    seeds
}

/// A session through a relay that keeps what each side says.
async fn recorded(extended: bool) -> (Vec<u8>, Vec<u8>) {
    let (client, near) = duplex(1 << 20);
    let (far, server_end) = duplex(1 << 20);
    let serving = async {
        let exports = Exports::default().with("", Arc::new(Zeros));
        let server = Server::new(exports, Limits::default(), clock());
        let _ = server.serve_stream(server_end, CancellationToken::new()).await;
    };
    let (mut near_read, mut near_write) = tokio::io::split(near);
    let (mut far_read, mut far_write) = tokio::io::split(far);
    let there = relay(&mut near_read, &mut far_write);
    let back = relay(&mut far_read, &mut near_write);
    let (_session, (), said, answered) =
        tokio::join!(session(client, extended), serving, there, back);
    (said, answered)
}

async fn relay(
    from: &mut (impl tokio::io::AsyncRead + Unpin),
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
) -> Vec<u8> {
    let (mut kept, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..count]);
        if to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
    kept
}
