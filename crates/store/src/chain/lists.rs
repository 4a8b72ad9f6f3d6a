//! Reading a version's lists of deaths and borrowings, whichever form they have.
//!
//! Lists never change, and each sweep and each prediction needs most of them again: what was read lately
//! is remembered, of all domains together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::format::codec::Decoded;
use crate::format::deaths::Deaths;
use crate::format::id::{ChainRef, PackKind, Scope, SlotRef};
use crate::format::place;
use crate::format::references::References;
use crate::packs::{Packs, Scratch};

/// A slot, and how many references to it a list ends or adds.
pub(crate) type Counted = (PackKind, SlotRef, u64);

/// What all remembered lists take at most.
const BYTES_MAX: usize = 32 << 20;

/// Lists that were read lately.
#[derive(Debug, Default)]
pub(crate) struct KnownLists(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    lists: HashMap<SlotRef, Arc<[Counted]>>,
    bytes: usize,
}

impl KnownLists {
    fn get(&self, list: &SlotRef) -> Option<Arc<[Counted]>> {
        self.lock().lists.get(list).map(Arc::clone)
    }

    fn put(&self, list: SlotRef, content: &Arc<[Counted]>) {
        let bytes = 128 + size_of_val::<[Counted]>(content);
        let mut known = self.lock();
        if known.bytes + bytes > BYTES_MAX {
            *known = Known::default();
        }
        if bytes <= BYTES_MAX && known.lists.insert(list, Arc::clone(content)).is_none() {
            known.bytes += bytes;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads one list of version `seq`.
pub(crate) fn read_list(
    packs: &Packs,
    (chain, seq): (&ChainRef, u64),
    list: &SlotRef,
    scratch: &mut Scratch,
) -> Result<Arc<[Counted]>> {
    if let Some(known) = packs.lists().and_then(|lists| lists.get(list)) {
        return Ok(known);
    }
    packs.read_slot(PackKind::Meta, list, scratch)?;
    let read: Decoded<Vec<Counted>> = match chain.scope {
        Scope::Volume => Deaths::decode(&scratch.plain)
            .map(|deaths| deaths.dead.into_iter().map(|(kind, slot)| (kind, slot, 1)).collect()),
        Scope::Tenant => References::decode(&scratch.plain).map(|list| list.counted),
    };
    let content: Arc<[Counted]> = read
        .map_err(|e| {
            Error::damaged(place::outcome(chain, seq), format!("one of its lists: {}", e.0))
        })?
        .into();
    if let Some(lists) = packs.lists() {
        lists.put(*list, &content);
    }
    Ok(content)
}
