//! Filling packs, proving them readable, uploading them.
//!
//! At most one pack of a kind is being filled and one pack is being uploaded; who fills faster
//! than the backend takes waits. Before a pack goes out, every slot is opened, decoded and
//! compared with what was meant (P6): for data by the ids of the blocks, for map nodes by their
//! hash.
//!
//! Packs are numbered in the order of their upload, without gaps, so what an interrupted session
//! left behind is found by counting.

use std::sync::{Mutex, PoisonError};

use cbr_env::Random;
use crossbeam_channel::{Receiver, Sender};

use super::stop::{Stop, Stopped};
use crate::backend::{BackendExt, Decided};
use crate::crypto::{BlockHasher, BlockId};
use crate::error::{Error, Result};
use crate::format::BLOCK_BYTES;
use crate::format::frame::Codec;
use crate::format::id::{PackId, PackKind, SessionNonce, SlotRef};
use crate::format::pack::{PackBuilder, SealedPack};
use crate::job::Meter;
use crate::packs::{Packs, Scratch};

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

/// Fills packs of one kind, one after the other; used by many threads.
pub(crate) struct Packer<'a> {
    kind: PackKind,
    author: Author,
    full_bytes: u64,
    packs: &'a Packs,
    random: &'a dyn Random,
    filling: Mutex<Filling>,
}

struct Filling {
    uploads: Option<Sender<SealedPack>>,
    builder: Option<PackBuilder>,
    next: u32,
    stored_bytes: u64,
}

impl<'a> Packer<'a> {
    pub(crate) fn new(
        kind: PackKind,
        author: Author,
        full_bytes: u64,
        (packs, random): (&'a Packs, &'a dyn Random),
        uploads: Sender<SealedPack>,
    ) -> Self {
        let filling = Filling { uploads: Some(uploads), builder: None, next: 0, stored_bytes: 0 };
        Self { kind, author, full_bytes, packs, random, filling: Mutex::new(filling) }
    }

    /// Seals `encoded` into the pack being filled.
    pub(crate) fn append(
        &self,
        codec: Codec,
        plain_len: usize,
        encoded: &[u8],
        ids: &[BlockId],
    ) -> Result<SlotRef> {
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
            PackBuilder::new(pack, self.packs.keys(), self.random)
        });
        let plain_len = u32::try_from(plain_len)
            .map_err(|_| Error::Invalid { what: format!("a slot of {plain_len} bytes") })?;
        let entry = builder.append(codec, plain_len, encoded, ids)?;
        let slot = SlotRef {
            pack: builder.pack().id,
            slot: entry.head.slot,
            birth: self.author.seq,
            stored_bytes: entry.stored_bytes,
        };
        filling.stored_bytes += u64::from(entry.stored_bytes);
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

    fn send(&self, filling: &mut Filling) -> Result<()> {
        let Some(builder) = filling.builder.take() else { return Ok(()) };
        filling.next = filling.next.checked_add(1).ok_or_else(|| Error::Invalid {
            what: "a session writes more packs than can be numbered".to_owned(),
        })?;
        let sealed = builder.finish(0, self.packs.keys());
        // The uploader is gone only after it has reported why.
        let uploads = filling.uploads.as_ref().ok_or(Error::Cancelled)?;
        uploads.send(sealed).map_err(|_| Error::Cancelled)
    }
}

/// Takes full packs to the backend, in order.
pub(crate) struct Uploader<'a> {
    pub(crate) packs: &'a Packs,
    pub(crate) hasher: &'a BlockHasher,
    pub(crate) stop: &'a Stop,
    pub(crate) meter: &'a Meter<'a>,
    pub(crate) sealed: Receiver<SealedPack>,
}

impl Uploader<'_> {
    /// Uploads until every packer has finished; returns what is in the backend.
    pub(crate) fn run(self) -> Result<Vec<Uploaded>, Stopped> {
        let mut scratch = self.stop.check(Scratch::new())?;
        let mut uploaded = Vec::new();
        for sealed in &self.sealed {
            self.stop.check(self.meter.check_cancelled())?;
            self.stop.check(prove(&sealed, self.hasher, &mut scratch))?;
            uploaded.push(self.stop.check(upload(self.packs, &sealed))?);
            self.meter.add(0, sealed.object_bytes());
        }
        Ok(uploaded)
    }
}

/// Puts a pack where nobody else can have put one.
pub(crate) fn upload(packs: &Packs, sealed: &SealedPack) -> Result<Uploaded> {
    match packs.backend().put_decided(&sealed.key, &sealed.parts())? {
        Decided::Ours => Ok(Uploaded {
            kind: sealed.index.pack().kind,
            id: sealed.index.pack().id,
            object_bytes: sealed.object_bytes(),
        }),
        Decided::Other(_) => {
            Err(Error::SessionLost { what: format!("{} was written by somebody else", sealed.key) })
        }
    }
}

/// Opens and decodes every slot of a pack and compares it with its ids (P6).
pub(crate) fn prove(
    sealed: &SealedPack,
    hasher: &BlockHasher,
    scratch: &mut Scratch,
) -> Result<()> {
    let wrong = |slot: u32, what: &str| Error::SelfCheck {
        what: format!("{} slot {slot}: {what}", sealed.key),
    };
    for entry in sealed.index.slots() {
        let slot = entry.head.slot;
        let bytes = sealed.sealed_slot(entry).ok_or_else(|| wrong(slot, "is misplaced"))?;
        scratch.open(&sealed.index, entry, bytes).map_err(|e| wrong(slot, &e.to_string()))?;
        if !has_ids(&scratch.plain, sealed.index.ids(entry), hasher, sealed.index.pack().kind) {
            return Err(wrong(slot, "does not decode to what it was made from"));
        }
    }
    Ok(())
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
