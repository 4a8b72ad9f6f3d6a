//! One request done: from its header and payload to the bytes of its answer. No socket here.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::answer::{chunk, failure, mark_done, push_data, push_error, push_hole, simple, success};
use super::contexts::{Contexts, changes_name};
use crate::export::{Export, Writes};
use crate::extent::{Extent, fitted};
use crate::wire::numbers as n;
use crate::wire::option::context_number;
use crate::wire::reply::encode_status;
use crate::wire::request::{Headers, Request};

/// Runs in one answer to a block status request, and chunks in one answer to a read.
const EXTENTS_MAX: usize = 32 << 10;

/// A request and everything needed to do it.
pub(super) struct Job {
    pub(super) export: Arc<dyn Export>,
    pub(super) headers: Headers,
    pub(super) contexts: Contexts,
    pub(super) request_bytes: u32,
    pub(super) request: Request,
    pub(super) payload: Vec<u8>,
}

/// The number of an error the client is told.
struct Errno(u32);

impl From<io::Error> for Errno {
    fn from(error: io::Error) -> Self {
        tracing::warn!(%error, "an exported disk failed");
        Self(match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => n::EPERM,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => n::ENOSPC,
            io::ErrorKind::InvalidInput => n::EINVAL,
            io::ErrorKind::OutOfMemory => n::ENOMEM,
            io::ErrorKind::Unsupported => n::ENOTSUP,
            _ => n::EIO,
        })
    }
}

const INVALID: Errno = Errno(n::EINVAL);

impl Job {
    /// The bytes to answer.
    pub(super) fn perform(&self) -> Vec<u8> {
        let flags = self.request.flags & !n::CMD_FLAG_FUA;
        let known = |allowed: u16| if flags & !allowed == 0 { Ok(()) } else { Err(INVALID) };
        let done = match self.request.command {
            n::CMD_READ => known(n::CMD_FLAG_DF).and_then(|()| self.read()),
            n::CMD_WRITE => known(n::CMD_FLAG_PAYLOAD_LEN).and_then(|()| self.write()),
            n::CMD_FLUSH => known(0).and_then(|()| self.flush()),
            n::CMD_TRIM => known(0).and_then(|()| self.trim()),
            n::CMD_WRITE_ZEROES => known(n::CMD_FLAG_NO_HOLE).and_then(|()| self.zero()),
            n::CMD_BLOCK_STATUS => known(n::CMD_FLAG_REQ_ONE).and_then(|()| self.status()),
            _ => Err(INVALID),
        };
        done.unwrap_or_else(|Errno(errno)| failure(self.headers, &self.request, errno))
    }

    fn range(&self) -> Option<Range<u64>> {
        let end = self.request.end_within(self.export.size())?;
        Some(self.request.offset..end)
    }

    fn read(&self) -> Result<Vec<u8>, Errno> {
        if self.request.length > u64::from(self.request_bytes) {
            return Err(Errno(n::EOVERFLOW));
        }
        let range = self.range().ok_or(INVALID)?;
        // Fits: checked against the limit above.
        let length = usize::try_from(self.request.length).unwrap_or(usize::MAX);
        if self.headers == Headers::Simple {
            let mut out = simple(0, &self.request);
            let at = out.len();
            out.resize(at + length, 0);
            self.export.read_at(range.start, &mut out[at..])?;
            return Ok(out);
        }
        if length == 0 {
            return Ok(success(self.headers, &self.request));
        }
        let whole = self.request.flags & n::CMD_FLAG_DF != 0;
        let known = if whole { Vec::new() } else { self.export.extents(range.clone())? };
        Ok(self.read_chunks(range, &known))
    }

    /// Reads run by run: holes are named, the rest is read. Fails in the middle if it must.
    fn read_chunks(&self, range: Range<u64>, known: &[Extent]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut last = 0;
        let mut at = range.start;
        for extent in runs(known, &range) {
            last = out.len();
            // Fits: runs are within the request, which is within a limit of 32 bits.
            let length = u32::try_from(extent.length).unwrap_or(u32::MAX);
            if extent.is_zero() {
                push_hole(self.headers, &self.request, at, length, &mut out);
            } else {
                let data = push_data(self.headers, &self.request, at, length as usize, &mut out);
                if let Err(error) = self.export.read_at(at, data) {
                    out.truncate(last);
                    push_error(self.headers, &self.request, Errno::from(error).0, &mut out);
                    return out;
                }
            }
            at += extent.length;
        }
        mark_done(&mut out, last);
        out
    }

    fn writes(&self) -> Result<&dyn Writes, Errno> {
        self.export.writes().ok_or(Errno(n::EPERM))
    }

    /// The end of a writing request: durable if it asked for that.
    fn written(&self, writes: &dyn Writes) -> Result<Vec<u8>, Errno> {
        if self.request.flags & n::CMD_FLAG_FUA != 0 {
            writes.flush()?;
        }
        Ok(success(self.headers, &self.request))
    }

    fn write(&self) -> Result<Vec<u8>, Errno> {
        let writes = self.writes()?;
        let range = self.range().ok_or(Errno(n::ENOSPC))?;
        if self.payload.len() as u64 != self.request.length {
            return Err(INVALID);
        }
        writes.write_at(range.start, &self.payload)?;
        self.written(writes)
    }

    fn zero(&self) -> Result<Vec<u8>, Errno> {
        let writes = self.writes()?;
        let range = self.range().ok_or(Errno(n::ENOSPC))?;
        writes.zero(range, self.request.flags & n::CMD_FLAG_NO_HOLE == 0)?;
        self.written(writes)
    }

    fn trim(&self) -> Result<Vec<u8>, Errno> {
        let writes = self.writes()?;
        let range = self.range().ok_or(INVALID)?;
        writes.trim(range)?;
        self.written(writes)
    }

    fn flush(&self) -> Result<Vec<u8>, Errno> {
        // Not offered for a disk without writes, and then there is nothing to make durable.
        if let Some(writes) = self.export.writes() {
            writes.flush()?;
        }
        Ok(success(self.headers, &self.request))
    }

    fn status(&self) -> Result<Vec<u8>, Errno> {
        if !self.contexts.any() || self.request.length == 0 {
            return Err(INVALID);
        }
        let range = self.range().ok_or(INVALID)?;
        let most = if self.request.flags & n::CMD_FLAG_REQ_ONE != 0 { 1 } else { EXTENTS_MAX };
        let mut out = Vec::new();
        let mut last = 0;
        let mut push = |context: &str, found: &[Extent]| {
            last = out.len();
            let mut extents = fitted(found, &range, most);
            if extents.is_empty() {
                // The disk had nothing to say. That nothing is known is always true: in the
                // one context it means data; in the other everything must count as changed.
                let whole = range.end - range.start;
                let changed = context != n::BASE_ALLOCATION;
                extents = vec![if changed { Extent::dirty(whole) } else { Extent::plain(whole) }];
            }
            let number = context_number(context);
            let (kind, payload) = encode_status(self.headers, number, &extents);
            chunk(self.headers, &self.request, kind, payload.len(), &mut out);
            out.extend_from_slice(&payload);
        };
        if self.contexts.allocation {
            push(n::BASE_ALLOCATION, &self.export.extents(range.clone())?);
        }
        let changes = self.export.changes().filter(|_| self.contexts.changes);
        if let (Some(changes), Some(name)) = (changes, changes_name(&*self.export)) {
            push(&name, &changes.extents(range.clone())?);
        }
        mark_done(&mut out, last);
        Ok(out)
    }
}

/// The runs a read is answered by: what is known, the rest as data, and not too many.
fn runs(known: &[Extent], range: &Range<u64>) -> Vec<Extent> {
    // Whether zeroes take space is of no interest to a reader.
    let zero_or_not = |extent: &Extent| Extent { flags: extent.flags & Extent::ZERO, ..*extent };
    let known: Vec<Extent> = known.iter().map(zero_or_not).collect();
    let mut runs = fitted(&known, range, EXTENTS_MAX - 1);
    let told: u64 = runs.iter().map(|run| run.length).sum();
    let rest = range.end - range.start - told;
    if rest > 0 {
        runs.push(Extent::plain(rest));
    }
    runs
}
