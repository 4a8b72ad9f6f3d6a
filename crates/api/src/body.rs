//! Request bodies in memory: each has a limit, and so have all of them together.
//!
//! A body costs memory before it is known what it is good for. Those of clients that have shown
//! no credential share a small room of their own, so that nobody who cannot log in keeps others
//! from being served (P24).

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{ApiError, ErrorCode};

/// A client without a credential sends a login and nothing else: no more bytes than these.
pub(crate) const ANONYMOUS_BYTES_MAX: usize = 64 << 10;
/// What all bodies of clients without a credential may take together, in bytes.
const ANONYMOUS_ROOM: usize = 4 << 20;
/// What all bodies of the others may take together, in bytes; at least eight of the largest.
const ROOM: usize = 64 << 20;

/// The room for bodies.
#[derive(Debug)]
pub(crate) struct Bodies {
    room: Arc<Semaphore>,
    anonymous: Arc<Semaphore>,
}

/// The room that a body takes, until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Share(Option<OwnedSemaphorePermit>);

impl Bodies {
    /// Room for bodies of up to `bytes_max` bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        let room = ROOM.max(bytes_max.saturating_mul(8)).min(Semaphore::MAX_PERMITS);
        Self {
            room: Arc::new(Semaphore::new(room)),
            anonymous: Arc::new(Semaphore::new(ANONYMOUS_ROOM)),
        }
    }

    /// Reads a body of at most `limit` bytes. It takes only the room of what has arrived, and waits
    /// for none: who waited for another's room would hold what it has meanwhile.
    pub(crate) async fn read(
        &self,
        body: Body,
        limit: usize,
        is_anonymous: bool,
    ) -> Result<(Bytes, Share), ApiError> {
        let room = if is_anonymous { &self.anonymous } else { &self.room };
        let (mut bytes, mut share) = (Vec::new(), Share::default());
        let mut body = pin!(body);
        while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
            let frame = frame.map_err(|_| {
                ApiError::new(ErrorCode::InvalidParameter, "The body broke off or is malformed.")
            })?;
            let Ok(data) = frame.into_data() else { continue };
            if data.len() > limit - bytes.len() {
                return Err(too_large(limit));
            }
            share.grow(room, data.len())?;
            bytes.extend_from_slice(&data);
        }
        Ok((bytes.into(), share))
    }
}

impl Share {
    fn grow(&mut self, room: &Arc<Semaphore>, bytes: usize) -> Result<(), ApiError> {
        let full = || {
            let message = "Too many requests are being read. Try again in a moment.";
            ApiError::new(ErrorCode::TooManyRequests, message)
        };
        let count = u32::try_from(bytes).map_err(|_| full())?;
        let more = Arc::clone(room).try_acquire_many_owned(count).map_err(|_| full())?;
        match &mut self.0 {
            Some(share) => share.merge(more),
            None => self.0 = Some(more),
        }
        Ok(())
    }
}

/// The refusal of a body that is longer than `limit` bytes.
pub(crate) fn too_large(limit: usize) -> ApiError {
    ApiError::new(ErrorCode::BodyTooLarge, format!("The body exceeds {limit} bytes."))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P24.
    #[tokio::test]
    async fn all_bodies_together_have_a_limit_and_give_their_room_back() {
        let bodies = Bodies::new(1 << 20);
        let login = || Body::from(vec![b' '; ANONYMOUS_BYTES_MAX]);
        let mut held = Vec::new();
        for _ in 0..ANONYMOUS_ROOM / ANONYMOUS_BYTES_MAX {
            held.push(bodies.read(login(), ANONYMOUS_BYTES_MAX, true).await.unwrap());
        }
        let refused = bodies.read(login(), ANONYMOUS_BYTES_MAX, true).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::TooManyRequests);
        let known = bodies.read(Body::from(vec![b' '; 1 << 20]), 1 << 20, false).await;
        assert_eq!(known.unwrap().0.len(), 1 << 20, "others have their own room");
        held.pop();
        assert!(bodies.read(login(), ANONYMOUS_BYTES_MAX, true).await.is_ok());
        let long = bodies.read(Body::from("four"), 3, false).await.unwrap_err();
        assert_eq!(long.code, ErrorCode::BodyTooLarge);
    }
}
