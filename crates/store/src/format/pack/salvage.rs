//! The tables of a pack whose object is damaged around its slots.
//!
//! Needed are the pack's key and the layout; the identities are made anew from the slots, because a
//! slot opens under its true codec and length only. What is given back points into the damaged
//! object, and has been authenticated piece by piece.

use zeroize::Zeroizing;

use super::index::PackIndex;
use super::tables::{SlotEntry, Tables, What, check_slot, decode_layout};
use crate::backend::Key;
use crate::crypto::{BlockHasher, BlockId, KeyRing, PackDek};
use crate::error::Result;
use crate::format::envelope::{Remains, Said, SectionType};
use crate::format::frame::{Codec, FrameDecoder};
use crate::format::id::{PackKind, PackRef};
use crate::format::slot::{SLOT_OVERHEAD_BYTES, SlotHead, open_slot};
use crate::format::{BLOCK_BYTES, place};

/// Sections of a pack.
const SECTIONS: usize = 4;
/// A sealed data key.
const DEK_BYTES: usize = 48;
/// The longest content of a metadata slot whose length is guessed: no map node that is written today is
/// longer, and few death lists are. One that is stays lost, which a check names.
const GUESSED_BYTES_MAX: u32 = 192 << 10;

/// The tables of generation `generation` of `pack`, as far as `object` still tells them.
///
/// `None`: its key or its layout is lost, and with it everything. Slots that do not open may be
/// among those that are listed if the pack's own table lists them.
///
/// # Errors
/// Only if there is no memory for a decoder.
pub fn salvage(
    object: &[u8],
    pack: &PackRef,
    generation: u32,
    (keys, hasher): (&dyn KeyRing, &BlockHasher),
) -> Result<Option<PackIndex>> {
    let (key, kind) = (place::pack(pack, generation), pack.kind.object_kind());
    let what = What { pack, number: generation, key: &key, kind };
    let remains = Remains::of(object, SECTIONS, kind, &key);
    for footer in remains.footers() {
        let Some(dek_start) = footer.checked_sub(DEK_BYTES) else { continue };
        let Some(dek) = remains.open(SectionType::Dek, (dek_start, *footer), keys) else {
            continue;
        };
        let (dek, sealed_by) = (dek.content, dek.sealed_by);
        let said = remains.said(*footer);
        for (layout_start, identity_start) in starts(&said) {
            let layout = (layout_start, identity_start);
            let Some(layout) = remains.open(SectionType::Layout, layout, keys) else { continue };
            let identity = (identity_start, dek_start);
            if let Some(identity) = remains.open(SectionType::Identity, identity, keys) {
                let slots_bytes = (layout_start as u64).saturating_sub(64);
                let (layout, identity) = (layout.content, identity.content);
                let tables = Tables { layout, identity, dek: dek.clone(), sealed_by };
                return Ok(tables.decode(what, slots_bytes).ok());
            }
            let Ok(dek) = Zeroizing::new(dek.clone()).as_slice().try_into() else { continue };
            let dek = PackDek::from_bytes(Zeroizing::new(dek));
            let Ok(listed) = decode_layout(&layout.content) else { continue };
            return identify(object, what, (dek, sealed_by, listed), hasher).map(Some);
        }
    }
    Ok(None)
}

/// Where layout and identity may begin, by all that the entries before, at and behind them say.
fn starts(said: &[Said]) -> Vec<(usize, usize)> {
    let [slots, layout, identity, dek] = said else { return Vec::new() };
    let layouts = [
        Some(layout.offset),
        slots.offset.checked_add(slots.length),
        identity.offset.checked_sub(layout.length),
        dek.offset.checked_sub(identity.length).and_then(|at| at.checked_sub(layout.length)),
    ];
    let identities = [
        Some(identity.offset),
        layout.offset.checked_add(layout.length),
        dek.offset.checked_sub(identity.length),
    ];
    let mut starts = Vec::new();
    for layout in layouts.into_iter().flatten() {
        for identity in identities.into_iter().flatten().filter(|identity| *identity > layout) {
            let (Ok(layout), Ok(identity)) = (usize::try_from(layout), usize::try_from(identity))
            else {
                continue;
            };
            if !starts.contains(&(layout, identity)) {
                starts.push((layout, identity));
            }
        }
    }
    starts
}

/// The slots that open, with what they are.
fn identify(
    object: &[u8],
    what: What<'_>,
    (dek, sealed_by, listed): (PackDek, u32, Vec<SlotEntry>),
    hasher: &BlockHasher,
) -> Result<PackIndex> {
    let key: &Key = what.key;
    let (mut slots, mut ids) = (Vec::new(), Vec::new());
    let mut decoder = FrameDecoder::new()?;
    let (mut encoded, mut plain) = (Vec::new(), Vec::new());
    for mut entry in listed {
        let start = crate::size::to_usize(entry.offset);
        let sealed = start.checked_add(entry.stored_bytes as usize);
        let Some(sealed) = sealed.and_then(|end| object.get(start..end)) else { continue };
        let is_open = |head: &SlotHead, encoded: &mut Vec<u8>| {
            open_slot(&dek, what.pack, *head, sealed, encoded).is_ok()
        };
        let Some(head) = heads(what.pack.kind, &entry).find(|head| is_open(head, &mut encoded))
        else {
            continue;
        };
        entry.head = head;
        let decoded = decoder.decode(head.codec, &encoded, head.plain_len as usize, &mut plain);
        if decoded.is_err() || check_slot(what.pack.kind, &entry).is_err() {
            continue;
        }
        entry.first_id = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        match what.pack.kind {
            PackKind::Data => ids.extend(plain.chunks(BLOCK_BYTES).map(|block| hasher.id(block))),
            PackKind::Meta => ids.push(hasher.id(&plain)),
        }
        slots.push(entry);
    }
    let ids: Vec<BlockId> = ids;
    let (pack, generation) = (*what.pack, what.number);
    Ok(PackIndex { pack, key: key.clone(), generation, sealed_by, dek, slots, ids })
}

/// What the slot may be, by its sealed length and the number of its blocks.
fn heads(kind: PackKind, entry: &SlotEntry) -> Box<dyn Iterator<Item = SlotHead>> {
    let (slot, stored) = (entry.head.slot, entry.stored_bytes);
    let head = move |codec, plain_len| SlotHead { slot, codec, plain_len };
    let encoded = stored.saturating_sub(u32::try_from(SLOT_OVERHEAD_BYTES).unwrap_or(u32::MAX));
    match kind {
        PackKind::Data => {
            let plain_len = u32::from(entry.blocks) * u32::try_from(BLOCK_BYTES).unwrap_or(0);
            Box::new(
                [Codec::Zstd, Codec::None].into_iter().map(move |codec| head(codec, plain_len)),
            )
        }
        PackKind::Meta => {
            let guesses = encoded.saturating_add(1)..=GUESSED_BYTES_MAX;
            let guesses = guesses.map(move |plain_len| head(Codec::Zstd, plain_len));
            Box::new(std::iter::once(head(Codec::None, encoded)).chain(guesses))
        }
    }
}
