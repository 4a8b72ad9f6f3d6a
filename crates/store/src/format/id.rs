//! The names inside the format: domains, chains, sessions, packs, slots.

use std::fmt;

use uuid::Uuid;

use super::codec::{Decoded, Decoder, Encoder, Malformed};

/// What shares blocks with what. The tag is stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Scope {
    /// Blocks are shared between the versions of one chain only.
    Volume,
    /// Blocks are shared between all chains of a tenant that are of the same epoch.
    Tenant,
}

impl Scope {
    /// The stored tag.
    pub const fn tag(self) -> u8 {
        match self {
            Self::Volume => 1,
            Self::Tenant => 2,
        }
    }

    /// The letter in keys.
    pub const fn letter(self) -> char {
        match self {
            Self::Volume => 'v',
            Self::Tenant => 't',
        }
    }

    pub(crate) fn from_tag(tag: u8) -> Decoded<Self> {
        match tag {
            1 => Ok(Self::Volume),
            2 => Ok(Self::Tenant),
            _ => Err(Malformed("unknown scope")),
        }
    }
}

/// Within a domain packs may be shared; nothing is shared between domains.
///
/// A new epoch is what makes a full backup independent (BAK-38, BAK-39).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DomainId {
    /// The tenant; its key seals everything in the domain.
    pub tenant: Uuid,
    /// What shares with what.
    pub scope: Scope,
    /// Whose blocks are shared. Of [`Scope::Volume`] the one chain, so that listing a domain lists
    /// that chain only, however many a tenant has; of [`Scope::Tenant`] the tenant itself.
    pub sharer: Uuid,
    /// Distinguishes domains of one tenant and scope.
    pub epoch: u32,
}

/// All versions of one disk in one epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ChainRef {
    /// The tenant.
    pub tenant: Uuid,
    /// With what the chain shares blocks.
    pub scope: Scope,
    /// The epoch: chains of different epochs share nothing (BAK-38, BAK-39).
    pub epoch: u32,
    /// The chain's id, chosen by the caller.
    pub chain: Uuid,
}

impl ChainRef {
    /// A chain that shares blocks with no other.
    pub const fn alone(tenant: Uuid, epoch: u32, chain: Uuid) -> Self {
        Self { tenant, scope: Scope::Volume, epoch, chain }
    }

    /// A chain that shares blocks with its tenant's other chains of this epoch.
    pub const fn sharing(tenant: Uuid, epoch: u32, chain: Uuid) -> Self {
        Self { tenant, scope: Scope::Tenant, epoch, chain }
    }

    /// The domain the chain lies in.
    pub const fn domain(&self) -> DomainId {
        let sharer = match self.scope {
            Scope::Volume => self.chain,
            Scope::Tenant => self.tenant,
        };
        DomainId { tenant: self.tenant, scope: self.scope, sharer, epoch: self.epoch }
    }
}

impl DomainId {
    /// The domain's chain of that name.
    pub const fn chain(&self, chain: Uuid) -> ChainRef {
        ChainRef { tenant: self.tenant, scope: self.scope, epoch: self.epoch, chain }
    }
}

/// The random name of one writing session. The names of all packs it writes begin with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionNonce(pub [u8; 12]);

/// The name of a logical pack: session nonce, then a counter (big-endian).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackId(pub [u8; 16]);

impl PackId {
    /// The session's pack number `counter`.
    pub fn new(session: SessionNonce, counter: u32) -> Self {
        let mut id = [0; 16];
        id[..12].copy_from_slice(&session.0);
        id[12..].copy_from_slice(&counter.to_be_bytes());
        Self(id)
    }

    /// The session that wrote the pack.
    pub fn session(&self) -> SessionNonce {
        let mut nonce = [0; 12];
        nonce.copy_from_slice(&self.0[..12]);
        SessionNonce(nonce)
    }

    /// The two hex digits of the directory the pack lies in: they spread names evenly.
    pub fn spread(&self) -> String {
        hex::encode(&blake3::hash(&self.0).as_bytes()[..1])
    }

    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        let mut id = [0; 16];
        hex::decode_to_slice(text, &mut id).ok()?;
        // Upper-case digits would be a second name of the same pack.
        (hex::encode(id) == text).then_some(Self(id))
    }
}

impl fmt::Display for SessionNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for SessionNonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Data or metadata: the two families of packs, which lie in different directories.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PackKind {
    /// Slots are frames of blocks.
    Data,
    /// Slots are map nodes and death lists.
    Meta,
}

impl PackKind {
    /// The stored tag.
    pub const fn tag(self) -> u8 {
        match self {
            Self::Data => 1,
            Self::Meta => 2,
        }
    }

    /// The directory under the domain.
    pub const fn directory(self) -> &'static str {
        match self {
            Self::Data => "p",
            Self::Meta => "m",
        }
    }

    pub(crate) fn from_tag(tag: u8) -> Decoded<Self> {
        match tag {
            1 => Ok(Self::Data),
            2 => Ok(Self::Meta),
            _ => Err(Malformed("unknown kind of pack")),
        }
    }
}

/// A logical pack in its domain: what its slots are bound to, whatever object they lie in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PackRef {
    /// The domain.
    pub domain: DomainId,
    /// Data or metadata.
    pub kind: PackKind,
    /// The name.
    pub id: PackId,
}

/// A slot as pointers name it: the pack's kind is known from where the pointer stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SlotRef {
    /// The logical pack.
    pub pack: PackId,
    /// The slot's number in it.
    pub slot: u32,
    /// The sequence number of the version that wrote it.
    pub birth: u64,
    /// Its sealed size in bytes.
    pub stored_bytes: u32,
}

impl SlotRef {
    pub(super) fn encode(&self, to: &mut Encoder) {
        to.raw(&self.pack.0);
        to.varint(self.slot.into());
        to.varint(self.birth);
        to.varint(self.stored_bytes.into());
    }

    pub(super) fn decode(from: &mut Decoder<'_>) -> Decoded<Self> {
        Ok(Self {
            pack: PackId(from.array()?),
            slot: from.varint_u32()?,
            birth: from.varint()?,
            stored_bytes: from.varint_u32()?,
        })
    }
}
