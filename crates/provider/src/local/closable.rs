//! A writer that can be taken away from those who still have it.
//!
//! A step of a task may run on in its process after the task has gone on, be it a copy on a thread that
//! nobody waits for. The disk is somebody else's by then: what comes late is refused, not written (P1, P14).

use std::io;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use crate::disk::DiskWriter;

/// A disk writer until it is closed.
#[derive(Debug)]
pub(crate) struct Closable {
    size_bytes: u64,
    is_known_zero: bool,
    writer: RwLock<Option<Arc<dyn DiskWriter>>>,
}

impl Closable {
    pub(crate) fn new(writer: Arc<dyn DiskWriter>) -> Self {
        Self {
            size_bytes: writer.size_bytes(),
            is_known_zero: writer.is_known_zero(),
            writer: RwLock::new(Some(writer)),
        }
    }

    /// Waits for the calls that are at work and refuses all later ones; the disk and its lock are let go.
    pub(crate) fn close(&self) {
        drop(self.writer.write().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// The same once everything that was written is durable; else it stays open.
    pub(crate) fn close_durable(&self) -> io::Result<()> {
        let mut writer = self.writer.write().unwrap_or_else(PoisonError::into_inner);
        writer.as_ref().ok_or_else(closed)?.flush()?;
        drop(writer.take());
        Ok(())
    }

    fn open(&self) -> RwLockReadGuard<'_, Option<Arc<dyn DiskWriter>>> {
        self.writer.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DiskWriter for Closable {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn is_known_zero(&self) -> bool {
        self.is_known_zero
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.open().as_ref().ok_or_else(closed)?.write_at(offset, data)
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        self.open().as_ref().ok_or_else(closed)?.zero(range)
    }

    fn flush(&self) -> io::Result<()> {
        self.open().as_ref().ok_or_else(closed)?.flush()
    }
}

fn closed() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "this restore has ended; the disk is not written any more",
    )
}
