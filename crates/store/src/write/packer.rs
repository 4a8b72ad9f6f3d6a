//! Filling packs, proving them readable, uploading them.
//!
//! At most one pack of a kind is being filled and one pack is being uploaded; who fills faster
//! than the backend takes waits. Before a pack goes out, every slot is opened again and compared
//! with what was sealed (P6); that this decodes was proven before (`encoder.rs`).
//!
//! Packs are numbered in the order of their upload, without gaps, so what an interrupted session
//! left behind is found by counting.

use std::sync::{Mutex, PoisonError};

use cbr_env::Random;
use crossbeam_channel::{Receiver, Sender};

use super::encoder::{Proven, digest};
use super::stop::{Stop, Stopped};
use crate::backend::{BackendExt, Decided};
use crate::crypto::{BlockHasher, BlockId};
use crate::error::{Error, Result};
use crate::format::BLOCK_BYTES;
use crate::format::id::{PackId, PackKind, Scope, SessionNonce, SlotRef};
use crate::format::pack::{PackBuilder, SealedPack, SlotEntry};
use crate::format::slot::open_slot;
use crate::job::Meter;
use crate::packs::Packs;
use crate::planted::{self, Bug};

/// Who writes: what the names and births of everything it writes come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Author {
    pub(crate) nonce: SessionNonce,
    pub(crate) seq: u64,
}

/// A pack that is durable in the backend.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Uploaded {
    pub(crate) kind: PackKind,
    pub(crate) id: PackId,
    pub(crate) object_bytes: u64,
}

/// A pack that is complete, and the digests of what its slots must contain.
pub(crate) struct Full {
    pack: SealedPack,
    digests: Vec<u64>,
}

/// Pack buffers that were uploaded, to be filled again: fresh memory costs time.
#[derive(Debug, Default)]
pub(crate) struct Spare(Mutex<Vec<Vec<u8>>>);

impl Spare {
    fn pop(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn push(&self, buffer: Vec<u8>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

/// Fills packs of one kind, one after the other; used by many threads.
pub(crate) struct Packer<'a> {
    kind: PackKind,
    author: Author,
    full_bytes: u64,
    packs: &'a Packs,
    random: &'a dyn Random,
    spare: &'a Spare,
    filling: Mutex<Filling<'a>>,
}

/// How full packs reach the uploader.
#[derive(Clone)]
pub(crate) enum ToUploader<'a> {
    /// It has a thread of its own.
    Channel(Sender<Full>),
    /// It works in the thread of whoever fills a pack.
    Here(&'a Uploader<'a>),
}

struct Filling<'a> {
    uploads: Option<ToUploader<'a>>,
    builder: Option<PackBuilder>,
    /// Of the encoded content of each slot of the builder.
    digests: Vec<u64>,
    next: u32,
    stored_bytes: u64,
}

impl<'a> Packer<'a> {
    pub(crate) fn new(
        kind: PackKind,
        author: Author,
        full_bytes: u64,
        (packs, random, spare): (&'a Packs, &'a dyn Random, &'a Spare),
        uploads: ToUploader<'a>,
    ) -> Self {
        let filling = Filling {
            uploads: Some(uploads),
            builder: None,
            digests: Vec::new(),
            next: 0,
            stored_bytes: 0,
        };
        Self { kind, author, full_bytes, packs, random, spare, filling: Mutex::new(filling) }
    }

    /// The version being written.
    pub(crate) const fn seq(&self) -> u64 {
        self.author.seq
    }

    /// Whether blocks are shared in the domain the packs belong to.
    pub(crate) fn is_sharing(&self) -> bool {
        self.packs.domain().scope == Scope::Tenant
    }

    /// Seals `encoded` into the pack being filled.
    pub(crate) fn append(&self, proven: &Proven<'_>, ids: &[BlockId]) -> Result<SlotRef> {
        let encoded = proven.encoded;
        let mut filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = filling.builder.as_ref().is_some_and(|builder| {
            builder.stored_bytes() + encoded.len() as u64 > self.full_bytes
                || !builder.has_room(encoded.len(), ids.len())
        });
        if is_full {
            self.send(&mut filling)?;
        }
        let next = filling.next;
        let builder = filling.builder.get_or_insert_with(|| {
            let pack = self.packs.pack(self.kind, PackId::new(self.author.nonce, next));
            let buffer = self.spare.pop();
            PackBuilder::new(pack, self.packs.keys(), self.random).reusing(buffer)
        });
        let plain_len = u32::try_from(proven.plain_len).map_err(|_| Error::Invalid {
            what: format!("a slot of {} bytes", proven.plain_len),
        })?;
        let entry = builder.append(proven.codec, plain_len, encoded, ids)?;
        let slot = SlotRef {
            pack: builder.pack().id,
            slot: entry.head.slot,
            birth: self.author.seq,
            stored_bytes: entry.stored_bytes,
        };
        filling.stored_bytes += u64::from(entry.stored_bytes);
        filling.digests.push(proven.digest);
        Ok(slot)
    }

    /// Sends the last pack off; returns the stored bytes of all slots.
    pub(crate) fn finish(&self) -> Result<u64> {
        let mut filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        self.send(&mut filling)?;
        Ok(filling.stored_bytes)
    }

    /// Lets go of the uploader: when all packers have, it goes home.
    pub(crate) fn close(&self) {
        self.filling.lock().unwrap_or_else(PoisonError::into_inner).uploads = None;
    }

    fn send(&self, filling: &mut Filling<'_>) -> Result<()> {
        let Some(builder) = filling.builder.take() else { return Ok(()) };
        filling.next = filling.next.checked_add(1).ok_or_else(|| Error::Invalid {
            what: "a session writes more packs than can be numbered".to_owned(),
        })?;
        let digests = std::mem::take(&mut filling.digests);
        let full = Full { pack: builder.finish(0, self.packs.keys()), digests };
        // The uploader is gone only after it has reported why.
        let uploads = filling.uploads.as_ref().ok_or(Error::Cancelled)?;
        match uploads {
            ToUploader::Channel(channel) => channel.send(full).map_err(|_| Error::Cancelled),
            ToUploader::Here(uploader) => {
                uploader.take(full, &mut Vec::new()).map_err(|_| Error::Cancelled)
            }
        }
    }
}

/// Takes full packs to the backend, in order.
pub(crate) struct Uploader<'a> {
    pub(crate) packs: &'a Packs,
    pub(crate) stop: &'a Stop,
    pub(crate) meter: &'a Meter<'a>,
    pub(crate) spare: &'a Spare,
    uploaded: Mutex<Vec<Uploaded>>,
}

impl<'a> Uploader<'a> {
    pub(crate) fn new(
        packs: &'a Packs,
        stop: &'a Stop,
        meter: &'a Meter<'a>,
        spare: &'a Spare,
    ) -> Self {
        Self { packs, stop, meter, spare, uploaded: Mutex::default() }
    }

    /// Uploads until every packer has finished.
    #[expect(clippy::needless_pass_by_value, reason = "its end closes when the uploader fails")]
    pub(crate) fn run(&self, full: Receiver<Full>) -> Result<(), Stopped> {
        let mut opened = Vec::new();
        full.iter().try_for_each(|pack| self.take(pack, &mut opened))
    }

    fn take(&self, Full { pack, digests }: Full, opened: &mut Vec<u8>) -> Result<(), Stopped> {
        self.stop.check(self.meter.check_cancelled())?;
        self.stop.check(prove(&pack, &digests, opened))?;
        let uploaded = match upload(self.packs, &pack) {
            Err(_) if planted::has(Bug::UploadUnchecked) => as_uploaded(&pack),
            uploaded => self.stop.check(uploaded)?,
        };
        self.uploaded.lock().unwrap_or_else(PoisonError::into_inner).push(uploaded);
        self.meter.add(0, pack.object_bytes());
        self.spare.push(pack.into_buffer());
        Ok(())
    }

    /// What is in the backend.
    pub(crate) fn uploaded(&self) -> Vec<Uploaded> {
        std::mem::take(&mut *self.uploaded.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn as_uploaded(sealed: &SealedPack) -> Uploaded {
    let pack = sealed.index.pack();
    Uploaded { kind: pack.kind, id: pack.id, object_bytes: sealed.object_bytes() }
}

/// Puts a pack where nobody else can have put one.
pub(crate) fn upload(packs: &Packs, sealed: &SealedPack) -> Result<Uploaded> {
    match packs.backend().put_decided(&sealed.key, &sealed.parts())? {
        Decided::Ours => Ok(as_uploaded(sealed)),
        Decided::Other(_) => {
            Err(Error::SessionLost { what: format!("{} was written by somebody else", sealed.key) })
        }
    }
}

/// Opens every slot of a pack and compares it with what was sealed (P6).
fn prove(sealed: &SealedPack, digests: &[u64], opened: &mut Vec<u8>) -> Result<()> {
    let slots = sealed.index.slots();
    if slots.len() != digests.len() {
        return Err(Error::SelfCheck { what: format!("{}: slots are missing", sealed.key) });
    }
    for (entry, expected) in slots.iter().zip(digests) {
        open_sealed(sealed, entry, opened)?;
        if digest(opened) != *expected {
            let what = format!("{} slot {} contains something else", sealed.key, entry.head.slot);
            return Err(Error::SelfCheck { what });
        }
    }
    Ok(())
}

/// Opens one slot of a pack that is about to be uploaded.
pub(crate) fn open_sealed(
    sealed: &SealedPack,
    entry: &SlotEntry,
    opened: &mut Vec<u8>,
) -> Result<()> {
    let wrong = |what: &str| Error::SelfCheck {
        what: format!("{} slot {}: {what}", sealed.key, entry.head.slot),
    };
    let bytes = sealed.sealed_slot(entry).ok_or_else(|| wrong("is misplaced"))?;
    let (dek, pack) = (sealed.index.dek(), sealed.index.pack());
    open_slot(dek, pack, entry.head, bytes, opened).map_err(|e| wrong(e.0))
}

/// Whether a slot's content is what its ids say.
pub(crate) fn has_ids(plain: &[u8], ids: &[BlockId], hasher: &BlockHasher, kind: PackKind) -> bool {
    let piece_bytes = match kind {
        PackKind::Data => BLOCK_BYTES,
        PackKind::Meta => plain.len().max(1),
    };
    plain.len().div_ceil(piece_bytes) == ids.len()
        && plain.chunks(piece_bytes).zip(ids).all(|(piece, id)| hasher.id(piece) == *id)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cbr_env::SeededRandom;
    use uuid::Uuid;

    use super::*;
    use crate::crypto::{TenantKey, TenantKeys};
    use crate::format::frame::Codec;
    use crate::format::id::{ChainRef, PackRef};

    /// P6: what was sealed wrongly is not uploaded.
    #[test]
    fn a_pack_with_a_slot_that_contains_something_else_is_refused() {
        let random = SeededRandom::new(1);
        let tenant = Uuid::from_u128(1);
        let keys = Arc::new(TenantKeys::derive(tenant, 1, &TenantKey::generate(&random)));
        let chain = ChainRef::alone(tenant, 0, tenant);
        let id = PackId::new(SessionNonce([1; 12]), 0);
        let pack = PackRef { domain: chain.domain(), kind: PackKind::Meta, id };
        let sealed = || {
            let mut builder = PackBuilder::new(pack, keys.as_ref(), &random);
            builder.append(Codec::None, 4, b"good", &[BlockId([1; 32])]).unwrap();
            builder.finish(0, keys.as_ref())
        };
        let mut opened = Vec::new();
        let proof = prove(&sealed(), &[digest(b"good")], &mut opened);
        assert!(proof.is_ok(), "{proof:?}");
        for digests in [&[digest(b"evil")][..], &[]] {
            let proof = prove(&sealed(), digests, &mut opened);
            assert!(matches!(proof, Err(Error::SelfCheck { .. })), "{proof:?}");
        }
    }
}
