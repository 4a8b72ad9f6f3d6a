//! The bytes of what sharing between chains added to format v1: they do not change (P18), and
//! their decoders are total and exact (P29).
//!
//! `tests/golden/v1/sharing.txt` is what this crate wrote when they were fixed; see `golden.rs`.

use std::fmt::Write as _;
use std::path::PathBuf;

use cbr_env::SeededRandom;
use cbr_store::ChainRef;
use cbr_store::format::codec::{Decoder, Encoder};
use cbr_store::format::id::{PackId, PackKind, Scope};
use cbr_store::format::place::{self, Place};
use cbr_store::format::record::{
    Borrowed, Claim, Domain, FoldedPack, Lender, Outcome, Record, Retire, RetireFold, RetiredSlots,
};
use cbr_store::format::references::References;

use crate::samples::{self, TENANT};

const CHAIN: ChainRef = ChainRef::sharing(TENANT, 3, samples::CHAIN.chain);

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1/sharing.txt")
}

fn claims() -> [Claim; 2] {
    let claim = |parent, retired| Claim { parent, retired: Some(retired), ..samples::claim() };
    [claim(None, 0), claim(Some(4), 300)]
}

fn commit() -> Outcome {
    let Outcome::Commit(mut commit) = samples::commit() else { panic!("it is a commit") };
    let lender = |n, references, bytes| Lender {
        pack: PackId::new(samples::session(), n),
        references,
        bytes,
    };
    commit.borrowed = Some(Borrowed {
        lists: vec![samples::slot(1, 5, 5)],
        lenders: vec![lender(3, 2, 4000), lender(8, 1, 1 << 40)],
    });
    Outcome::Commit(commit)
}

fn references() -> References {
    References::of(vec![
        (PackKind::Data, samples::slot(9, 1, 2)),
        (PackKind::Data, samples::slot(1, 0, 5)),
        (PackKind::Meta, samples::slot(1, 1, 6)),
        (PackKind::Data, samples::slot(1, 0, 5)),
        (PackKind::Data, samples::slot(1, 0, 4)),
    ])
}

fn retire() -> Retire {
    let pack = |n| PackId::new(samples::session(), n);
    Retire {
        packs: vec![(pack(1), RetiredSlots::Some(vec![0, 7, 300])), (pack(2), RetiredSlots::All)],
        by: "sweep".to_owned(),
    }
}

fn retire_fold() -> RetireFold {
    let pack = |n| PackId::new(samples::session(), n);
    let folded = |all, slots| FoldedPack { all, slots };
    RetireFold {
        last: [7; 32],
        packs: vec![
            (pack(1), folded(None, vec![(0, 1), (7, 300)])),
            (pack(2), folded(Some(4), Vec::new())),
            (pack(3), folded(Some(9), vec![(2, 3)])),
        ],
    }
}

fn encode(record: &impl Record) -> Vec<u8> {
    let mut to = Encoder::new();
    record.encode(&mut to);
    to.into_bytes()
}

fn current() -> String {
    let mut text = String::new();
    let [first, later] = claims();
    let domain = Domain { scope: Scope::Tenant, epoch: 3 };
    for (name, bytes) in [
        ("references", references().encode()),
        ("commit-record", encode(&commit())),
        ("claim-record", encode(&first)),
        ("claim-record", encode(&later)),
        ("retire-record", encode(&retire())),
        ("domain-record", encode(&domain)),
    ] {
        let _ = writeln!(text, "{name} {}", hex::encode(bytes));
    }
    let (keys, random) = (samples::tenant_keys(), SeededRandom::new(5));
    let key = place::retire(&CHAIN.domain(), 7);
    let _ = writeln!(text, "retire {key} {}", hex::encode(retire().seal(&key, &keys, &random)));
    let key = place::outcome(&CHAIN, 5);
    let _ = writeln!(text, "commit {key} {}", hex::encode(commit().seal(&key, &keys, &random)));
    let id = keys.block_hasher(&CHAIN.domain()).expect("all keys are there").id(b"a block");
    let _ = writeln!(text, "block id of \"a block\" {id:?}");
    text
}

#[test]
fn the_bytes_of_sharing_are_those_of_the_golden_file() {
    let golden = std::fs::read_to_string(file()).unwrap();
    for (expected, found) in golden.lines().zip(current().lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(current().lines().count(), golden.lines().count());
}

fn fold_file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1/retire_fold.txt")
}

fn current_fold() -> String {
    let (keys, random) = (samples::tenant_keys(), SeededRandom::new(6));
    let key = place::retire_fold(&CHAIN.domain(), 300);
    let record = hex::encode(encode(&retire_fold()));
    let object = hex::encode(retire_fold().seal(&key, &keys, &random));
    format!("retire-fold-record {record}\nretire-fold {key} {object}\n")
}

#[test]
fn the_bytes_of_a_retire_fold_are_those_of_its_golden_file() {
    assert_eq!(current_fold(), std::fs::read_to_string(fold_file()).unwrap());
}

#[test]
#[ignore = "writes the golden file, once: cargo test -p cbr-store --test format -- --ignored golden_file_of_a_retire"]
fn write_the_golden_file_of_a_retire_fold() {
    std::fs::write(fold_file(), current_fold()).unwrap();
}

#[test]
#[ignore = "writes the golden file, once: cargo test -p cbr-store --test format -- --ignored sharing"]
fn write_the_golden_file_of_sharing() {
    std::fs::write(file(), current()).unwrap();
}

fn again<R: Record>(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut from = Decoder::new(bytes);
    let record = R::decode(&mut from).ok()?;
    from.finish().ok()?;
    Some(encode(&record))
}

/// Every single-byte change and every truncation is refused or is another value's encoding.
#[test]
fn what_sharing_added_decodes_exactly() {
    type Again = fn(&[u8]) -> Option<Vec<u8>>;
    let [first, later] = claims();
    let list: Again = |bytes| References::decode(bytes).ok().map(|list| list.encode());
    let cases: [(Vec<u8>, Again); 6] = [
        (references().encode(), list),
        (encode(&commit()), again::<Outcome>),
        (encode(&first), again::<Claim>),
        (encode(&later), again::<Claim>),
        (encode(&retire()), again::<Retire>),
        (encode(&retire_fold()), again::<RetireFold>),
    ];
    for (bytes, again) in cases {
        assert_eq!(again(&bytes).as_ref(), Some(&bytes));
        for position in 0..bytes.len() {
            assert_eq!(again(&bytes[..position]), None, "cut at {position}");
            for value in 0..=u8::MAX {
                let mut changed = bytes.clone();
                changed[position] = value;
                if let Some(found) = again(&changed) {
                    assert_eq!(found, changed, "byte {position} = {value}");
                }
            }
        }
    }
}

#[test]
fn equal_references_are_counted_and_the_records_of_the_retire_log_have_places() {
    let counts: Vec<u64> = references().counted.iter().map(|(_, _, times)| *times).collect();
    assert_eq!(counts, [1, 2, 1, 1]);
    let place = Place::Retire(CHAIN.domain(), 7);
    assert_eq!(Place::parse(&place.key()), Some(place));
    assert_eq!(place.key().as_str(), format!("t/{TENANT}/d/t{TENANT}.00000003/g/0000000000000007"));
    let fold = Place::RetireFold(CHAIN.domain(), 7);
    assert_eq!(Place::parse(&fold.key()), Some(fold));
    assert!(fold.key() > Place::Retire(CHAIN.domain(), u64::from(u32::MAX)).key());
}
