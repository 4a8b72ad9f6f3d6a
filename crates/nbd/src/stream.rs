//! Byte streams, and reading from them with an end to one's patience.

use std::future::Future;
use std::io;
use std::time::Duration;

use cbr_env::Clock;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

use crate::error::{Error, Result};

/// A connected byte stream: a Unix or TCP socket, or something that wraps one.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// `work`, unless it takes longer than `patience`.
pub(crate) async fn within<T>(
    clock: &dyn Clock,
    patience: Duration,
    during: &'static str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::select! {
        biased;
        done = work => done,
        () = clock.sleep(patience) => Err(Error::Silent { during }),
    }
}

/// Exactly `N` bytes.
pub(crate) async fn read_array<const N: usize>(
    reader: &mut (impl AsyncRead + Unpin),
    during: &'static str,
) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes).await.map_err(Error::connection(during))?;
    Ok(bytes)
}

/// Exactly `length` bytes. The caller has checked `length` against a limit.
pub(crate) async fn read_vec(
    reader: &mut (impl AsyncRead + Unpin),
    length: usize,
    during: &'static str,
) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes).await.map_err(Error::connection(during))?;
    Ok(bytes)
}

/// Reads `length` bytes and forgets them.
pub(crate) async fn skip(
    reader: &mut (impl AsyncRead + Unpin),
    length: u64,
    during: &'static str,
) -> Result<()> {
    let skipped = tokio::io::copy(&mut reader.take(length), &mut tokio::io::sink()).await;
    match skipped {
        Ok(count) if count == length => Ok(()),
        Ok(_) => Err(Error::Connection { during, source: io::ErrorKind::UnexpectedEof.into() }),
        Err(source) => Err(Error::Connection { during, source }),
    }
}
