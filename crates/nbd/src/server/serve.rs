//! The server itself: its exports and its listeners.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use cbr_env::Clock;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::exports::Exports;
use super::limits::Limits;
use super::negotiate::{Next, Offer, greet, negotiate};
use super::transmit::transmit;
use crate::error::Result;
use crate::stream::{Stream, within};
use crate::tls::ServerTls;

/// How long to wait when the system has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A client may say nothing for as long as it likes, but its machine is asked whether it is there after
/// so long a silence, and again and again; one that does not answer gives its place back.
const QUIET: Duration = Duration::from_mins(1);
const PROBE: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;

/// A socket that clients connect to.
trait Listener {
    type Stream: Stream;

    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept().await?;
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        let probes = TcpKeepalive::new().with_time(QUIET).with_interval(PROBE).with_retries(PROBES);
        socket.set_tcp_keepalive(&probes)?;
        socket.set_tcp_user_timeout(Some(QUIET + PROBE * PROBES))?;
        Ok(stream)
    }
}

/// An NBD server. Cheap to clone; clones share exports and limits.
#[derive(Clone, Debug)]
pub struct Server {
    pub(super) shared: Arc<Shared>,
}

/// What the connections of a server share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) exports: Exports,
    pub(super) limits: Limits,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) threads: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    tls: Option<ServerTls>,
}

impl Server {
    /// A server of these exports. Limits out of bounds are moved into them.
    pub fn new(exports: Exports, limits: Limits, clock: Arc<dyn Clock>) -> Self {
        let limits = limits.sane();
        let threads = Arc::new(Semaphore::new(limits.threads));
        let connections = Arc::new(Semaphore::new(limits.connections));
        let tls = None;
        Self { shared: Arc::new(Shared { exports, limits, clock, threads, connections, tls }) }
    }

    /// A server of other exports that shares its limits with this one: what both do at the same
    /// time is bounded as if they were one.
    #[must_use]
    pub fn with_exports(&self, exports: Exports) -> Self {
        let shared = &self.shared;
        Self {
            shared: Arc::new(Shared {
                exports,
                limits: shared.limits.clone(),
                clock: Arc::clone(&shared.clock),
                threads: Arc::clone(&shared.threads),
                connections: Arc::clone(&shared.connections),
                tls: shared.tls.clone(),
            }),
        }
    }

    /// The same server with TLS for who asks for it, or for all.
    #[must_use]
    pub fn with_tls(&self, tls: ServerTls) -> Self {
        let shared = &self.shared;
        Self {
            shared: Arc::new(Shared {
                exports: shared.exports.clone(),
                limits: shared.limits.clone(),
                clock: Arc::clone(&shared.clock),
                threads: Arc::clone(&shared.threads),
                connections: Arc::clone(&shared.connections),
                tls: Some(tls),
            }),
        }
    }

    /// Serves clients of a Unix socket until `stop`; then requests that are in work are
    /// answered, and it returns. Who may connect is a matter of the socket's permissions.
    pub async fn serve_unix(&self, listener: UnixListener, stop: CancellationToken) {
        self.serve(listener, &stop).await;
    }

    /// Serves clients over TCP until `stop`, as [`Self::serve_unix`]. Without
    /// [`Self::with_tls`] neither encrypted nor authenticated: for the loopback interface.
    pub async fn serve_tcp(&self, listener: TcpListener, stop: CancellationToken) {
        self.serve(listener, &stop).await;
    }

    async fn serve(&self, listener: impl Listener, stop: &CancellationToken) {
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.next() => accepted,
            };
            match accepted {
                Ok(stream) => {
                    let Some(permit) = self.free_connection(stop).await else {
                        tracing::warn!("an NBD client is turned away: all connections are taken");
                        continue;
                    };
                    let (server, stop) = (self.clone(), stop.clone());
                    tasks.spawn(async move {
                        if let Err(error) = server.serve_stream(stream, stop).await {
                            tracing::debug!(%error, "NBD connection ended");
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an NBD connection");
                    self.shared.clock.sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        tasks.close();
        tasks.wait().await;
    }

    /// A place for a client that is there: who waits for clients only must not hold what others
    /// need for theirs. Waits until a client that does not say anything has lost its place.
    async fn free_connection(&self, stop: &CancellationToken) -> Option<OwnedSemaphorePermit> {
        let patience = self.shared.limits.handshake * 2;
        tokio::select! {
            () = stop.cancelled() => None,
            () = self.shared.clock.sleep(patience) => None,
            permit = Arc::clone(&self.shared.connections).acquire_owned() => permit.ok(),
        }
    }

    /// Serves one client that is already connected, until it leaves or `stop`.
    pub async fn serve_stream(
        &self,
        mut stream: impl Stream,
        stop: CancellationToken,
    ) -> Result<()> {
        let shared = &self.shared;
        let plain = Offer {
            exports: &shared.exports,
            request_bytes: shared.limits.request_bytes,
            tls: shared.tls.as_ref(),
        };
        let handshake = async {
            let wants_zeroes = greet(&mut stream).await?;
            Ok((negotiate(&mut stream, &plain, wants_zeroes).await?, wants_zeroes))
        };
        let Some((next, wants_zeroes)) = self.patiently(&stop, handshake).await? else {
            return Ok(());
        };
        let tls = match (next, &shared.tls) {
            (Next::Transmit(agreed), _) => return transmit(stream, agreed, shared, stop).await,
            (Next::Secure, Some(tls)) => tls,
            _ => return Ok(()),
        };
        // What was agreed in the clear may be somebody else's words: all of it begins anew.
        let secured = Offer { tls: None, ..plain };
        let handshake = async {
            let mut stream = tls.accept(stream).await?;
            let next = negotiate(&mut stream, &secured, wants_zeroes).await?;
            Ok((stream, next))
        };
        match self.patiently(&stop, handshake).await? {
            Some((stream, Next::Transmit(agreed))) => transmit(stream, agreed, shared, stop).await,
            _ => Ok(()),
        }
    }

    /// A part of a handshake, unless it takes too long; none at `stop`.
    async fn patiently<T>(
        &self,
        stop: &CancellationToken,
        work: impl Future<Output = Result<T>>,
    ) -> Result<Option<T>> {
        let patience = self.shared.limits.handshake;
        tokio::select! {
            () = stop.cancelled() => Ok(None),
            done = within(&*self.shared.clock, patience, "handshake", work) => done.map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P24: a machine that was cut off does not keep its place for ever.
    #[tokio::test]
    async fn a_connection_over_tcp_is_asked_whether_it_is_there() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(listener.next(), TcpStream::connect(address));
        let (near, _far) = (near.unwrap(), far.unwrap());
        let socket = SockRef::from(&near);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), QUIET);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_mins(2)));
    }
}
