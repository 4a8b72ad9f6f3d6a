//! The transmission phase: requests are read one after the other and worked on together.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::failure;
use super::negotiate::Agreed;
use super::perform::Job;
use super::serve::Shared;
use crate::error::{Error, Result};
use crate::stream::{Stream, read_vec, within};
use crate::wire::numbers::{CMD_BLOCK_STATUS, CMD_READ, EIO};
use crate::wire::request::{Headers, Request};

const DURING: &str = "transmission";
/// The grain in which memory is accounted.
const GRAIN: usize = 4 << 10;
/// What an answer takes besides the bytes of the request: headers, or the extents of both
/// contexts.
const ANSWER_BYTES: usize = 2 << 20;

/// One connection that is being served.
struct Connection<S> {
    writer: Mutex<WriteHalf<S>>,
    /// Cancelled when the peer cannot be answered any more.
    broken: CancellationToken,
    shared: Arc<Shared>,
}

/// Serves requests until the client leaves, breaks the protocol, or `stop`. Requests already
/// read are answered first.
pub(super) async fn transmit<S: Stream>(
    stream: S,
    agreed: Agreed,
    shared: &Arc<Shared>,
    stop: CancellationToken,
) -> Result<()> {
    let (mut reader, writer) = tokio::io::split(stream);
    let connection = Arc::new(Connection {
        writer: Mutex::new(writer),
        broken: CancellationToken::new(),
        shared: Arc::clone(shared),
    });
    let tasks = TaskTracker::new();
    let served = tokio::select! {
        () = stop.cancelled() => Ok(()),
        () = agreed.gone.cancelled() => Ok(()),
        () = connection.broken.cancelled() => Ok(()),
        served = read_requests(&mut reader, &agreed, &connection, &tasks) => served,
    };
    tasks.close();
    tasks.wait().await;
    // Before the good-bye, which a peer that reads nothing holds up: what was exported may be deleted.
    drop(agreed);
    let good_bye = async {
        let mut writer = connection.writer.lock().await;
        writer.shutdown().await.map_err(Error::connection(DURING))
    };
    // The peer may have gone: then there is nobody to tell.
    let _ = within(&*shared.clock, shared.limits.stall, DURING, good_bye).await;
    served
}

async fn read_requests<S: Stream>(
    reader: &mut ReadHalf<S>,
    agreed: &Agreed,
    connection: &Arc<Connection<S>>,
    tasks: &TaskTracker,
) -> Result<()> {
    let limits = &connection.shared.limits;
    let requests = Arc::new(Semaphore::new(limits.connection_requests));
    let memory = Arc::new(Semaphore::new(limits.connection_bytes / GRAIN));
    while let Some(request) = read_header(reader, agreed.headers).await? {
        let payload = request.payload(agreed.headers);
        if payload > u64::from(limits.request_bytes) {
            return Err(Error::Protocol { during: DURING, what: "a payload is too long" });
        }
        if request.disconnects() {
            return Ok(());
        }
        let permits = [
            acquire(&requests, 1).await?,
            acquire(&memory, grains(&request, payload, limits.request_bytes)).await?,
        ];
        // Fits: it is at most `request_bytes`.
        let payload = usize::try_from(payload).unwrap_or(usize::MAX);
        let read = read_vec(reader, payload, DURING);
        let payload = within(&*connection.shared.clock, limits.stall, DURING, read).await?;
        let job = Job {
            export: Arc::clone(&agreed.export),
            headers: agreed.headers,
            contexts: agreed.contexts,
            request_bytes: limits.request_bytes,
            request,
            payload,
        };
        let connection = Arc::clone(connection);
        tasks.spawn(async move {
            connection.answer(job).await;
            drop(permits);
        });
    }
    Ok(())
}

/// The next request; none at a clean end.
async fn read_header<S: Stream>(
    reader: &mut ReadHalf<S>,
    headers: Headers,
) -> Result<Option<Request>> {
    let mut bytes = vec![0; headers.request_bytes()];
    let first = reader.read(&mut bytes).await.map_err(Error::connection(DURING))?;
    if first == 0 {
        return Ok(None);
    }
    reader.read_exact(&mut bytes[first..]).await.map_err(Error::connection(DURING))?;
    Request::parse(headers, &bytes).map(Some).map_err(Error::malformed(DURING))
}

/// What the request and its answer take of the connection's memory.
fn grains(request: &Request, payload: u64, request_bytes: u32) -> u32 {
    // A payload is limited to `request_bytes` before, and takes its memory whatever it is sent with; other
    // lengths are ranges.
    let data = match request.command {
        CMD_BLOCK_STATUS => payload,
        _ => request.length.min(u64::from(request_bytes)),
    };
    let answer =
        if matches!(request.command, CMD_READ | CMD_BLOCK_STATUS) { ANSWER_BYTES } else { 0 };
    let bytes = usize::try_from(data).unwrap_or(usize::MAX).saturating_add(answer);
    u32::try_from(bytes.div_ceil(GRAIN).max(1)).unwrap_or(u32::MAX)
}

async fn acquire(semaphore: &Arc<Semaphore>, count: u32) -> Result<OwnedSemaphorePermit> {
    let permit = Arc::clone(semaphore).acquire_many_owned(count).await;
    permit.map_err(|_| Error::Connection {
        during: DURING,
        source: io::ErrorKind::ConnectionAborted.into(),
    })
}

impl<S: Stream> Connection<S> {
    /// Does the job on a thread that may wait, and sends what comes of it.
    async fn answer(&self, job: Job) {
        let (headers, request) = (job.headers, job.request);
        let done = match Arc::clone(&self.shared.threads).acquire_owned().await {
            Ok(permit) => {
                let work = move || {
                    let done = job.perform();
                    drop(permit);
                    done
                };
                tokio::task::spawn_blocking(work).await.ok()
            }
            Err(_) => None,
        };
        // None: the export panicked. The client gets an error, as for any broken disk.
        let bytes = done.unwrap_or_else(|| failure(headers, &request, EIO));
        let send = async {
            let mut writer = self.writer.lock().await;
            writer.write_all(&bytes).await.map_err(Error::connection(DURING))?;
            writer.flush().await.map_err(Error::connection(DURING))
        };
        let stall = self.shared.limits.stall;
        if within(&*self.shared.clock, stall, DURING, send).await.is_err() {
            self.broken.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use cbr_env::ManualClock;
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    use super::super::contexts::Contexts;
    use super::super::{Exports, Limits, Server};
    use super::*;
    use crate::Export;
    use crate::wire::numbers::{CMD_FLAG_PAYLOAD_LEN, CMD_WRITE};

    /// A disk without any bytes.
    struct Empty;

    impl Export for Empty {
        fn size(&self) -> u64 {
            0
        }

        fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
            Ok(())
        }
    }

    /// A peer that has left and reads nothing, so that a good-bye over TLS never comes through.
    struct Deaf;

    impl AsyncRead for Deaf {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Deaf {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    /// P24: neither its place nor what was exported is held by a client that does not read the good-bye.
    #[tokio::test]
    async fn a_client_that_stops_reading_keeps_neither_place_nor_export() {
        let clock = ManualClock::new(cbr_env::Timestamp(0));
        let limits = Limits::default();
        let stall = limits.stall;
        let server = Server::new(Exports::default(), limits, Arc::new(clock.clone()));
        let export: Arc<dyn Export> = Arc::new(Empty);
        let agreed = Agreed {
            export: Arc::clone(&export),
            headers: Headers::Simple,
            contexts: Contexts::default(),
            gone: CancellationToken::new(),
        };
        let shared = Arc::clone(&server.shared);
        let stop = CancellationToken::new();
        let serving = tokio::spawn(async move { transmit(Deaf, agreed, &shared, stop).await });
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(Arc::strong_count(&export), 1, "while it waits");
        clock.advance(stall + Duration::from_secs(1));
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        assert!(serving.is_finished(), "it waits no longer than for an answer");
        serving.await.unwrap().unwrap();
    }

    /// P24: what a request makes us keep is accounted, whichever command brings it.
    #[test]
    fn every_payload_takes_its_memory() {
        let bytes = 32 << 20;
        let request = |command| Request {
            flags: CMD_FLAG_PAYLOAD_LEN,
            command,
            cookie: 0,
            offset: 0,
            length: bytes,
        };
        let whole = u32::try_from(bytes).unwrap() / u32::try_from(GRAIN).unwrap();
        for command in [CMD_BLOCK_STATUS, CMD_WRITE, CMD_READ] {
            let request = request(command);
            let payload = request.payload(Headers::Extended);
            assert_eq!(payload, bytes);
            assert!(grains(&request, payload, u32::MAX) >= whole, "{command}");
        }
    }
}
