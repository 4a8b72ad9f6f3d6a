//! Names of objects, block ids, master key files.

use std::os::unix::fs::PermissionsExt;

use cbr_env::SeededRandom;
use cbr_store::backend::Key;
use cbr_store::crypto::{KeyRing, MasterKey, Role, TenantKey, TenantKeys};
use cbr_store::format::id::{ChainRef, DomainId, PackId, PackKind, PackRef, Scope, SessionNonce};
use cbr_store::format::place::{self, Place};
use proptest::prelude::*;
use uuid::Uuid;

use crate::samples::{self, CHAIN, TENANT, objects, pack_ref};

#[test]
fn every_place_has_one_key_and_every_key_one_place() {
    let places = [
        Place::Descriptor,
        Place::DescriptorOf(3),
        Place::TenantKey(TENANT, 1),
        Place::TenantKeyBy(TENANT, 2, 3),
        Place::MaintenanceRing(TENANT, 2, 0),
        Place::Shredded(TENANT, 0),
        Place::Domain(CHAIN.domain()),
        Place::Pack(pack_ref(PackKind::Data), 0),
        Place::Pack(pack_ref(PackKind::Meta), u32::MAX),
        Place::Claim(CHAIN, 0),
        Place::Outcome(CHAIN, u64::MAX),
        Place::Delete(CHAIN, 12),
        Place::Fold(CHAIN, (17, u64::MAX)),
        Place::Note(TENANT, CHAIN.chain, 1),
    ];
    for expected in places {
        assert_eq!(Place::parse(&expected.key()), Some(expected));
    }
    for (name, key, _) in objects() {
        assert!(Place::parse(&key).is_some(), "{name}");
    }
    let pack = place::pack(&pack_ref(PackKind::Data), 0);
    assert!(pack.as_str().starts_with(&place::pack_generations(&pack_ref(PackKind::Data))));
    assert_eq!(
        place::claim(&CHAIN, 0x1f).as_str(),
        "t/01234567-89ab-cdef-0123-456789abcdef/d/v{C}.00000003/c/{C}/000000000000001f.claim"
            .replace("{C}", "fedcba98-7654-3210-fedc-ba9876543210")
    );
}

#[test]
fn names_that_are_not_exactly_ours_are_no_places() {
    let mut strange = vec!["store.v2".to_owned(), "store.v1/x".to_owned(), "x".to_owned()];
    for (_, key, _) in objects() {
        strange.push(format!("{key}0"));
        strange.push(format!("{key}/a"));
        if key.as_str() != "store.v1" {
            strange.push(key.as_str().replace("d/v", "d/w").replacen("t/", "u/", 1));
            strange.push(key.as_str().to_uppercase());
            strange.push(key.as_str().replacen("t/01234567-", "t/01234567", 1));
        }
    }
    let key = place::pack(&pack_ref(PackKind::Data), 0).to_string();
    let spread = pack_ref(PackKind::Data).id.spread();
    strange.push(key.replace(&format!("/{spread}/"), "/zz/"));
    strange.push(key.replace(".00000000", ".+0000000"));
    for name in strange {
        let Ok(key) = Key::new(name) else { continue };
        assert_eq!(Place::parse(&key), None, "{key}");
    }
}

proptest! {
    #[test]
    fn parsing_any_name_ends_in_a_place_or_none(name in "[a-z0-9./v-]{0,120}") {
        if let Ok(key) = Key::new(name)
            && let Some(place) = Place::parse(&key)
        {
            prop_assert_eq!(place.key(), key);
        }
    }

    #[test]
    fn pack_ids_keep_their_session(nonce in any::<[u8; 12]>(), counter in any::<u32>(), generation: u32) {
        let id = PackId::new(SessionNonce(nonce), counter);
        prop_assert_eq!(id.session(), SessionNonce(nonce));
        let pack = PackRef { domain: CHAIN.domain(), kind: PackKind::Data, id };
        let parsed = Place::parse(&place::pack(&pack, generation));
        prop_assert_eq!(parsed, Some(Place::Pack(pack, generation)));
    }
}

/// I9, P26: equal blocks of different tenants, epochs or keys have different ids.
#[test]
fn block_ids_differ_between_domains() {
    let other_key = TenantKey::generate(&SeededRandom::new(77));
    let domain = |tenant, epoch| ChainRef::alone(tenant, epoch, CHAIN.chain).domain();
    let other_volume = DomainId { sharer: Uuid::nil(), ..domain(TENANT, 3) };
    let shared = |tenant, epoch| ChainRef::sharing(tenant, epoch, CHAIN.chain).domain();
    let other_scope = DomainId { scope: Scope::Tenant, ..domain(TENANT, 3) };
    let ids = [
        samples::tenant_keys().block_hasher(&domain(TENANT, 3)).unwrap().id(b"same"),
        samples::tenant_keys().block_hasher(&domain(TENANT, 4)).unwrap().id(b"same"),
        samples::tenant_keys().block_hasher(&domain(TENANT, 3)).unwrap().id(b"other"),
        samples::tenant_keys().block_hasher(&other_volume).unwrap().id(b"same"),
        TenantKeys::derive(TENANT, 1, &other_key)
            .block_hasher(&domain(TENANT, 3))
            .unwrap()
            .id(b"same"),
        TenantKeys::derive(Uuid::nil(), 1, &samples::tenant_key())
            .block_hasher(&domain(Uuid::nil(), 3))
            .unwrap()
            .id(b"same"),
        samples::tenant_keys().block_hasher(&other_scope).unwrap().id(b"same"),
        samples::tenant_keys().block_hasher(&shared(TENANT, 3)).unwrap().id(b"same"),
        samples::tenant_keys().block_hasher(&shared(TENANT, 4)).unwrap().id(b"same"),
        TenantKeys::derive(TENANT, 1, &other_key)
            .block_hasher(&shared(TENANT, 3))
            .unwrap()
            .id(b"same"),
    ];
    for (n, a) in ids.iter().enumerate() {
        assert!(ids[n + 1..].iter().all(|b| a != b));
    }
}

/// All chains of a tenant in one epoch are in one domain, so equal blocks have one id there.
#[test]
fn chains_that_share_have_one_domain_and_chains_that_do_not_have_one_each() {
    let chain = Uuid::from_u128;
    let shared = |n| ChainRef::sharing(TENANT, 3, chain(n));
    assert_eq!(shared(1).domain(), shared(2).domain());
    assert_eq!(
        place::claim(&shared(1), 5).as_str(),
        format!("t/{TENANT}/d/t{TENANT}.00000003/c/{}/0000000000000005.claim", chain(1))
    );
    assert_ne!(
        ChainRef::alone(TENANT, 3, chain(1)).domain(),
        ChainRef::alone(TENANT, 3, chain(2)).domain()
    );
    for place in [
        Place::Domain(shared(1).domain()),
        Place::Claim(shared(1), 1),
        Place::Outcome(shared(2), 9),
        Place::Delete(shared(2), 1),
    ] {
        assert_eq!(Place::parse(&place.key()), Some(place));
    }
}

#[test]
fn every_role_has_a_key_of_its_own() {
    let keys = samples::tenant_keys();
    let roles = [Role::Mac, Role::Wrap, Role::Metadata, Role::Maintenance];
    let bytes: Vec<_> = roles.iter().map(|role| keys.role_key(1, *role).unwrap()).collect();
    for (n, a) in bytes.iter().enumerate() {
        assert!(bytes[n + 1..].iter().all(|b| a != b));
    }
    assert!(keys.role_key(1, Role::Plain).is_none());
}

/// P32: no key shows itself.
#[test]
fn keys_do_not_appear_in_debug_output() {
    let bytes = [0xab; 32];
    let master = MasterKey::from_bytes(bytes);
    let shown = format!("{master:?} {:?} {:?}", master.keys(), samples::tenant_key());
    assert!(!shown.contains("ab") && !shown.contains("171"), "{shown}");
    assert_eq!(format!("{:?}", samples::data_pack().index.dek()), "PackDek(..)");
}

#[test]
fn a_master_key_file_is_written_once_for_its_owner_only_and_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("master.key");
    let key = MasterKey::generate(&SeededRandom::new(1));
    key.write_new_file(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let again = MasterKey::read_file(&path).unwrap();
    assert_eq!(again.keys().role_key(0, Role::Mac), key.keys().role_key(0, Role::Mac));
    assert!(key.write_new_file(&path).is_err(), "an existing key is left alone");

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = MasterKey::read_file(&path).unwrap_err().to_string();
    assert!(error.contains("0600"), "{error}");
    let content = std::fs::read_to_string(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    for bad in ["", "cbr-master-key-v1 ", &content[..40], &content.replace("v1", "v2")] {
        std::fs::write(&path, bad).unwrap();
        let error = MasterKey::read_file(&path).unwrap_err().to_string();
        assert!(!error.contains(&content[20..40]), "{error}");
    }
    assert!(MasterKey::read_file(&directory.path().join("absent")).is_err());
}
