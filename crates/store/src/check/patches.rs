//! Checking patches: they are read only when something else is damaged, so nobody else would notice.

use std::sync::atomic::{AtomicU64, Ordering};

use super::found::Found;
use crate::crypto::BlockHasher;
use crate::error::{Error, Result};
use crate::format::id::PackRef;
use crate::format::pack::Patch;
use crate::format::place;
use crate::job::Meter;
use crate::packs::{Packs, Scratch};
use crate::size::to_usize;
use crate::version::CheckDepth;
use crate::write::packer::has_ids;

/// The patches of one domain under check.
pub(super) struct PatchCheck<'a> {
    pub(super) packs: &'a Packs,
    pub(super) hasher: &'a BlockHasher,
    pub(super) depth: CheckDepth,
    pub(super) found: &'a Found,
}

impl PatchCheck<'_> {
    pub(super) fn run(
        &self,
        patches: &[(PackRef, u32, u64)],
        (meter, read_bytes): (&Meter<'_>, &AtomicU64),
    ) -> Result<()> {
        let mut scratch = Scratch::new()?;
        for (pack, number, object_bytes) in patches {
            meter.check_cancelled()?;
            match self.patch(pack, *number, &mut scratch, read_bytes) {
                Ok(()) => {}
                Err(error) if error.is_damage() => {
                    self.found.record(place::patch(pack, *number), error);
                }
                Err(error) => return Err(error),
            }
            meter.add(*object_bytes, 0);
        }
        Ok(())
    }

    pub(super) fn patch(
        &self,
        pack: &PackRef,
        number: u32,
        scratch: &mut Scratch,
        read_bytes: &AtomicU64,
    ) -> Result<()> {
        let (backend, keys) = (self.packs.backend(), self.packs.keys());
        if self.depth == CheckDepth::Structure {
            return Patch::read(backend, pack, number, keys).map(drop);
        }
        let key = place::patch(pack, number);
        // Gone since it was listed: its pack was not needed any more.
        let Some(object) = backend.get(&key)? else { return Ok(()) };
        read_bytes.fetch_add(object.len() as u64, Ordering::Relaxed);
        let patch = Patch::open(&object, pack, number, keys)?;
        for entry in patch.index().slots() {
            let start = to_usize(entry.offset);
            let sealed = object.get(start..start + entry.stored_bytes as usize);
            let sealed = sealed.ok_or_else(|| Error::damaged(&key, "a slot is cut off"))?;
            scratch.open(patch.index(), entry, sealed)?;
            if !has_ids(&scratch.plain, patch.index().ids(entry), self.hasher, pack.kind) {
                return Err(Error::damaged(&key, "a slot is not what its id says"));
            }
        }
        Ok(())
    }
}
