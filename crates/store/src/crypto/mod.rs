//! Keys, and sealing with them.
//!
//! Master key → tenant keys (one per rotation) → role keys → one key per sealed section, and one
//! random key per logical pack. No key is ever used with two different nonces
//! chosen at random, and no (key, nonce) pair seals two different contents:
//! section keys come from the object's random uuid, slot nonces from the slot's
//! number under the pack's own key.

mod aead;
mod block_id;
mod dek;
mod key_file;
mod maintenance;
mod master;
mod role;
mod tenant;

pub use block_id::{BlockHasher, BlockId};
pub use dek::PackDek;
pub use maintenance::MaintenanceKey;
pub use master::{MasterKey, MasterKeys};
pub use role::{KeyRing, Role};
pub use tenant::{TenantKey, TenantKeys};

pub(crate) use aead::{SEAL_TAG_BYTES, SectionCipher};
pub(crate) use maintenance::MaintenanceRing;
pub(crate) use role::{SealingAs, mac};
