//! Packs: slots are found, opened, moved; nothing wrong is ever opened (I12, P4).

use cbr_env::SeededRandom;
use cbr_store::Error;
use cbr_store::backend::layer::Counting;
use cbr_store::backend::{Backend, MemoryBackend, Put};
use cbr_store::crypto::{BlockId, PackDek};
use cbr_store::format::frame::{Codec, FrameDecoder, FrameEncoder};
use cbr_store::format::id::{PackKind, Scope};
use cbr_store::format::pack::{PackBuilder, PackIndex, SlotEntry};
use cbr_store::format::slot::{SlotHead, open_slot, seal_slot};
use cbr_store::format::{BLOCK_BYTES, PACK_SLOTS_MAX, SLOT_PLAIN_BYTES_MAX};

use crate::samples::{self, bytes_of, data_pack, noise, pack_ref, tenant_keys};

/// The plain content of a slot as it lies in `object`.
fn open(object: &[u8], index: &PackIndex, entry: &SlotEntry) -> Option<Vec<u8>> {
    let start = usize::try_from(entry.offset).ok()?;
    let sealed = object.get(start..start + entry.stored_bytes as usize)?;
    let (mut encoded, mut plain) = (Vec::new(), Vec::new());
    open_slot(index.dek(), index.pack(), entry.head, sealed, &mut encoded).ok()?;
    let mut decoder = FrameDecoder::new().ok()?;
    let plain_len = entry.head.plain_len as usize;
    decoder.decode(entry.head.codec, &encoded, plain_len, &mut plain).ok()?;
    Some(plain)
}

#[test]
fn slots_are_found_through_the_tail_and_open_to_what_was_put_in() {
    let (pack, keys) = (data_pack(), tenant_keys());
    let backend = MemoryBackend::default();
    assert_eq!(backend.put_new(&pack.key, &pack.parts()).unwrap(), Put::Created);
    let index = PackIndex::read(&backend, &pack_ref(PackKind::Data), 0, &keys).unwrap().unwrap();
    assert_eq!(index.slots(), pack.index.slots());
    let object = bytes_of(&pack);
    assert_eq!(object.len() as u64, pack.object_bytes());
    let hasher = keys.block_hasher(&pack_ref(PackKind::Data).domain).unwrap();
    for (number, value, blocks) in [(0, 1, 3), (1, 2, 1)] {
        let entry = index.slot(number).unwrap();
        let plain = open(&object, &index, entry).unwrap();
        assert_eq!(plain, vec![value; blocks * BLOCK_BYTES]);
        let ids: Vec<BlockId> = plain.chunks(BLOCK_BYTES).map(|block| hasher.id(block)).collect();
        assert_eq!(index.ids(entry), ids);
        assert_eq!(pack.sealed_slot(entry).unwrap().len(), entry.stored_bytes as usize);
    }
    assert!(index.slot(2).is_none());
    let absent = PackIndex::read(&backend, &pack_ref(PackKind::Data), 1, &keys).unwrap();
    assert!(absent.is_none(), "absence is not damage");
}

/// I12: whatever byte of a pack changes, a reader that uses the tail only gets an error or the
/// right bytes; a reader of the whole object always gets an error.
#[test]
fn a_changed_byte_of_a_pack_is_never_opened_to_something_else() {
    let (pack, keys) = (samples::meta_pack(), tenant_keys());
    let right = bytes_of(&pack);
    let backend = MemoryBackend::default();
    for position in 0..right.len() {
        let mut changed = right.clone();
        changed[position] ^= 0x10;
        let whole = PackIndex::open(&changed, &pack_ref(PackKind::Meta), 5, &keys);
        assert!(whole.is_err(), "byte {position} went unseen");
        backend.overwrite(&pack.key, changed.clone());
        let Ok(index) = PackIndex::read(&backend, &pack_ref(PackKind::Meta), 5, &keys) else {
            continue;
        };
        for entry in index.unwrap().slots() {
            let opened = open(&changed, &pack.index, entry);
            let expected = open(&right, &pack.index, entry).unwrap();
            assert!(opened.is_none_or(|plain| plain == expected), "byte {position}");
        }
    }
}

/// The tables of a large pack are read with a second range request, never with the slots.
#[test]
fn reading_the_tables_of_a_large_pack_does_not_read_its_slots() {
    let keys = tenant_keys();
    let random = SeededRandom::new(5);
    let mut builder = PackBuilder::new(pack_ref(PackKind::Data), &keys, &random);
    let ids = vec![BlockId([7; 32]); 16];
    let plain_len = u32::try_from(16 * BLOCK_BYTES).unwrap();
    let encoded = noise(6, 1000);
    for _ in 0..1000 {
        builder.append(Codec::Zstd, plain_len, &encoded, &ids).unwrap();
    }
    let pack = builder.finish(0, &keys);
    let memory = std::sync::Arc::new(MemoryBackend::default());
    assert_eq!(memory.put_new(&pack.key, &pack.parts()).unwrap(), Put::Created);
    let counting = Counting::new(memory);
    let index = PackIndex::read(&counting, &pack_ref(PackKind::Data), 0, &keys).unwrap().unwrap();
    assert_eq!(index.slots().len(), 1000);
    let counts = counting.counts();
    assert_eq!((counts.gets, counts.range_gets), (0, 2));
    assert!(counts.bytes_got < 600_000, "{} bytes", counts.bytes_got);
}

/// Compaction: slots keep number and bytes, the others are gone, the key of the slots is the same.
#[test]
fn slots_move_verbatim_into_another_generation() {
    let (keys, random) = (tenant_keys(), SeededRandom::new(8));
    let pack_ref = pack_ref(PackKind::Data);
    let mut builder = PackBuilder::new(pack_ref, &keys, &random);
    let plain: Vec<Vec<u8>> = (0..5).map(|n| noise(n, BLOCK_BYTES)).collect();
    for block in &plain {
        builder.append(Codec::None, 65_536, block, &[BlockId([1; 32])]).unwrap();
    }
    let old = builder.finish(0, &keys);
    let old_bytes = bytes_of(&old);
    let index = PackIndex::open(&old_bytes, &pack_ref, 0, &keys).unwrap();
    let again = PackIndex::open(&old_bytes, &pack_ref, 0, &keys).unwrap();
    let mut builder = PackBuilder::with_dek(pack_ref, again.into_dek(), &keys, &random);
    for number in [1, 4] {
        let entry = index.slot(number).unwrap();
        let sealed = old.sealed_slot(entry).unwrap();
        builder.append_sealed(entry.head, sealed, index.ids(entry)).unwrap();
    }
    let new = builder.finish(1, &keys);
    let new_bytes = bytes_of(&new);
    let new_index = PackIndex::open(&new_bytes, &pack_ref, 1, &keys).unwrap();
    let numbers: Vec<u32> = new_index.slots().iter().map(|entry| entry.head.slot).collect();
    assert_eq!(numbers, [1, 4]);
    for entry in new_index.slots() {
        let opened = open(&new_bytes, &new_index, entry).unwrap();
        assert_eq!(opened, plain[entry.head.slot as usize]);
    }
    assert!(new_index.slot(0).is_none() && new_index.slot(2).is_none());
}

#[test]
fn slots_outside_the_limits_are_refused_by_the_writer() {
    let (keys, random) = (tenant_keys(), SeededRandom::new(8));
    let id = BlockId([0; 32]);
    let mut data = PackBuilder::new(pack_ref(PackKind::Data), &keys, &random);
    let mut meta = PackBuilder::new(pack_ref(PackKind::Meta), &keys, &random);
    let block = vec![0; BLOCK_BYTES];
    let long = u32::try_from(SLOT_PLAIN_BYTES_MAX + 1).unwrap();
    let refused = [
        data.append(Codec::None, 65_536, &block, &[]).map(drop),
        data.append(Codec::None, 65_536, &block[1..], &[id]).map(drop),
        data.append(Codec::None, 65_535, &block, &[id]).map(drop),
        data.append(Codec::Zstd, 65_536, &block, &[id]).map(drop),
        data.append(Codec::Zstd, 65_536, &[], &[id]).map(drop),
        data.append(Codec::Zstd, 17 * 65_536, &block, &[id; 17]).map(drop),
        meta.append(Codec::Zstd, long, &block, &[id]).map(drop),
        meta.append(Codec::None, 2, b"ab", &[id, id]).map(drop),
        meta.append(Codec::None, 0, b"", &[id]).map(drop),
    ];
    for (case, answer) in refused.into_iter().enumerate() {
        assert!(matches!(answer, Err(Error::Invalid { .. })), "case {case}: {answer:?}");
    }
    assert!(data.is_empty() && meta.is_empty());
    for _ in 0..PACK_SLOTS_MAX {
        meta.append(Codec::None, 1, b"x", &[id]).unwrap();
    }
    assert!(!meta.has_room(1, 1));
    assert!(meta.append(Codec::None, 1, b"x", &[id]).is_err());
    let pack = meta.finish(0, &keys);
    let full = PackIndex::open(&bytes_of(&pack), &pack_ref(PackKind::Meta), 0, &keys).unwrap();
    assert_eq!(full.slots().len(), PACK_SLOTS_MAX);
}

/// P31: a slot opens only as itself: same pack, number, codec, length, tenant, domain.
#[test]
fn a_slot_opens_only_as_itself() {
    let dek = PackDek::generate(&SeededRandom::new(1));
    let pack = pack_ref(PackKind::Data);
    let head = SlotHead { slot: 3, codec: Codec::None, plain_len: 5 };
    let (mut sealed, mut out) = (Vec::new(), Vec::new());
    seal_slot(&dek, &pack, head, b"plain", &mut sealed);
    open_slot(&dek, &pack, head, &sealed, &mut out).unwrap();
    assert_eq!(out, b"plain");
    for other in [
        SlotHead { slot: 4, ..head },
        SlotHead { codec: Codec::Zstd, ..head },
        SlotHead { plain_len: 6, ..head },
    ] {
        assert!(open_slot(&dek, &pack, other, &sealed, &mut out).is_err());
        assert!(out.is_empty(), "nothing is left of what did not open");
    }
    let mut others = [pack; 6];
    others[0].domain.epoch += 1;
    others[1].domain.tenant = uuid::Uuid::from_u128(5);
    others[2].kind = PackKind::Meta;
    others[3].id.0[15] ^= 1;
    others[4].domain.sharer = uuid::Uuid::from_u128(6);
    others[5].domain.scope = Scope::Tenant;
    for other in others {
        assert!(open_slot(&dek, &other, head, &sealed, &mut out).is_err());
    }
    let other_dek = PackDek::generate(&SeededRandom::new(2));
    assert!(open_slot(&other_dek, &pack, head, &sealed, &mut out).is_err());
    for length in 0..sealed.len() {
        assert!(open_slot(&dek, &pack, head, &sealed[..length], &mut out).is_err());
    }
}

#[test]
fn frames_are_compressed_only_where_that_saves_space_and_decode_to_the_exact_length() {
    let mut encoder = FrameEncoder::new(1).unwrap();
    let mut decoder = FrameDecoder::new().unwrap();
    let (mut encoded, mut plain) = (Vec::new(), Vec::new());
    let cases = [
        (vec![7; 100_000], Codec::Zstd),
        (noise(1, 100_000), Codec::None),
        ([noise(2, 98_000), vec![0; 2_000]].concat(), Codec::None),
        ([noise(2, 90_000), vec![0; 10_000]].concat(), Codec::Zstd),
        (vec![1], Codec::None),
    ];
    for (content, expected) in cases {
        let codec = encoder.encode(&content, &mut encoded);
        assert_eq!(codec, expected);
        decoder.decode(codec, &encoded, content.len(), &mut plain).unwrap();
        assert_eq!(plain, content);
        for wrong in [content.len() - 1, content.len() + 1, SLOT_PLAIN_BYTES_MAX + 1] {
            assert!(decoder.decode(codec, &encoded, wrong, &mut plain).is_err());
        }
    }
}
