//! Every byte of every kind of object is covered, and every object is bound to its place (P4, P31).

use cbr_env::SeededRandom;
use cbr_store::Error;
use cbr_store::backend::Key;
use cbr_store::crypto::{KeyRing, MasterKey, TenantKey, TenantKeys};
use cbr_store::format::id::PackKind;
use cbr_store::format::pack::PackIndex;
use cbr_store::format::place;
use cbr_store::format::record::{Claim, Delete, Descriptor, Domain, Outcome, Record};
use uuid::Uuid;

use crate::samples::{self, CHAIN, TENANT, master_keys, objects, pack_ref, tenant_keys};

/// Reads an object of the named kind completely, as the engine does.
fn read(
    name: &str,
    bytes: &[u8],
    key: &Key,
    master: &dyn KeyRing,
    keys: &dyn KeyRing,
) -> Result<(), Error> {
    match name {
        "descriptor" => Descriptor::open(bytes, key, master).map(drop),
        "tenant-key" => TenantKey::open(bytes, key, master).map(drop),
        "domain" => Domain::open(bytes, key, keys).map(drop),
        "claim" => Claim::open(bytes, key, keys).map(drop),
        "commit" | "abort" => Outcome::open(bytes, key, keys).map(drop),
        "delete" => Delete::open(bytes, key, keys).map(drop),
        "meta-pack" => PackIndex::open(bytes, &pack_ref(PackKind::Meta), 5, keys).map(drop),
        _ => unreachable!("no such sample: {name}"),
    }
}

#[test]
fn every_kind_of_object_is_read_back_as_written() {
    let (master, keys, random) = (master_keys(), tenant_keys(), SeededRandom::new(9));
    let key = Key::new("some/place").unwrap();
    assert_eq!(
        Descriptor::open(&samples::descriptor().seal(&key, &master, &random), &key, &master)
            .unwrap(),
        samples::descriptor()
    );
    let claim = samples::claim().seal(&key, &keys, &random);
    assert_eq!(Claim::open(&claim, &key, &keys).unwrap(), samples::claim());
    let outcomes = [samples::commit(), samples::abort()];
    for outcome in outcomes {
        let bytes = outcome.seal(&key, &keys, &random);
        assert_eq!(Outcome::open(&bytes, &key, &keys).unwrap(), outcome);
    }
    let delete = samples::delete().seal(&key, &keys, &random);
    assert_eq!(Delete::open(&delete, &key, &keys).unwrap(), samples::delete());
    let domain = samples::domain().seal(&key, &keys, &random);
    assert_eq!(Domain::open(&domain, &key, &keys).unwrap(), samples::domain());
    for (name, key, bytes) in objects() {
        read(name, &bytes, &key, &master, &keys).unwrap();
    }
}

/// P4: flip, and each single bit of each byte.
#[test]
fn no_bit_of_any_object_can_change_unseen() {
    let (master, keys) = (master_keys(), tenant_keys());
    for (name, key, bytes) in objects() {
        for position in 0..bytes.len() {
            for mask in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[position] ^= mask;
                let answer = read(name, &changed, &key, &master, &keys);
                assert!(answer.is_err(), "{name}: byte {position} ^ {mask:#x} went unseen");
            }
        }
    }
}

/// P4: truncation, extension, zeroing of a tail.
#[test]
fn no_object_can_become_shorter_or_longer_unseen() {
    let (master, keys) = (master_keys(), tenant_keys());
    for (name, key, bytes) in objects() {
        for length in 0..bytes.len() {
            assert!(read(name, &bytes[..length], &key, &master, &keys).is_err(), "{name} {length}");
            let mut zeroed = bytes.clone();
            zeroed[length..].fill(0);
            let answer = read(name, &zeroed, &key, &master, &keys);
            assert!(answer.is_err(), "{name}: zeroed from {length}");
        }
        for tail in [&b"\0"[..], b"x", &bytes] {
            let longer = [&bytes, tail].concat();
            assert!(read(name, &longer, &key, &master, &keys).is_err(), "{name} longer");
        }
    }
}

/// P4, P31: a valid object in another place is not valid there: another chain, number, tenant.
#[test]
fn no_object_is_valid_in_another_place() {
    let (master, keys) = (master_keys(), tenant_keys());
    let mut other = CHAIN;
    other.chain = Uuid::from_u128(1);
    for (name, key, bytes) in objects() {
        let places = [
            place::claim(&other, 5),
            place::outcome(&CHAIN, 7),
            place::delete(&CHAIN, 2),
            place::tenant_key(Uuid::from_u128(1), 1),
            Key::new(format!("{key}0")).unwrap(),
        ];
        for place in places {
            if name == "meta-pack" {
                let elsewhere = PackIndex::open(&bytes, &pack_ref(PackKind::Meta), 6, &keys);
                assert!(elsewhere.is_err(), "another generation");
                continue;
            }
            let answer = read(name, &bytes, &place, &master, &keys);
            assert!(answer.is_err(), "{name} is accepted at {place}");
        }
    }
}

#[test]
fn an_object_of_another_kind_is_not_accepted() {
    let (master, keys) = (master_keys(), tenant_keys());
    let all = objects();
    for (name, key, _) in &all {
        for (other, _, bytes) in &all {
            let is_outcome = |name: &str| matches!(name, "commit" | "abort");
            if name == other || (is_outcome(name) && is_outcome(other)) {
                continue;
            }
            let answer = read(name, bytes, key, &master, &keys);
            assert!(answer.is_err(), "a {other} is accepted as a {name}");
        }
    }
}

/// P26, P31: nothing opens with another tenant's or another master key, and a wrong master key is
/// told apart from damage.
#[test]
fn nothing_opens_with_other_keys() {
    let other_master = MasterKey::from_bytes([0x12; 32]).keys();
    let other_key = TenantKey::generate(&SeededRandom::new(99));
    let same_tenant = TenantKeys::derive(TENANT, 1, &other_key);
    let other_number = TenantKeys::derive(TENANT, 2, &samples::tenant_key());
    for (name, key, bytes) in objects() {
        assert!(read(name, &bytes, &key, &other_master, &same_tenant).is_err(), "{name}");
        let answer = read(name, &bytes, &key, &other_master, &other_number);
        let is_told =
            matches!(answer, Err(Error::WrongKey { .. } | Error::UnknownKey { key_id: 1, .. }));
        assert!(is_told || name == "tenant-key", "{name}: {answer:?}");
    }
}

/// P18: what a newer release wrote is refused as such, not taken for damage.
#[test]
fn a_newer_major_version_and_unknown_features_are_refused_by_name() {
    let (key, keys) = (place::claim(&CHAIN, 5), tenant_keys());
    let bytes = samples::claim().seal(&key, &keys, &SeededRandom::new(4));
    for (position, value) in [(10, 2), (12, 1), (15, 0x80)] {
        let mut newer = bytes.clone();
        let footer = footer_start(&newer);
        for start in [0, footer] {
            newer[start + position] = value;
            let crc =
                crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &newer[start..start + 60]);
            newer[start + 60..start + 64].copy_from_slice(&crc.to_le_bytes()[..4]);
        }
        let end = newer.len();
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &newer[footer..end - 20]);
        newer[end - 20..end - 16].copy_from_slice(&crc.to_le_bytes()[..4]);
        let answer = Claim::open(&newer, &key, &keys);
        assert!(matches!(answer, Err(Error::Unsupported { .. })), "{answer:?}");
    }
}

fn footer_start(bytes: &[u8]) -> usize {
    let at = bytes.len() - 24;
    let length = u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    bytes.len() - length as usize
}
