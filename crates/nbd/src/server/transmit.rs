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
    // The peer may have gone: then there is nobody to tell.
    let _ = connection.writer.lock().await.shutdown().await;
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
            acquire(&memory, grains(&request, limits.request_bytes)).await?,
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
fn grains(request: &Request, request_bytes: u32) -> u32 {
    // Payloads are limited to `request_bytes` before; other lengths are ranges.
    let data = match request.command {
        CMD_BLOCK_STATUS => 0,
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
