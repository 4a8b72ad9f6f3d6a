//! Whole objects. Nobody without the keys can make one that opens (P4, P31); and if somebody could,
//! its tables still break nothing.

use std::sync::{Arc, LazyLock};

use cbr_env::{Random, SeededRandom};
use cbr_store::backend::{Backend, Key, MemoryBackend, Put};
use cbr_store::crypto::{KeyRing, MasterKey, MasterKeys, TenantKey, TenantKeys};
use cbr_store::format::envelope::{
    FOOTER_BYTES_MAX, ObjectKind, Reader, SectionType, Tail, Writer,
};
use cbr_store::format::id::{PackId, PackKind, PackRef, SessionNonce};
use cbr_store::format::pack::{PackIndex, Patch};
use cbr_store::format::place::{self, Place};
use cbr_store::{ChainRef, Options, Repository};
use uuid::Uuid;

use crate::{choice, golden};

/// The keys and the places of the golden objects.
struct Vault {
    master: MasterKeys,
    tenant: TenantKeys,
    objects: Vec<(ObjectKind, Key, Vec<u8>)>,
}

const TENANT: Uuid = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);

static VAULT: LazyLock<Vault> = LazyLock::new(|| Vault {
    master: MasterKey::from_bytes([0x11; 32]).keys(),
    tenant: TenantKeys::derive(TENANT, 1, &TenantKey::generate(&SeededRandom::new(1))),
    objects: golden().into_iter().filter_map(|(_, key, bytes)| object(key?, bytes)).collect(),
});

fn object(key: &str, bytes: Vec<u8>) -> Option<(ObjectKind, Key, Vec<u8>)> {
    let key = Key::new(key.to_owned()).ok()?;
    let kind = match Place::parse(&key)? {
        Place::Descriptor | Place::DescriptorOf(_) => ObjectKind::Descriptor,
        Place::TenantKey(..) | Place::TenantKeyBy(..) => ObjectKind::TenantKey,
        Place::MaintenanceRing(..) => ObjectKind::MaintenanceRing,
        Place::Shredded(..) => ObjectKind::Shredded,
        Place::Domain(_) => ObjectKind::Domain,
        Place::Pack(pack, _) => pack_kind(pack.kind),
        Place::Patch(pack, _) => patch_kind(pack.kind),
        Place::Claim(..) => ObjectKind::Claim,
        Place::Outcome(..) => ObjectKind::Outcome,
        Place::Delete(..) => ObjectKind::Delete,
        Place::Fold(..) => ObjectKind::Fold,
        Place::Retire(..) => ObjectKind::Retire,
        Place::RetireFold(..) => ObjectKind::RetireFold,
        Place::Note(..) => ObjectKind::Note,
    };
    Some((kind, key, bytes))
}

fn pack_kind(kind: PackKind) -> ObjectKind {
    if kind == PackKind::Data { ObjectKind::DataPack } else { ObjectKind::MetaPack }
}

fn patch_kind(kind: PackKind) -> ObjectKind {
    if kind == PackKind::Data { ObjectKind::DataPatch } else { ObjectKind::MetaPatch }
}

impl Vault {
    /// As a whole, and what it contains: the place is bound to the sealed sections.
    fn opens(&self, kind: ObjectKind, key: &Key, bytes: &[u8]) -> bool {
        let opens_with = |keys: &dyn KeyRing| {
            Reader::open(bytes, kind, key, keys).is_ok_and(|reader| {
                let opens = |section| reader.section(section, key, keys).is_ok();
                [SectionType::Record, SectionType::Layout]
                    .into_iter()
                    .all(|section| reader.stored(section).is_err() || opens(section))
            })
        };
        opens_with(&self.master) || opens_with(&self.tenant)
    }
}

/// The first byte names a golden object, whose place and kind the bytes pretend to have.
pub(crate) fn run(bytes: &[u8]) {
    let vault = &*VAULT;
    let (which, bytes) = choice(bytes, vault.objects.len());
    let (kind, key, _) = &vault.objects[which];
    // Some places have several golden objects: of a chain alone, and of one with a trash.
    let is_golden = vault.objects.iter().any(|one| one.1 == *key && one.2 == bytes);
    assert_eq!(vault.opens(*kind, key, bytes), is_golden, "{key} was forged");
    let tail = &bytes[bytes.len().saturating_sub(FOOTER_BYTES_MAX)..];
    let read = Tail::read(bytes.len() as u64, tail, *kind, key, &vault.tenant);
    if let Ok(tail) = read {
        for section in [SectionType::Record, SectionType::Layout, SectionType::Identity] {
            if let Ok(listed) = tail.find(section) {
                assert!(listed.offset.checked_add(listed.length) <= Some(bytes.len() as u64));
            }
        }
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let objects = VAULT.objects.iter();
    (0..=u8::MAX).zip(objects).map(|(which, (.., bytes))| [&[which], &bytes[..]].concat()).collect()
}

fn pack(kind: PackKind) -> PackRef {
    let chain = ChainRef::alone(TENANT, 3, Uuid::from_u128(7));
    PackRef { domain: chain.domain(), kind, id: PackId::new(SessionNonce([0xa5; 12]), 7) }
}

/// Three tables, each behind its length: as if somebody with the keys had written them.
pub(crate) fn run_tables(bytes: &[u8]) {
    let (which, mut rest) = choice(bytes, 4);
    let mut next = || {
        let length =
            rest.split_off(..2).map_or(0, |l| usize::from(u16::from_le_bytes([l[0], l[1]])));
        rest.split_off(..length.min(rest.len())).unwrap_or_default().to_vec()
    };
    let (layout, identity, healed) = (next(), next(), next());
    let slots = vec![7; 1000];
    let kind = if which.is_multiple_of(2) { PackKind::Data } else { PackKind::Meta };
    let (pack, is_patch) = (pack(kind), which > 1);
    let (key, object_kind) = if is_patch {
        (place::patch(&pack, 1), patch_kind(kind))
    } else {
        (place::pack(&pack, 1), pack_kind(kind))
    };
    let keys = &VAULT.tenant;
    let mut writer = Writer::new(object_kind, keys, &SeededRandom::new(9))
        .section(SectionType::Slots, slots)
        .section(SectionType::Layout, layout)
        .section(SectionType::Identity, identity)
        .section(SectionType::Dek, vec![3; 32]);
    if is_patch {
        writer = writer.section(SectionType::Healed, healed);
    }
    let object = writer.finish(&key);
    let backend = MemoryBackend::default();
    assert_eq!(backend.put_new(&key, &[&object]).unwrap(), Put::Created);
    if is_patch {
        let whole = Patch::open(&object, &pack, 1, keys);
        let end = Patch::read(&backend, &pack, 1, keys);
        assert_eq!(whole.is_ok(), end.is_ok());
    } else {
        let whole = PackIndex::open(&object, &pack, 1, keys);
        let end = PackIndex::read(&backend, &pack, 1, keys);
        assert_eq!(whole.is_ok(), end.is_ok());
        if let Ok(index) = whole {
            let end = |entry: &cbr_store::format::pack::SlotEntry| {
                entry.offset + u64::from(entry.stored_bytes)
            };
            assert!(index.slots().iter().all(|entry| end(entry) <= object.len() as u64));
            assert!(
                index.slots().iter().all(|one| index.ids(one).len() == usize::from(one.blocks))
            );
        }
    }
}

pub(crate) fn table_seeds() -> Vec<Vec<u8>> {
    let table =
        |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_le_bytes()[..], bytes].concat();
    // One slot of 1000 bytes with one block: number, bytes, blocks; codec, plain length, id.
    let layout = [1, 0, 0xe8, 0x07, 1];
    let identity = [&[0, 0xb8, 0x07][..], &[5; 32]].concat();
    let healed = [&[1, b'x', 1, 0, 1][..]].concat();
    let tables = [table(&layout), table(&identity), table(&healed)].concat();
    (0..4).map(|which| [&[which], &tables[..]].concat()).collect()
}

/// Opens a place with these objects, whatever they are.
pub(crate) fn open_anyhow(backend: Arc<dyn Backend>) {
    let random: Arc<dyn Random> = Arc::new(SeededRandom::new(11));
    let master = MasterKey::from_bytes([0x11; 32]);
    let options = Options { threads: 0, ..Options::default() };
    let opened = Repository::open(backend, master, random, options);
    if let Ok(repository) = opened {
        let _ = repository.catalogue();
    }
}
