//! Connections: so many at a time, and none for who takes no answer (P24).
//!
//! Each connection holds a place until it ends. An answer that is held up by its reader must be
//! taken whole within the time a connection may be idle; after that the connection ends.

use std::future::{Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready as when_ready};
use std::time::Duration;

use axum_server::accept::Accept;
use cbr_env::Clock;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Gives each connection its place.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
    patience: Duration,
}

impl Places {
    /// For `connections` at a time, whose answers may be held up for `patience`.
    pub(crate) fn new(connections: usize, patience: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { free: Arc::new(Semaphore::new(connections)), clock, patience }
    }
}

impl<S> Accept<TcpStream, S> for Places {
    type Stream = Connection;
    type Service = S;
    type Future = Ready<io::Result<(Connection, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Ok(place) = Arc::clone(&self.free).try_acquire_owned() else {
            metrics::counter!("cbr_connections_refused_total").increment(1);
            let why = "there are as many connections as there may be (http.connections_max)";
            return ready(Err(io::Error::other(why)));
        };
        let (clock, patience) = (Arc::clone(&self.clock), self.patience);
        ready(Ok((Connection { stream, clock, patience, held_up: None, _place: place }, service)))
    }
}

/// Notes a connection that came to nothing. Of one that has no address none was there yet: the
/// process lacks something.
pub(crate) fn note_failed(address: Option<&SocketAddr>, error: &io::Error) {
    if let Some(address) = address {
        tracing::debug!(%address, %error, "a connection was refused");
    } else {
        tracing::warn!(%error, "cannot accept connections");
    }
}

/// A connection in its place.
pub(crate) struct Connection {
    stream: TcpStream,
    clock: Arc<dyn Clock>,
    patience: Duration,
    /// Ends when the answer has been held up for too long; none: nothing is held up.
    held_up: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    /// Passes on what a write says, but for how long it may say: not now.
    fn within_patience<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            return written;
        }
        let (clock, patience) = (&self.clock, self.patience);
        let end = self.held_up.get_or_insert_with(|| {
            let clock = Arc::clone(clock);
            Box::pin(async move { clock.sleep(patience).await })
        });
        when_ready!(end.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the answer is not taken")))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.within_patience(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.within_patience(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Comes after everything was written: then nothing is held up.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.held_up = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}
