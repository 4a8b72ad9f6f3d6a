//! The client's requests.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cbr_env::Clock;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, ToSocketAddrs, UnixStream};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinHandle;

use super::negotiate::{Agreed, DiskInfo, Wishes, greet, list, negotiate, start_tls};
use super::pending::{Outcome, Pending};
use super::receive::{Waiting, receive};
use crate::error::{Error, Result};
use crate::extent::{Extent, Extents};
use crate::stream::{Stream, within};
use crate::wire::numbers as n;
use crate::wire::request::Request;

const DURING: &str = "transmission";
/// Longest range one compact block status request asks for; a multiple of every block size.
const COMPACT_STATUS_MAX: u64 = 1 << 31;
/// Runs collected by [`Client::extents`]: 64 MiB of them.
const EXTENTS_MAX: usize = 4 << 20;

/// A connection to an NBD server's export. Requests may run at the same time: share it by
/// reference or in an `Arc`.
///
/// After [`Error::Connection`], [`Error::Protocol`] or [`Error::Silent`] it is of no use any
/// more; after [`Error::Remote`] and [`Error::Invalid`] it is.
pub struct Client {
    agreed: Agreed,
    wishes: Wishes,
    clock: Arc<dyn Clock>,
    writer: Mutex<Box<dyn AsyncWrite + Send + Unpin>>,
    waiting: Arc<Waiting>,
    in_flight: Semaphore,
    cookies: AtomicU64,
    receiver: JoinHandle<Result<()>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("info", &self.agreed.info).finish_non_exhaustive()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.receiver.abort();
    }
}

impl Client {
    /// Connects to a server's Unix socket.
    pub async fn connect_unix(path: &Path, wishes: Wishes, clock: Arc<dyn Clock>) -> Result<Self> {
        let stream = UnixStream::connect(path).await.map_err(Error::connection("connect"))?;
        Self::over(stream, wishes, clock).await
    }

    /// Connects to a server over TCP; in the clear unless the wishes say otherwise.
    pub async fn connect_tcp(
        address: impl ToSocketAddrs,
        wishes: Wishes,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let stream = TcpStream::connect(address).await.map_err(Error::connection("connect"))?;
        stream.set_nodelay(true).map_err(Error::connection("connect"))?;
        Self::over(stream, wishes, clock).await
    }

    /// Speaks with a server over a stream that is already connected.
    pub async fn over(
        mut stream: impl Stream,
        wishes: Wishes,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let Some(tls) = wishes.tls.clone() else {
            let handshake = async {
                greet(&mut stream).await?;
                negotiate(&mut stream, &wishes).await
            };
            let agreed = within(&*clock, wishes.patience, "handshake", handshake).await?;
            return Ok(Self::start(stream, agreed, wishes, clock));
        };
        let handshake = async {
            greet(&mut stream).await?;
            start_tls(&mut stream).await?;
            let mut stream = tls.connect(stream).await?;
            let agreed = negotiate(&mut stream, &wishes).await?;
            Ok((stream, agreed))
        };
        let (stream, agreed) = within(&*clock, wishes.patience, "handshake", handshake).await?;
        Ok(Self::start(stream, agreed, wishes, clock))
    }

    fn start(stream: impl Stream, agreed: Agreed, wishes: Wishes, clock: Arc<dyn Clock>) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        let waiting = Arc::new(Waiting::default());
        let receiver = tokio::spawn(receive(reader, agreed.headers, Arc::clone(&waiting)));
        Self {
            agreed,
            in_flight: Semaphore::new(wishes.in_flight.max(1)),
            wishes,
            clock,
            writer: Mutex::new(Box::new(writer)),
            waiting,
            cookies: AtomicU64::new(1),
            receiver,
        }
    }

    /// The names of the exports of the server at a Unix socket.
    pub async fn list_unix(path: &Path, wishes: &Wishes, clock: &dyn Clock) -> Result<Vec<String>> {
        let mut stream = UnixStream::connect(path).await.map_err(Error::connection("connect"))?;
        let handshake = async {
            greet(&mut stream).await?;
            list(&mut stream).await
        };
        within(clock, wishes.patience, "handshake", handshake).await
    }

    /// What the server said of the export.
    pub fn info(&self) -> &DiskInfo {
        &self.agreed.info
    }

    /// Reads `length` bytes from `offset` on; at most [`DiskInfo::maximum_payload`].
    pub async fn read(&self, offset: u64, length: u32) -> Result<Vec<u8>> {
        let command = "read";
        self.check(command, offset, u64::from(length))?;
        self.check_payload(command, u64::from(length))?;
        let pending = Pending::read(offset, length as usize);
        let request = self.request(n::CMD_READ, 0, offset, u64::from(length));
        match self.ask(command, request, &[], pending).await? {
            Outcome::Data(data) => Ok(data),
            _ => Err(unexpected()),
        }
    }

    /// Writes `data` at `offset`; at most [`DiskInfo::maximum_payload`] bytes. With `durable`
    /// it returns when they survive a power cut.
    pub async fn write(&self, offset: u64, data: &[u8], durable: bool) -> Result<()> {
        let (command, length) = ("write", data.len() as u64);
        self.check(command, offset, length)?;
        self.check_payload(command, length)?;
        let extended = self.agreed.info.extended_headers;
        let flags =
            if extended { n::CMD_FLAG_PAYLOAD_LEN } else { 0 } | self.fua(command, durable)?;
        let request = self.request(n::CMD_WRITE, flags, offset, length);
        self.change(command, request, data).await
    }

    /// Makes a range read as zeroes; it may become a hole if `may_punch`.
    pub async fn write_zeroes(&self, range: Range<u64>, may_punch: bool) -> Result<()> {
        let flags = if may_punch { 0 } else { n::CMD_FLAG_NO_HOLE };
        let offered = self.agreed.info.write_zeroes;
        self.without_payload("write-zeroes", offered, (n::CMD_WRITE_ZEROES, flags), range).await
    }

    /// Tells the server that the range's contents are of no use any more.
    pub async fn trim(&self, range: Range<u64>) -> Result<()> {
        let offered = self.agreed.info.trim;
        self.without_payload("trim", offered, (n::CMD_TRIM, 0), range).await
    }

    /// Returns when everything written before survives a power cut.
    pub async fn flush(&self) -> Result<()> {
        if !self.agreed.info.flush {
            return Err(Error::Invalid { command: "flush", what: "is not offered" });
        }
        self.change("flush", self.request(n::CMD_FLUSH, 0, 0, 0), &[]).await
    }

    /// The extents of a whole range in one of the contexts the server has
    /// ([`DiskInfo::contexts`]). Asks as often as needed.
    pub async fn extents(&self, context: &str, range: Range<u64>) -> Result<Vec<Extent>> {
        let mut extents = Extents::default();
        let mut at = range.start;
        while at < range.end {
            for extent in self.extents_once(context, at..range.end).await? {
                let length = extent.length.min(range.end - at);
                extents.push(Extent { length, flags: extent.flags });
                at += length;
            }
            if extents.count() > EXTENTS_MAX {
                let what = "too many extents: ask for a smaller range";
                return Err(Error::Invalid { command: "block status", what });
            }
        }
        Ok(extents.into_vec())
    }

    /// The extents from the range's start on, as far as the server tells of them at once; of
    /// something in any case. The last one may go beyond the range.
    pub async fn extents_once(&self, context: &str, range: Range<u64>) -> Result<Vec<Extent>> {
        let command = "block status";
        let wrong = |what| Error::Invalid { command, what };
        let info = &self.agreed.info;
        let at = info.contexts.iter().position(|name| name == context);
        let number = at.and_then(|at| self.agreed.context_numbers.get(at)).copied();
        let number = number.ok_or(wrong("the server does not have the context"))?;
        let mut length = range.end.saturating_sub(range.start);
        if length == 0 {
            return Err(wrong("the range is empty"));
        }
        if !info.extended_headers {
            length = length.min(COMPACT_STATUS_MAX);
        }
        self.check(command, range.start, length)?;
        let pending = Pending::status(self.agreed.context_numbers.clone());
        let request = self.request(n::CMD_BLOCK_STATUS, 0, range.start, length);
        let Outcome::Status(found) = self.ask(command, request, &[], pending).await? else {
            return Err(unexpected());
        };
        let found = found.into_iter().find(|(context, _)| *context == number);
        found.map(|(_, extents)| extents).ok_or(Error::Protocol {
            during: DURING,
            what: "a block status without one of the contexts",
        })
    }

    /// Takes leave of the server. Dropping the client instead cuts the connection.
    pub async fn disconnect(self) -> Result<()> {
        let bytes = self.request(n::CMD_DISC, 0, 0, 0).encode(self.agreed.headers);
        let leave = async {
            let mut writer = self.writer.lock().await;
            writer.write_all(&bytes).await.map_err(Error::connection("disconnect"))?;
            writer.shutdown().await.map_err(Error::connection("disconnect"))
        };
        within(&*self.clock, self.wishes.patience, "disconnect", leave).await
    }

    async fn without_payload(
        &self,
        command: &'static str,
        offered: bool,
        (number, flags): (u16, u16),
        range: Range<u64>,
    ) -> Result<()> {
        if !offered {
            return Err(Error::Invalid { command, what: "is not offered" });
        }
        let info = &self.agreed.info;
        // Without 64-bit lengths, in pieces.
        let most = if info.extended_headers { u64::MAX } else { COMPACT_STATUS_MAX };
        let mut at = range.start;
        while at < range.end {
            let length = (range.end - at).min(most);
            self.check(command, at, length)?;
            self.change(command, self.request(number, flags, at, length), &[]).await?;
            at += length;
        }
        Ok(())
    }

    fn request(&self, command: u16, flags: u16, offset: u64, length: u64) -> Request {
        let cookie = self.cookies.fetch_add(1, Ordering::Relaxed);
        Request { flags, command, cookie, offset, length }
    }

    fn check(&self, command: &'static str, offset: u64, length: u64) -> Result<()> {
        let wrong = |what| Err(Error::Invalid { command, what });
        let block = u64::from(self.agreed.info.minimum_block);
        if offset.checked_add(length).is_none_or(|end| end > self.agreed.info.size) {
            return wrong("the range is outside of the disk");
        }
        if !offset.is_multiple_of(block) || !length.is_multiple_of(block) {
            return wrong("the range is not made of whole blocks");
        }
        Ok(())
    }

    fn check_payload(&self, command: &'static str, length: u64) -> Result<()> {
        if length > u64::from(self.agreed.info.maximum_payload) {
            return Err(Error::Invalid { command, what: "is too long for one request" });
        }
        Ok(())
    }

    fn fua(&self, command: &'static str, durable: bool) -> Result<u16> {
        match (durable, self.agreed.flags & n::TRANS_SEND_FUA != 0) {
            (false, _) => Ok(0),
            (true, true) => Ok(n::CMD_FLAG_FUA),
            (true, false) => Err(Error::Invalid { command, what: "cannot be durable at once" }),
        }
    }

    async fn change(&self, command: &'static str, request: Request, data: &[u8]) -> Result<()> {
        if self.agreed.info.read_only {
            return Err(Error::Invalid { command, what: "the export is read-only" });
        }
        match self.ask(command, request, data, Pending::plain()).await? {
            Outcome::Done => Ok(()),
            _ => Err(unexpected()),
        }
    }

    /// Sends a request, and waits for its answer.
    async fn ask(
        &self,
        command: &'static str,
        request: Request,
        payload: &[u8],
        pending: Pending,
    ) -> Result<Outcome> {
        let gone = || Error::Connection {
            during: DURING,
            source: io::ErrorKind::ConnectionAborted.into(),
        };
        let _permit = self.in_flight.acquire().await.map_err(|_| gone())?;
        let mut header = request.encode(self.agreed.headers);
        let exchange = async {
            let answer = self.waiting.add(request.cookie, pending);
            let mut sending = Sending { waiting: &self.waiting, whole: false };
            let mut writer = self.writer.lock().await;
            header.extend_from_slice(payload);
            writer.write_all(&header).await.map_err(Error::connection(DURING))?;
            writer.flush().await.map_err(Error::connection(DURING))?;
            sending.whole = true;
            drop(sending);
            drop(writer);
            answer.await.map_err(|_| gone())
        };
        let outcome = within(&*self.clock, self.wishes.patience, DURING, exchange).await;
        if matches!(outcome, Err(Error::Silent { .. })) {
            self.waiting.end();
        }
        match outcome? {
            Outcome::Failed(errno) => Err(Error::Remote { command, errno }),
            outcome => Ok(outcome),
        }
    }
}

/// Ends the connection if a request was cut off in its middle: nothing can follow it.
struct Sending<'a> {
    waiting: &'a Waiting,
    whole: bool,
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if !self.whole {
            self.waiting.end();
        }
    }
}

fn unexpected() -> Error {
    Error::Protocol { during: DURING, what: "an answer to another command" }
}
