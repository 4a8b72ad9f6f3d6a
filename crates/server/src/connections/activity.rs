//! Whether a connection is good for something: it answers a request, or did not long ago.
//!
//! HTTP/2 has frames of its own, and a client may answer pings for ever without asking for anything.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use cbr_env::Clock;
use http_body::{Frame, SizeHint};
use tower::Service;

/// What a connection is doing.
#[derive(Clone, Debug)]
pub(crate) struct Activity(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Arc<dyn Clock>,
    answering: AtomicUsize,
    /// When the last answer was whole; before the first one, when the connection came.
    idle_since_micros: AtomicU64,
}

impl Activity {
    /// Of a connection that just came.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let idle_since_micros = AtomicU64::new(clock.monotonic_micros());
        Self(Arc::new(Inner { clock, answering: AtomicUsize::new(0), idle_since_micros }))
    }

    /// For how much longer the connection may do nothing, if it may for `patience`.
    pub(crate) fn time_left(&self, patience: Duration) -> Duration {
        if self.0.answering.load(Ordering::SeqCst) > 0 {
            return patience;
        }
        let since = self.0.idle_since_micros.load(Ordering::SeqCst);
        let idle = self.0.clock.monotonic_micros().saturating_sub(since);
        patience.saturating_sub(Duration::from_micros(idle))
    }

    fn begin(&self) -> Answering {
        self.0.answering.fetch_add(1, Ordering::SeqCst);
        Answering(self.clone())
    }
}

/// An answer that is under way, until it is dropped.
#[derive(Debug)]
struct Answering(Activity);

impl Drop for Answering {
    fn drop(&mut self) {
        let inner = &self.0.0;
        inner.idle_since_micros.store(inner.clock.monotonic_micros(), Ordering::SeqCst);
        inner.answering.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A service that notes in its connection's activity when it answers.
#[derive(Clone, Debug)]
pub(crate) struct Noted<S> {
    pub(crate) inner: S,
    pub(crate) activity: Activity,
}

impl<S, B> Service<Request<B>> for Noted<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let answering = self.activity.begin();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let (parts, body) = answer.await?.into_parts();
            Ok(Response::from_parts(parts, Body::new(NotedBody { body, _answering: answering })))
        })
    }
}

/// The body of an answer: it is under way until that has gone out.
struct NotedBody {
    body: Body,
    _answering: Answering,
}

impl http_body::Body for NotedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use cbr_env::{ManualClock, Timestamp};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// P24.
    #[test]
    fn only_answers_count_as_activity() {
        let clock = ManualClock::new(Timestamp(0));
        let activity = Activity::new(Arc::new(clock.clone()));
        clock.advance(Duration::from_secs(4));
        assert_eq!(activity.time_left(PATIENCE), Duration::from_secs(6));
        let (first, second) = (activity.begin(), activity.begin());
        clock.advance(Duration::from_secs(100));
        assert_eq!(activity.time_left(PATIENCE), PATIENCE, "a long answer is no idleness");
        drop(first);
        assert_eq!(activity.time_left(PATIENCE), PATIENCE, "there is another one");
        drop(second);
        assert_eq!(activity.time_left(PATIENCE), PATIENCE);
        clock.advance(PATIENCE);
        assert_eq!(activity.time_left(PATIENCE), Duration::ZERO);
    }
}
