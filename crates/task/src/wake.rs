//! The bell that tells the engine of this process that there is something to do.

use std::sync::Arc;

use tokio::sync::Notify;

/// Rings through to the engine; all copies are the same bell.
///
/// Without it the engine notices as well, only up to `Options::poll` later.
#[derive(Clone, Debug, Default)]
pub struct Wake {
    pub(crate) due: Arc<Notify>,
    pub(crate) cancelled: Arc<Notify>,
}

impl Wake {
    /// After the commit that enqueued a task or asked one to stop.
    pub fn wake(&self) {
        self.due.notify_one();
        self.cancelled.notify_waiters();
    }
}
