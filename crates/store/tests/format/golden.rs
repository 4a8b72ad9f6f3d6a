//! The bytes of format v1 do not change (P18).
//!
//! `tests/golden/v1/objects.txt` holds, per kind of object and per table, the
//! bytes this crate wrote on the day the format was fixed, `fold.txt`, `trash.txt` and
//! `arbitrated.txt` those of later kinds. A difference means
//! that stores out there would no longer be read: never rewrite the file, add
//! a new version of the format.

use std::fmt::Write as _;
use std::path::PathBuf;

use cbr_env::SeededRandom;
use cbr_store::format::codec::Encoder;
use cbr_store::format::place;
use cbr_store::format::record::{Deed, Descriptor, Record};

use crate::samples;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1").join(name)
}

fn keys_file() -> PathBuf {
    file("keys.txt")
}

fn current_keys() -> String {
    let mut text = String::new();
    for (name, key, bytes) in samples::key_objects() {
        let _ = writeln!(text, "{name} {key} {}", hex::encode(bytes));
    }
    text
}

#[test]
fn the_bytes_of_keys_are_those_of_the_golden_file() {
    assert_eq!(current_keys(), std::fs::read_to_string(keys_file()).unwrap());
}

#[test]
#[ignore = "writes the golden file, before its first release only: cargo test -p cbr-store --test format -- --ignored write_the_golden_keys"]
fn write_the_golden_keys() {
    std::fs::write(keys_file(), current_keys()).unwrap();
}

fn encode(record: &impl Record) -> Vec<u8> {
    let mut to = Encoder::new();
    record.encode(&mut to);
    to.into_bytes()
}

fn current() -> String {
    let mut text = String::new();
    let plain = [
        ("leaf", samples::leaf().encode()),
        ("inner", samples::inner().encode()),
        ("deaths", samples::deaths().encode()),
        ("commit-record", encode(&samples::commit())),
        ("abort-record", encode(&samples::abort())),
        ("claim-record", encode(&samples::claim())),
        ("delete-record", encode(&samples::delete())),
        ("domain-record", encode(&samples::domain())),
        ("descriptor-record", encode(&samples::descriptor())),
    ];
    for (name, bytes) in plain {
        let _ = writeln!(text, "{name} {}", hex::encode(bytes));
    }
    for (name, key, bytes) in samples::objects() {
        let _ = writeln!(text, "{name} {key} {}", hex::encode(bytes));
    }
    let pack = samples::bytes_of(&samples::data_pack());
    let _ = writeln!(text, "data-pack blake3 {}", blake3::hash(&pack));
    text
}

/// Kinds that were added later, each with a file of its own.
fn fold() -> String {
    let (key, bytes) = samples::fold_object();
    let record = hex::encode(encode(&samples::fold()));
    format!("fold-record {record}\nfold {key} {}\n", hex::encode(bytes))
}

/// The records of the trash.
fn trash() -> String {
    let mut text = String::new();
    for (name, deed) in [("trash", Deed::Trash), ("restore", Deed::Restore), ("purge", Deed::Purge)]
    {
        let (record, key) = (samples::trash(deed), place::delete(&samples::CHAIN, 2));
        let _ = writeln!(text, "{name}-record {}", hex::encode(encode(&record)));
        let bytes = record.seal(&key, &samples::tenant_keys(), &SeededRandom::new(6));
        let _ = writeln!(text, "{name} {key} {}", hex::encode(bytes));
    }
    let _ = writeln!(text, "fold-record {}", hex::encode(encode(&samples::fold_with_trash())));
    text
}

/// The descriptor of a repository whose store overwrites (docs/adr on the arbiter).
fn arbitrated() -> String {
    let (key, bytes) = samples::arbitrated_object();
    let record = hex::encode(encode(&samples::arbitrated()));
    format!("descriptor-record {record}\ndescriptor {key} {}\n", hex::encode(bytes))
}

/// What is kept beside the versions for the caller (docs/adr on moves).
fn note() -> String {
    let (key, bytes) = samples::note_object();
    let record = hex::encode(encode(&samples::note()));
    format!("note-record {record}\nnote {key} {}\n", hex::encode(bytes))
}

fn golden_files() -> [(&'static str, String); 5] {
    [
        ("objects.txt", current()),
        ("fold.txt", fold()),
        ("trash.txt", trash()),
        ("arbitrated.txt", arbitrated()),
        ("note.txt", note()),
    ]
}

/// Who reads the golden bytes knows that he may not write without an arbiter; and a release that
/// does not know a bit of this word must not write either.
#[test]
fn the_golden_descriptor_of_a_store_that_overwrites_says_so() {
    let golden = std::fs::read_to_string(file("arbitrated.txt")).unwrap();
    let object = golden.lines().last().unwrap().rsplit(' ').next().unwrap();
    let object = hex::decode(object).unwrap();
    let key = place::descriptor();
    let opened = Descriptor::open(&object, &key, &samples::master_keys()).unwrap();
    assert!(opened.is_arbitrated() && opened.may_read() && opened.may_write());
    assert_eq!(opened, samples::arbitrated());
    let newer = Descriptor { ro_compat: Descriptor::ARBITRATED | 2, ..opened };
    assert!(newer.is_arbitrated() && newer.may_read() && !newer.may_write());
}

#[test]
fn the_bytes_are_those_of_the_golden_files() {
    for (name, current) in golden_files() {
        let golden = std::fs::read_to_string(file(name)).unwrap();
        for (expected, found) in golden.lines().zip(current.lines()) {
            assert_eq!(found, expected);
        }
        assert_eq!(current.lines().count(), golden.lines().count());
    }
}

#[test]
#[ignore = "writes golden files that are not there yet: cargo test -p cbr-store --test format -- --ignored"]
fn write_the_golden_files_that_are_missing() {
    std::fs::create_dir_all(file("").parent().unwrap()).unwrap();
    for (name, current) in golden_files() {
        if !file(name).exists() {
            std::fs::write(file(name), current).unwrap();
        }
    }
}
