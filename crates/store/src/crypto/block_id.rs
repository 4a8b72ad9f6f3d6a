//! What identifies a block's content, inside one domain only.

use std::fmt;

use super::role::Secret;

/// The keyed BLAKE3 of a block. Equal blocks of different domains have different ids (P26).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId(pub [u8; 32]);

impl fmt::Debug for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Computes the block ids of one domain.
#[derive(Clone)]
pub struct BlockHasher {
    key: Secret,
}

impl BlockHasher {
    pub(super) const fn new(key: Secret) -> Self {
        Self { key }
    }

    /// The id of `block`.
    pub fn id(&self, block: &[u8]) -> BlockId {
        BlockId(*blake3::keyed_hash(&self.key, block).as_bytes())
    }
}

impl fmt::Debug for BlockHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlockHasher(..)")
    }
}
