//! An outcome: the one verdict on a claim.

use super::{Record, TEXT_BYTES_MAX};
use crate::format::MAP_HEIGHT_MAX;
use crate::format::codec::{Decoded, Decoder, Encoder, Malformed};
use crate::format::envelope::ObjectKind;
use crate::format::id::{PackId, PackKind, SessionNonce, SlotRef};
use crate::format::node::Child;

/// The longest card, in bytes.
pub const CARD_BYTES_MAX: usize = 1024 * 1024;
/// The most packs a session writes.
const PACKS_MAX: usize = 4 * 1024 * 1024;
/// The stored tags.
const COMMIT: u8 = 1;
const ABORT: u8 = 2;
const SHARING_COMMIT: u8 = 3;
const DEATH_LISTS_MAX: usize = 1024 * 1024;
const BIRTHS_MAX: usize = 1024 * 1024;

/// Put if absent: whoever is first decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The version exists from now on.
    Commit(Box<Commit>),
    /// The session is over; what it wrote is garbage.
    Abort(Abort),
}

impl Outcome {
    /// The session this is the verdict on.
    pub const fn nonce(&self) -> SessionNonce {
        match self {
            Self::Commit(commit) => commit.nonce,
            Self::Abort(abort) => abort.nonce,
        }
    }
}

/// A version, complete.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commit {
    /// The session.
    pub nonce: SessionNonce,
    /// The version it was built on, with the BLAKE3 of that version's outcome object.
    pub parent: Option<(u64, [u8; 32])>,
    /// The map.
    pub root: Root,
    /// The disk's size in bytes.
    pub disk_bytes: u64,
    /// What a tenant is shown: used bytes of a first backup, changed bytes of a later one.
    pub logical_bytes: u64,
    /// Bytes of non-zero blocks.
    pub used_bytes: u64,
    /// Sealed bytes of all slots the session wrote.
    pub added_bytes: u64,
    /// The packs the session wrote (generation 0).
    pub packs: Vec<PackSummary>,
    /// The slots of metadata packs that hold the session's death lists.
    pub deaths: Vec<SlotRef>,
    /// Per birth, the sealed bytes that died with this version; ascending by birth.
    pub death_totals: Vec<(u64, u64)>,
    /// Where blocks are shared: what the version borrows. `None`: nothing ever, and its death
    /// lists are plain.
    pub borrowed: Option<Borrowed>,
    /// The caller's description of the version; opaque here.
    pub card: Vec<u8>,
}

/// The slots that a version's map points to and another place has written.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Borrowed {
    /// The slots of metadata packs that hold the session's borrow lists.
    pub lists: Vec<SlotRef>,
    /// Per pack, what all lists together say; ascending by pack.
    pub lenders: Vec<Lender>,
}

/// A pack from which a version borrows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lender {
    /// The pack of blocks.
    pub pack: PackId,
    /// How many references to its slots the version adds.
    pub references: u64,
    /// The sealed bytes of these slots, once per reference.
    pub bytes: u64,
}

/// Where a version's map begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Root {
    /// Levels above the leaves.
    pub height: u8,
    /// The top node; `None` if all is zero.
    pub node: Option<Child>,
}

/// A pack as the session that wrote it left it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PackSummary {
    /// Data or metadata.
    pub kind: PackKind,
    /// Its name.
    pub id: PackId,
    /// The size of its first object in bytes.
    pub object_bytes: u64,
}

/// A session that came to nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Abort {
    /// The session.
    pub nonce: SessionNonce,
    /// Who gave the verdict.
    pub by: String,
    /// Why, for people.
    pub reason: String,
}

impl Record for Outcome {
    const KIND: ObjectKind = ObjectKind::Outcome;

    fn encode(&self, to: &mut Encoder) {
        match self {
            Self::Commit(commit) => {
                to.u8(if commit.borrowed.is_none() { COMMIT } else { SHARING_COMMIT });
                commit.encode(to);
            }
            Self::Abort(abort) => {
                to.u8(ABORT);
                to.raw(&abort.nonce.0);
                to.bytes(abort.by.as_bytes());
                to.bytes(abort.reason.as_bytes());
            }
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Decoded<Self> {
        match from.u8()? {
            COMMIT => Commit::decode(from, false).map(|commit| Self::Commit(Box::new(commit))),
            SHARING_COMMIT => {
                Commit::decode(from, true).map(|commit| Self::Commit(Box::new(commit)))
            }
            ABORT => Ok(Self::Abort(Abort {
                nonce: SessionNonce(from.array()?),
                by: from.text(TEXT_BYTES_MAX)?.to_owned(),
                reason: from.text(TEXT_BYTES_MAX)?.to_owned(),
            })),
            _ => Err(Malformed("neither commit nor abort")),
        }
    }
}

impl Commit {
    fn encode(&self, to: &mut Encoder) {
        to.raw(&self.nonce.0);
        to.option(self.parent, |to, (seq, hash)| {
            to.varint(seq);
            to.raw(&hash);
        });
        to.u8(self.root.height);
        to.option(self.root.node, |to, node| node.encode(to));
        for number in [self.disk_bytes, self.logical_bytes, self.used_bytes, self.added_bytes] {
            to.varint(number);
        }
        to.count(self.packs.len());
        for pack in &self.packs {
            to.u8(pack.kind.tag());
            to.raw(&pack.id.0);
            to.varint(pack.object_bytes);
        }
        to.count(self.deaths.len());
        for slot in &self.deaths {
            slot.encode(to);
        }
        to.count(self.death_totals.len());
        for (birth, bytes) in &self.death_totals {
            to.varint(*birth);
            to.varint(*bytes);
        }
        if let Some(borrowed) = &self.borrowed {
            borrowed.encode(to);
        }
        to.bytes(&self.card);
    }

    /// The slots of all lists: of deaths and of what is borrowed.
    pub fn lists(&self) -> impl Iterator<Item = &SlotRef> {
        self.deaths.iter().chain(self.borrowed.iter().flat_map(|borrowed| &borrowed.lists))
    }

    /// The packs from which this version borrows.
    pub fn lenders(&self) -> &[Lender] {
        self.borrowed.as_ref().map_or(&[], |borrowed| &borrowed.lenders)
    }

    fn decode(from: &mut Decoder<'_>, is_sharing: bool) -> Decoded<Self> {
        let nonce = SessionNonce(from.array()?);
        let parent = from.option(|from| Ok((from.varint()?, from.array()?)))?;
        let root = Root { height: from.u8()?, node: from.option(Child::decode)? };
        if root.height > MAP_HEIGHT_MAX {
            return Err(Malformed("the map is too high"));
        }
        let [disk_bytes, logical_bytes, used_bytes, added_bytes] =
            [from.varint()?, from.varint()?, from.varint()?, from.varint()?];
        let count = from.count(PACKS_MAX, 18)?;
        let packs = (0..count).map(|_| PackSummary::decode(from)).collect::<Decoded<_>>()?;
        let count = from.count(DEATH_LISTS_MAX, 19)?;
        let deaths = (0..count).map(|_| SlotRef::decode(from)).collect::<Decoded<_>>()?;
        let count = from.count(BIRTHS_MAX, 2)?;
        let death_totals: Vec<(u64, u64)> =
            (0..count).map(|_| Ok((from.varint()?, from.varint()?))).collect::<Decoded<_>>()?;
        if !death_totals.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(Malformed("births are not ascending"));
        }
        let borrowed = if is_sharing { Some(Borrowed::decode(from)?) } else { None };
        let card = from.bytes(CARD_BYTES_MAX)?.to_vec();
        Ok(Self {
            nonce,
            parent,
            root,
            disk_bytes,
            logical_bytes,
            used_bytes,
            added_bytes,
            packs,
            deaths,
            death_totals,
            borrowed,
            card,
        })
    }
}

impl Borrowed {
    fn encode(&self, to: &mut Encoder) {
        to.count(self.lists.len());
        for slot in &self.lists {
            slot.encode(to);
        }
        to.count(self.lenders.len());
        for lender in &self.lenders {
            to.raw(&lender.pack.0);
            to.varint(lender.references);
            to.varint(lender.bytes);
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Decoded<Self> {
        let count = from.count(DEATH_LISTS_MAX, 19)?;
        let lists = (0..count).map(|_| SlotRef::decode(from)).collect::<Decoded<_>>()?;
        let lender = |from: &mut Decoder<'_>| {
            let pack = PackId(from.array()?);
            Ok(Lender { pack, references: from.varint()?, bytes: from.varint()? })
        };
        let count = from.count(PACKS_MAX, 18)?;
        let lenders: Vec<Lender> = (0..count).map(|_| lender(from)).collect::<Decoded<_>>()?;
        if !lenders.is_sorted_by(|a, b| a.pack < b.pack) {
            return Err(Malformed("lenders are not ascending"));
        }
        Ok(Self { lists, lenders })
    }
}

impl PackSummary {
    fn decode(from: &mut Decoder<'_>) -> Decoded<Self> {
        Ok(Self {
            kind: PackKind::from_tag(from.u8()?)?,
            id: PackId(from.array()?),
            object_bytes: from.varint()?,
        })
    }
}
