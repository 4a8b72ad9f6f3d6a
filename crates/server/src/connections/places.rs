//! The places of connections, and what ends a connection.
//!
//! Each holds a place until it ends. An answer that is held up by its reader must be taken whole within
//! the time a connection may be idle; after that the connection ends. So does one that was asked nothing for that
//! time, whatever else it says.

use std::future::{Ready, ready};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready as when_ready};
use std::time::Duration;

use axum_server::accept::Accept;
use cbr_api::shares::{Place, Shares};
use cbr_env::Clock;
use cbr_model::network::{Network, is_in, network_of};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::activity::{Activity, Noted};

/// Gives each connection its place.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    shares: Shares<IpAddr>,
    proxies: Arc<[Network]>,
    clock: Arc<dyn Clock>,
    patience: Duration,
}

impl Places {
    /// Shared out like this – `proxies` speak for many and have no share –, for connections that may be idle and
    /// whose answers may be held up for `patience`.
    pub(crate) fn new(
        shares: Shares<IpAddr>,
        proxies: Vec<Network>,
        patience: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { shares, proxies: proxies.into(), clock, patience }
    }

    fn take(&self, address: IpAddr) -> Option<Place<IpAddr>> {
        let (address, network) = (address.to_canonical(), network_of(address));
        if is_in(&self.proxies, address) {
            self.shares.take_for_many(network)
        } else {
            self.shares.take(network)
        }
    }
}

impl<S> Accept<TcpStream, S> for Places {
    type Stream = Connection;
    type Service = Noted<S>;
    type Future = Ready<io::Result<(Connection, Noted<S>)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let address = match stream.peer_addr() {
            Ok(address) => address.ip(),
            // It has left already.
            Err(error) => return ready(Err(error)),
        };
        let Some(place) = self.take(address) else {
            metrics::counter!("cbr_connections_refused_total").increment(1);
            let why = "there are as many connections as there may be (http.connections_max, \
                       http.connections_per_address_max)";
            return ready(Err(io::Error::other(why)));
        };
        let (clock, patience) = (Arc::clone(&self.clock), self.patience);
        let activity = Activity::new(Arc::clone(&clock));
        let connection = Connection {
            stream,
            clock,
            patience,
            held_up: None,
            idle: None,
            activity: activity.clone(),
            _place: place,
        };
        ready(Ok((connection, Noted { inner: service, activity })))
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
    held_up: Option<Wait>,
    /// Ends when the connection may have been idle for too long; none: nobody waits for it.
    idle: Option<Wait>,
    activity: Activity,
    _place: Place<IpAddr>,
}

type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

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
        let end = self.held_up.get_or_insert_with(|| wait(clock, patience));
        when_ready!(end.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the answer is not taken")))
    }

    /// Ready when the connection was asked nothing for too long.
    fn is_idle(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let left = self.activity.time_left(self.patience);
            if let Some(idle) = &mut self.idle {
                when_ready!(idle.as_mut().poll(context));
                self.idle = None;
                if left.is_zero() {
                    return Poll::Ready(());
                }
            }
            self.idle = Some(wait(&self.clock, left));
        }
    }
}

fn wait(clock: &Arc<dyn Clock>, duration: Duration) -> Wait {
    let clock = Arc::clone(clock);
    Box::pin(async move { clock.sleep(duration).await })
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
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_pending() {
            when_ready!(self.is_idle(context));
            // As if it had hung up itself.
            return Poll::Ready(Ok(()));
        }
        read
    }
}
