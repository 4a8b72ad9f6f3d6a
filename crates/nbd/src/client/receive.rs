//! The task that reads answers, and hands each to who waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::oneshot;

use super::pending::{Outcome, Pending};
use crate::error::{Error, Result};
use crate::stream::{read_array, read_vec};
use crate::wire::Malformed;
use crate::wire::reply::{self, ChunkHeader, Reply};
use crate::wire::request::Headers;

const DURING: &str = "transmission";

/// A request that waits.
type Waiter = (Pending, oneshot::Sender<Outcome>);

/// The requests that wait, by cookie; none once the connection is at its end.
#[derive(Debug)]
pub(super) struct Waiting(Mutex<Option<HashMap<u64, Waiter>>>);

impl Default for Waiting {
    fn default() -> Self {
        Self(Mutex::new(Some(HashMap::new())))
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Option<HashMap<u64, Waiter>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the answer to `cookie`. The receiver fails at once if there will be none.
    pub(super) fn add(&self, cookie: u64, pending: Pending) -> oneshot::Receiver<Outcome> {
        let (sender, receiver) = oneshot::channel();
        if let Some(waiting) = self.lock().as_mut() {
            waiting.insert(cookie, (pending, sender));
        }
        receiver
    }

    fn take(&self, cookie: u64) -> Result<Waiter, Malformed> {
        let waiter = self.lock().as_mut().and_then(|waiting| waiting.remove(&cookie));
        waiter.ok_or(Malformed("an answer nobody waits for"))
    }

    fn put_back(&self, cookie: u64, waiter: Waiter) {
        if let Some(waiting) = self.lock().as_mut() {
            waiting.insert(cookie, waiter);
        }
    }

    /// Fails all that wait, and all that will.
    pub(super) fn end(&self) {
        *self.lock() = None;
    }
}

/// Reads answers until the connection ends or the server breaks the protocol.
pub(super) async fn receive(
    mut reader: impl AsyncRead + Unpin,
    headers: Headers,
    waiting: Arc<Waiting>,
) -> Result<()> {
    let ended = receive_all(&mut reader, headers, &waiting).await;
    waiting.end();
    if let Err(error) = &ended {
        tracing::debug!(%error, "NBD connection ended");
    }
    ended
}

async fn receive_all(
    reader: &mut (impl AsyncRead + Unpin),
    headers: Headers,
    waiting: &Waiting,
) -> Result<()> {
    loop {
        let magic = u32::from_be_bytes(read_array(reader, DURING).await?);
        let bytes = reply::header_bytes(headers, magic).map_err(Error::malformed(DURING))?;
        let rest = read_vec(reader, bytes - 4, DURING).await?;
        match reply::parse(magic, &rest).map_err(Error::malformed(DURING))? {
            Reply::Simple { error, cookie } => simple(reader, waiting, error, cookie).await?,
            Reply::Chunk(header) => chunk(reader, waiting, header).await?,
        }
    }
}

async fn simple(
    reader: &mut (impl AsyncRead + Unpin),
    waiting: &Waiting,
    error: u32,
    cookie: u64,
) -> Result<()> {
    let (pending, sender) = waiting.take(cookie).map_err(Error::malformed(DURING))?;
    let length = if error == 0 { pending.simple_bytes() } else { 0 };
    let data = read_vec(reader, length, DURING).await?;
    let outcome = pending.simple(error, data).map_err(Error::malformed(DURING))?;
    // Who asked may have gone.
    let _ = sender.send(outcome);
    Ok(())
}

async fn chunk(
    reader: &mut (impl AsyncRead + Unpin),
    waiting: &Waiting,
    header: ChunkHeader,
) -> Result<()> {
    let (mut pending, sender) = waiting.take(header.cookie).map_err(Error::malformed(DURING))?;
    let length = pending.payload_bytes(&header).map_err(Error::malformed(DURING))?;
    let mut payload = Vec::new();
    // Grows with what really comes.
    let read = reader.take(length as u64).read_to_end(&mut payload).await;
    if read.map_err(Error::connection(DURING))? != length {
        let source = std::io::ErrorKind::UnexpectedEof.into();
        return Err(Error::Connection { during: DURING, source });
    }
    pending.chunk(header.kind, &payload).map_err(Error::malformed(DURING))?;
    if header.done() {
        let outcome = pending.finish().map_err(Error::malformed(DURING))?;
        let _ = sender.send(outcome);
    } else {
        waiting.put_back(header.cookie, (pending, sender));
    }
    Ok(())
}
