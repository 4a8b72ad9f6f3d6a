//! Peers that send anything: nothing panics, nothing hangs, nothing grows without bound.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::task::{Context, Poll};
use std::time::Duration;

use cbr_nbd::{Client, Exports, Limits, Result, Server, Stream, Wishes};
use proptest::prelude::*;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex,
};
use tokio_util::sync::CancellationToken;

use crate::support::{MemoryDisk, clock, pattern};

const SIZE: usize = 300_000;
/// Panics of this process that speak of the crate's own files.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// From now on panics inside of the crate are counted, also those a task swallows.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.location().is_some_and(|place| place.file().contains("nbd/src/")) {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            usual(info);
        }));
    });
}

fn server() -> Server {
    let mut disk = MemoryDisk::new(pattern(SIZE), true);
    disk.changed = Some(std::iter::once(0..8192).collect());
    let limits = Limits {
        handshake: Duration::from_millis(500),
        stall: Duration::from_millis(500),
        ..Limits::default()
    };
    Server::new(Exports::default().with("", Arc::new(disk)), limits, clock())
}

fn wishes(extended_headers: bool) -> Wishes {
    let patience = Duration::from_millis(200);
    let wishes = Wishes { extended_headers, patience, ..Wishes::new("") };
    wishes.context("qemu:dirty-bitmap:since-monday")
}

/// A stream that keeps a copy of what goes through it.
struct Recorder {
    inner: DuplexStream,
    sent: Arc<Mutex<Vec<u8>>>,
    received: Arc<Mutex<Vec<Said>>>,
}

/// What a server said at once, and how much its client had said before.
#[derive(Clone)]
struct Said {
    after: usize,
    bytes: Vec<u8>,
}

impl AsyncRead for Recorder {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        let bytes = buffer.filled()[before..].to_vec();
        let after = self.sent.lock().unwrap().len();
        self.received.lock().unwrap().push(Said { after, bytes });
        polled
    }
}

impl AsyncWrite for Recorder {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = polled {
            self.sent.lock().unwrap().extend_from_slice(&bytes[..count]);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// A session that uses every request there is. Errors end it.
async fn session(stream: impl Stream, extended: bool) -> Result<()> {
    let client = Client::over(stream, wishes(extended), clock()).await?;
    client.read(0, 200_000).await?;
    client.write(5000, &[7; 700], true).await?;
    client.write_zeroes(0..9000, true).await?;
    client.trim(0..9000).await?;
    client.extents("base:allocation", 0..SIZE as u64).await?;
    client.extents("qemu:dirty-bitmap:since-monday", 0..SIZE as u64).await?;
    client.flush().await?;
    client.disconnect().await
}

/// The bytes of a good session: what the client sent, and what it received.
async fn recorded(extended: bool) -> (Vec<u8>, Vec<Said>) {
    let (ours, theirs) = duplex(1 << 20);
    let (sent, received) = (Arc::<Mutex<Vec<u8>>>::default(), Arc::<Mutex<Vec<Said>>>::default());
    let recorder =
        Recorder { inner: ours, sent: Arc::clone(&sent), received: Arc::clone(&received) };
    let serving =
        tokio::spawn(async move { server().serve_stream(theirs, CancellationToken::new()).await });
    session(recorder, extended).await.unwrap();
    serving.await.unwrap().unwrap();
    let (sent, received) = (sent.lock().unwrap().clone(), received.lock().unwrap().clone());
    (sent, received)
}

/// Gives a server these bytes, takes all it answers, and waits for its end.
async fn attack_server(bytes: Vec<u8>) {
    let (mut ours, theirs) = duplex(1 << 16);
    let serving =
        tokio::spawn(async move { server().serve_stream(theirs, CancellationToken::new()).await });
    let speak = async {
        let (mut reader, mut writer) = tokio::io::split(&mut ours);
        let write = async {
            // The server may hang up before it has read all.
            let _ = writer.write_all(&bytes).await;
            let _ = writer.shutdown().await;
        };
        let mut sink = tokio::io::sink();
        let drain = tokio::io::copy(&mut reader, &mut sink);
        tokio::join!(write, drain).1
    };
    let whole = async {
        let answered = speak.await.unwrap();
        let ended = serving.await;
        assert!(ended.is_ok(), "the server panicked: {ended:?}");
        answered
    };
    let answered = tokio::time::timeout(Duration::from_secs(20), whole).await;
    assert!(answered.is_ok(), "the server hangs");
}

/// Lets a client meet a server that says this, whatever it is asked.
async fn attack_client(said: Vec<Said>, extended: bool) -> Result<()> {
    let (ours, mut theirs) = duplex(1 << 16);
    let speak = async move {
        let (mut heard, mut buffer) = (0, vec![0; 1 << 16]);
        for Said { after, bytes } in said {
            while heard < after {
                match theirs.read(&mut buffer).await {
                    Ok(0) | Err(_) => return,
                    Ok(count) => heard += count,
                }
            }
            // The client may have hung up.
            let _ = theirs.write_all(&bytes).await;
        }
        let _ = theirs.shutdown().await;
        let _ = theirs.read_to_end(&mut buffer).await;
    };
    let meet = async { tokio::join!(session(ours, extended), speak).0 };
    tokio::time::timeout(Duration::from_secs(20), meet).await.expect("the client hangs")
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    count_panics();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = runtime.block_on(work);
    assert_eq!(PANICS.load(Ordering::SeqCst), 0, "something panicked, see above");
    done
}

/// One change of a session's bytes.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(usize, u8),
    Set(usize, u8),
    Cut(usize),
    Remove(usize, usize),
    Repeat(usize, usize),
    Insert(usize, Vec<u8>),
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len().max(1);
        // Most of a long session is data; half of the changes shall meet the headers.
        let place = |at: usize| {
            if at.is_multiple_of(2) { at / 2 % length.min(600) } else { at / 2 % length }
        };
        let span = |at: usize, count: usize| place(at)..(place(at) + count).min(bytes.len());
        match self {
            Self::Flip(at, bits) => {
                let at = place(*at);
                bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= bits);
            }
            Self::Set(at, value) => {
                let at = place(*at);
                bytes.get_mut(at).into_iter().for_each(|byte| *byte = *value);
            }
            Self::Cut(at) => bytes.truncate(place(*at)),
            Self::Remove(at, count) => {
                bytes.drain(span(*at, *count));
            }
            Self::Repeat(at, count) => {
                let again = bytes[span(*at, *count)].to_vec();
                let at = place(*at);
                bytes.splice(at..at, again);
            }
            Self::Insert(at, new) => {
                let at = place(*at).min(bytes.len());
                bytes.splice(at..at, new.iter().copied());
            }
        }
    }
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let at = any::<u32>().prop_map(|at| at as usize);
    let value = prop_oneof![Just(0), Just(0xff), Just(0x7f), Just(0x80), any::<u8>()];
    let mutation = prop_oneof![
        4 => (at.clone(), 1..=255_u8).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        4 => (at.clone(), value).prop_map(|(at, value)| Mutation::Set(at, value)),
        1 => at.clone().prop_map(Mutation::Cut),
        1 => (at.clone(), 1..40_usize).prop_map(|(at, count)| Mutation::Remove(at, count)),
        1 => (at.clone(), 1..200_usize).prop_map(|(at, count)| Mutation::Repeat(at, count)),
        1 => (at, prop::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
    ];
    prop::collection::vec(mutation, 1..5)
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn a_server_survives_random_bytes_at_each_stage(
        stage in 0..3_u8,
        noise in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let mut bytes = Vec::new();
        if stage > 0 {
            bytes.extend_from_slice(&3_u32.to_be_bytes());
        }
        if stage > 1 {
            bytes.extend_from_slice(b"IHAVEOPT\0\0\0\x0b\0\0\0\0IHAVEOPT\0\0\0\x07\0\0\0\x06\0\0\0\0\0\0");
        }
        bytes.extend_from_slice(&noise);
        block_on(attack_server(bytes));
    }

    #[test]
    fn a_client_survives_random_bytes(
        greeted in any::<bool>(),
        noise in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let mut bytes = if greeted { b"NBDMAGICIHAVEOPT\0\x03".to_vec() } else { Vec::new() };
        bytes.extend_from_slice(&noise);
        // Whether noise makes a session is not the question.
        let _ = block_on(attack_client(vec![Said { after: 0, bytes }], true));
    }
}

#[test]
fn a_server_survives_changed_sessions() {
    let sessions = [block_on(recorded(false)).0, block_on(recorded(true)).0];
    proptest!(cases(300), |(which in 0..2_usize, mutations in mutations())| {
        let mut bytes = sessions[which].clone();
        for mutation in &mutations {
            mutation.apply(&mut bytes);
        }
        block_on(attack_server(bytes));
    });
}

#[test]
fn a_client_survives_changed_sessions() {
    let sessions = [block_on(recorded(false)).1, block_on(recorded(true)).1];
    // Unchanged, the recording is a server as good as the real one: so the changes below
    // reach every part of a session.
    block_on(attack_client(sessions[0].clone(), false)).unwrap();
    block_on(attack_client(sessions[1].clone(), true)).unwrap();
    proptest!(cases(300), |(which in 0..2_usize, at in any::<prop::sample::Index>(), mutations in mutations())| {
        let mut said = sessions[which].clone();
        let changed = &mut at.get_mut(&mut said).bytes;
        for mutation in &mutations {
            mutation.apply(changed);
        }
        // It may fail or not notice; it may not panic or hang.
        let _ = block_on(attack_client(said, which == 1));
    });
}
