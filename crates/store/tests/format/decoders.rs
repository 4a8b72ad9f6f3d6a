//! Decoders are total and exact: any input gives an error or the value whose encoding it is (P29).

use cbr_store::format::codec::{Decoder, Encoder};
use cbr_store::format::deaths::Deaths;
use cbr_store::format::node::Node;
use cbr_store::format::record::{Claim, Deed, Delete, Descriptor, Domain, Fold, Outcome, Record};
use proptest::prelude::*;

use crate::samples;

/// Decodes `bytes` in one of the ways there are; `Some` is the encoding of what was found.
fn decode(way: usize, bytes: &[u8]) -> Option<Vec<u8>> {
    match way {
        0 => Node::decode(bytes).ok().map(|node| match node {
            Node::Leaf(leaf) => leaf.encode(),
            Node::Inner(inner) => inner.encode(),
        }),
        1 => Deaths::decode(bytes).ok().map(|deaths| deaths.encode()),
        2 => record::<Claim>(bytes),
        3 => record::<Outcome>(bytes),
        4 => record::<Delete>(bytes),
        5 => record::<Descriptor>(bytes),
        7 => record::<Fold>(bytes),
        _ => record::<Domain>(bytes),
    }
}

const WAYS: usize = 8;

fn record<R: Record>(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut from = Decoder::new(bytes);
    let record = R::decode(&mut from).ok()?;
    from.finish().ok()?;
    Some(encode(&record))
}

fn encode(record: &impl Record) -> Vec<u8> {
    let mut to = Encoder::new();
    record.encode(&mut to);
    to.into_bytes()
}

fn valid() -> Vec<(usize, Vec<u8>)> {
    vec![
        (0, samples::leaf().encode()),
        (0, samples::inner().encode()),
        (1, samples::deaths().encode()),
        (2, encode(&samples::claim())),
        (3, encode(&samples::commit())),
        (3, encode(&samples::abort())),
        (4, encode(&samples::delete())),
        (4, encode(&samples::trash(Deed::Trash))),
        (4, encode(&samples::trash(Deed::Purge))),
        (5, encode(&samples::descriptor())),
        (6, encode(&samples::domain())),
        (7, encode(&samples::fold())),
        (7, encode(&samples::fold_with_trash())),
    ]
}

#[test]
fn what_was_encoded_decodes_to_the_same() {
    for (way, bytes) in valid() {
        assert_eq!(decode(way, &bytes).as_ref(), Some(&bytes), "way {way}");
    }
    let leaf = samples::leaf();
    assert_eq!(Node::decode(&leaf.encode()).unwrap(), Node::Leaf(leaf));
    let inner = samples::inner();
    assert_eq!(Node::decode(&inner.encode()).unwrap(), Node::Inner(inner));
    assert_eq!(Deaths::decode(&samples::deaths().encode()).unwrap(), samples::deaths());
}

/// Every single-byte change of every valid encoding, and every truncation.
#[test]
fn a_changed_encoding_is_refused_or_is_the_encoding_of_another_value() {
    for (way, bytes) in valid() {
        for position in 0..bytes.len() {
            assert_eq!(decode(way, &bytes[..position]), None, "way {way} cut at {position}");
            for value in 0..=u8::MAX {
                let mut changed = bytes.clone();
                changed[position] = value;
                if let Some(again) = decode(way, &changed) {
                    assert_eq!(again, changed, "way {way}, byte {position} = {value}");
                }
            }
        }
        let longer = [&bytes[..], b"\0"].concat();
        assert_eq!(decode(way, &longer), None, "way {way} with a byte left over");
    }
}

/// A count of what cannot be there allocates nothing: P24.
#[test]
fn counts_beyond_the_input_are_refused_before_allocating() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    for way in 0..WAYS {
        for lead in 0..4 {
            for tag in 1..=3 {
                let mut bytes = vec![tag; lead];
                bytes.extend_from_slice(&huge);
                assert_eq!(decode(way, &bytes), None);
            }
        }
    }
    let mut from = Decoder::new(&huge);
    assert_eq!(from.varint().unwrap(), u64::MAX);
    assert!(Decoder::new(&huge).count(usize::MAX, 1).is_err());
    for not_minimal in [&[0x80, 0x00][..], &[0xff, 0x80, 0x00], &[0xff; 10], &[0x80]] {
        assert!(Decoder::new(not_minimal).varint().is_err(), "{not_minimal:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes_never_break_a_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for way in 0..WAYS {
            if let Some(again) = decode(way, &bytes) {
                prop_assert_eq!(&again, &bytes);
            }
        }
    }

    #[test]
    fn splices_of_valid_encodings_never_break_a_decoder(
        a in 0usize..10, b in 0usize..10, cut_a in 0usize..500, cut_b in 0usize..500,
    ) {
        let all = valid();
        let (way, first) = &all[a];
        let (_, second) = &all[b];
        let mut bytes = first[..cut_a.min(first.len())].to_vec();
        bytes.extend_from_slice(&second[cut_b.min(second.len())..]);
        if let Some(again) = decode(*way, &bytes) {
            prop_assert_eq!(again, bytes);
        }
    }

    #[test]
    fn numbers_survive_their_encoding(value in any::<u64>(), small in 0u64..300) {
        for value in [value, small, value >> 32] {
            let mut to = Encoder::new();
            to.varint(value);
            let bytes = to.into_bytes();
            let mut from = Decoder::new(&bytes);
            prop_assert_eq!(from.varint().unwrap(), value);
            prop_assert!(from.finish().is_ok());
        }
    }
}
