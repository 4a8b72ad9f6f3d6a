//! Copying a disk from an NBD export into an image file.
//!
//! Only what the server says is data is read. Several requests are under way at once, so memory
//! is bounded by [`READS_MAX`] times [`READ_BYTES`].

use std::io;
use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use cbr_nbd::Client;
use cbr_store::BlockTarget;
use indicatif::ProgressBar;
use tokio::task::{JoinSet, spawn_blocking};

use crate::image::NewImage;

/// Bytes of one read.
const READ_BYTES: u64 = 2 << 20;
/// Reads under way at the same time.
const READS_MAX: usize = 8;
const ALLOCATION: &str = "base:allocation";

/// Copies everything; the image has all of it when this returns, but is not published.
pub(crate) async fn download(
    client: Arc<Client>,
    image: &Arc<NewImage>,
    bar: &ProgressBar,
) -> Result<()> {
    let size = client.info().size;
    if image.size_bytes() != size {
        bail!("the export has {size} bytes, the image {}", image.size_bytes());
    }
    let pieces = pieces(&client).await.context("cannot ask for the disk's map")?;
    bar.set_length(pieces.iter().map(|piece| piece.end - piece.start).sum());
    let mut under_way = JoinSet::new();
    for piece in pieces {
        if under_way.len() >= READS_MAX {
            finish_one(&mut under_way, bar).await?;
        }
        under_way.spawn(copy(Arc::clone(&client), Arc::clone(image), piece));
    }
    while !under_way.is_empty() {
        finish_one(&mut under_way, bar).await?;
    }
    Ok(())
}

async fn finish_one(under_way: &mut JoinSet<Result<u64>>, bar: &ProgressBar) -> Result<()> {
    if let Some(done) = under_way.join_next().await {
        bar.inc(done.context("a copy ended unexpectedly")??);
    }
    Ok(())
}

async fn copy(client: Arc<Client>, image: Arc<NewImage>, piece: Range<u64>) -> Result<u64> {
    let bytes = piece.end - piece.start;
    // Fits: a piece is at most READ_BYTES.
    let length = u32::try_from(bytes).unwrap_or(u32::MAX);
    let at = piece.start;
    let data = client.read(at, length).await.with_context(|| format!("cannot read byte {at}"))?;
    let written = spawn_blocking(move || image.write_at(at, &data)).await;
    written
        .map_err(io::Error::other)
        .flatten()
        .with_context(|| format!("cannot write byte {at}"))?;
    Ok(bytes)
}

/// What holds data, cut into reads.
async fn pieces(client: &Client) -> cbr_nbd::Result<Vec<Range<u64>>> {
    let size = client.info().size;
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < size {
        // A server that does not know says that all is data.
        let told = if client.info().contexts.iter().any(|context| context == ALLOCATION) {
            client.extents_once(ALLOCATION, at..size).await?
        } else {
            vec![cbr_nbd::Extent::plain(size - at)]
        };
        for extent in told {
            let end = at.saturating_add(extent.length).min(size);
            while !extent.is_zero() && at < end {
                let next = (at + READ_BYTES).min(end);
                pieces.push(at..next);
                at = next;
            }
            at = end;
        }
    }
    Ok(pieces)
}
