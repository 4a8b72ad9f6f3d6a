//! Reading a version's lists of deaths and borrowings, whichever form they have.

use crate::error::{Error, Result};
use crate::format::deaths::Deaths;
use crate::format::id::{ChainRef, PackKind, Scope, SlotRef};
use crate::format::place;
use crate::format::references::References;
use crate::packs::{Packs, Scratch};

/// A slot, and how many references to it a list ends or adds.
pub(crate) type Counted = (PackKind, SlotRef, u64);

/// Reads one list of version `seq`.
pub(crate) fn read_list(
    packs: &Packs,
    (chain, seq): (&ChainRef, u64),
    list: &SlotRef,
    scratch: &mut Scratch,
) -> Result<Vec<Counted>> {
    packs.read_slot(PackKind::Meta, list, scratch)?;
    let read = match chain.scope {
        Scope::Volume => Deaths::decode(&scratch.plain)
            .map(|deaths| deaths.dead.into_iter().map(|(kind, slot)| (kind, slot, 1)).collect()),
        Scope::Tenant => References::decode(&scratch.plain).map(|list| list.counted),
    };
    read.map_err(|e| {
        Error::damaged(place::outcome(chain, seq), format!("one of its lists: {}", e.0))
    })
}
