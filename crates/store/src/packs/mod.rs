//! Reading packs: which object holds a logical pack, its tables, its slots; and where else a slot
//! can be read that its pack has lost.

mod read;
mod rescue;

pub(crate) use read::{Packs, Scratch, find};
