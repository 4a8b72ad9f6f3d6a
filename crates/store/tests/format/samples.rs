//! Values of every kind, the same at every run.

use cbr_env::{RandomExt, SeededRandom};
use cbr_store::ChainRef;
use cbr_store::backend::Key;
use cbr_store::crypto::{BlockId, MasterKey, MasterKeys, TenantKey, TenantKeys};
use cbr_store::format::BLOCK_BYTES;
use cbr_store::format::deaths::Deaths;
use cbr_store::format::frame::Codec;
use cbr_store::format::id::{PackId, PackKind, PackRef, Scope, SessionNonce, SlotRef};
use cbr_store::format::node::{Child, Content, Extent, Inner, Leaf, node_hash};
use cbr_store::format::pack::{PackBuilder, SealedPack};
use cbr_store::format::place;
use cbr_store::format::record::{
    Abort, Claim, Commit, Deed, Delete, Descriptor, Domain, Fold, FoldedMove, FoldedSession, Note,
    Outcome, PackSummary, Probe, Record, Root, Shredded,
};
use uuid::Uuid;

pub(crate) const TENANT: Uuid = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
pub(crate) const CHAIN: ChainRef =
    ChainRef::alone(TENANT, 3, Uuid::from_u128(0xfedc_ba98_7654_3210_fedc_ba98_7654_3210));

pub(crate) fn master_keys() -> MasterKeys {
    MasterKey::from_bytes([0x11; 32]).keys()
}

pub(crate) fn tenant_key() -> TenantKey {
    TenantKey::generate(&SeededRandom::new(1))
}

pub(crate) fn tenant_keys() -> TenantKeys {
    TenantKeys::derive(TENANT, 1, &tenant_key())
}

pub(crate) fn session() -> SessionNonce {
    SessionNonce([0xa5; 12])
}

pub(crate) fn pack_ref(kind: PackKind) -> PackRef {
    PackRef { domain: CHAIN.domain(), kind, id: PackId::new(session(), 7) }
}

pub(crate) fn slot(pack: u32, slot: u32, birth: u64) -> SlotRef {
    SlotRef { pack: PackId::new(session(), pack), slot, birth, stored_bytes: 1000 + slot }
}

pub(crate) fn leaf() -> Leaf {
    let data =
        |start, run, slot, first| Extent { start, run, content: Content::Data { slot, first } };
    let extents = vec![
        data(0, 16, slot(1, 0, 5), 0),
        data(16, 3, slot(1, 1, 5), 0),
        Extent { start: 19, run: 2, content: Content::Bad },
        data(21, 1, slot(2, 300, 6), 0),
        data(200, 9, slot(1, 1, 5), 7),
        data(255, 1, slot(0, 70_000, u64::MAX), 15),
    ];
    Leaf { extents }
}

pub(crate) fn inner() -> Inner {
    let child =
        |n: u32| Child { slot: slot(n, 2 * n, n.into()), hash: node_hash(&n.to_le_bytes()) };
    Inner {
        level: 2,
        children: vec![(0, child(4)), (1, child(1)), (77, child(4)), (255, child(9))],
    }
}

pub(crate) fn deaths() -> Deaths {
    let mut dead = vec![
        (PackKind::Data, slot(1, 0, 5)),
        (PackKind::Data, slot(1, 1, 6)),
        (PackKind::Data, slot(9, 1, 2)),
        (PackKind::Meta, slot(1, 1, 6)),
    ];
    dead.sort_unstable();
    Deaths { dead }
}

pub(crate) fn descriptor() -> Descriptor {
    let probe = |name: &str, holds| Probe { name: name.to_owned(), holds };
    let probes = vec![probe("it works", true), probe("it flies", false)];
    Descriptor { store: Uuid::from_u128(42), incompat: 0, ro_compat: 0, probes }
}

/// As a repository has it whose store overwrites.
pub(crate) fn arbitrated() -> Descriptor {
    Descriptor { ro_compat: Descriptor::ARBITRATED, ..descriptor() }
}

pub(crate) fn arbitrated_object() -> (Key, Vec<u8>) {
    let key = place::descriptor();
    let bytes = arbitrated().seal(&key, &master_keys(), &SeededRandom::new(6));
    (key, bytes)
}

pub(crate) fn note() -> Note {
    Note { owner: "task 18".to_owned(), content: b"{\"it is\": \"elsewhere\"}".to_vec() }
}

pub(crate) fn note_object() -> (Key, Vec<u8>) {
    let key = place::note(TENANT, Uuid::from_u128(77), 300);
    let bytes = note().seal(&key, &tenant_keys(), &SeededRandom::new(8));
    (key, bytes)
}

pub(crate) fn claim() -> Claim {
    let (owner, node) = ("task 17".to_owned(), "knoten-ä".to_owned());
    Claim { nonce: session(), parent: Some(4), owner, node, retired: None }
}

pub(crate) fn commit() -> Outcome {
    let summary = |kind, counter, object_bytes| PackSummary {
        kind,
        id: PackId::new(session(), counter),
        object_bytes,
    };
    let (_, child) = inner().children[0];
    Outcome::Commit(Box::new(Commit {
        nonce: session(),
        parent: Some((4, [9; 32])),
        root: Root { height: 2, node: Some(child) },
        disk_bytes: 8 << 30,
        logical_bytes: 123_456_789,
        used_bytes: 1_600_000_000,
        added_bytes: 77_777,
        packs: vec![summary(PackKind::Data, 0, 67_000_000), summary(PackKind::Meta, 1, 4_000)],
        deaths: vec![slot(1, 3, 5), slot(1, 4, 5)],
        death_totals: vec![(0, 12), (3, 1 << 40)],
        borrowed: None,
        card: b"a card".to_vec(),
    }))
}

pub(crate) fn abort() -> Outcome {
    let (by, reason) = ("sweep".to_owned(), "its owner is gone".to_owned());
    Outcome::Abort(Abort { nonce: session(), by, reason })
}

pub(crate) fn delete() -> Delete {
    Delete { seqs: vec![0, 1, 127, 128, u64::MAX], by: "task 18".to_owned(), deed: Deed::Delete }
}

/// What is done with the trash.
pub(crate) fn trash(deed: Deed) -> Delete {
    Delete { seqs: vec![3, 300], by: "task 19".to_owned(), deed }
}

/// A fold of a log with a trash.
pub(crate) fn fold_with_trash() -> Fold {
    let moved = |seq, record, is_trashed| FoldedMove { seq, record, is_trashed };
    Fold { deletes: 300, moved: vec![moved(3, 2, true), moved(299, 300, false)], ..fold() }
}

/// Two sessions and three delete records.
pub(crate) fn fold() -> Fold {
    let session = |outcome: Outcome, hash| FoldedSession {
        claim: claim(),
        outcome: FoldedSession::shorten(&outcome),
        hash,
    };
    let sessions = vec![session(commit(), Some([7; 32])), session(abort(), None)];
    Fold { sessions, deletes: 3, deleted: vec![1, 2, 300], moved: Vec::new() }
}

/// A fold as an object: it is not among [`objects`], whose golden file is older.
pub(crate) fn fold_object() -> (Key, Vec<u8>) {
    let key = place::fold(&CHAIN, (2, 3));
    let bytes = fold().seal(&key, &tenant_keys(), &SeededRandom::new(5));
    (key, bytes)
}

pub(crate) fn domain() -> Domain {
    Domain { scope: Scope::Volume, epoch: 3 }
}

/// A pack with two slots of three and one blocks; nothing in it depends on zstd's version.
pub(crate) fn data_pack() -> SealedPack {
    let (keys, random) = (tenant_keys(), SeededRandom::new(2));
    let hasher = keys.block_hasher(&CHAIN.domain()).expect("a whole key");
    let mut builder = PackBuilder::new(pack_ref(PackKind::Data), &keys, &random);
    for (n, blocks) in [(1u8, 3), (2, 1)] {
        let plain = vec![n; blocks * BLOCK_BYTES];
        let ids: Vec<BlockId> = plain.chunks(BLOCK_BYTES).map(|block| hasher.id(block)).collect();
        let plain_len = u32::try_from(plain.len()).expect("a few blocks");
        builder.append(Codec::None, plain_len, &plain, &ids).expect("a valid slot");
    }
    builder.finish(0, &keys)
}

/// A small pack of map nodes.
pub(crate) fn meta_pack() -> SealedPack {
    let (keys, random) = (tenant_keys(), SeededRandom::new(3));
    let hasher = keys.block_hasher(&CHAIN.domain()).expect("a whole key");
    let mut builder = PackBuilder::new(pack_ref(PackKind::Meta), &keys, &random);
    for node in [leaf().encode(), inner().encode(), deaths().encode()] {
        let plain_len = u32::try_from(node.len()).expect("a small node");
        builder.append(Codec::None, plain_len, &node, &[hasher.id(&node)]).expect("a valid slot");
    }
    builder.finish(5, &keys)
}

pub(crate) fn bytes_of(pack: &SealedPack) -> Vec<u8> {
    pack.parts().concat()
}

/// One object of each kind: name, key, bytes.
pub(crate) fn objects() -> Vec<(&'static str, Key, Vec<u8>)> {
    let (master, keys, random) = (master_keys(), tenant_keys(), SeededRandom::new(4));
    let seal = |name, key: Key, record: &dyn Fn(&Key) -> Vec<u8>| {
        let bytes = record(&key);
        (name, key, bytes)
    };
    let meta = meta_pack();
    vec![
        seal("descriptor", place::descriptor(), &|k| descriptor().seal(k, &master, &random)),
        seal("tenant-key", place::tenant_key(TENANT, 1), &|k| {
            tenant_key().seal(k, &master, &random)
        }),
        seal("domain", place::domain_record(&CHAIN.domain()), &|k| {
            domain().seal(k, &keys, &random)
        }),
        seal("claim", place::claim(&CHAIN, 5), &|k| claim().seal(k, &keys, &random)),
        seal("commit", place::outcome(&CHAIN, 5), &|k| commit().seal(k, &keys, &random)),
        seal("abort", place::outcome(&CHAIN, 6), &|k| abort().seal(k, &keys, &random)),
        seal("delete", place::delete(&CHAIN, 1), &|k| delete().seal(k, &keys, &random)),
        ("meta-pack", meta.key.clone(), bytes_of(&meta)),
    ]
}

/// What rotation, maintenance and destruction of keys put: name, key, bytes.
pub(crate) fn key_objects() -> Vec<(&'static str, Key, Vec<u8>)> {
    let (master, random) = (master_keys(), SeededRandom::new(5));
    let seal = |name, key: Key, record: &dyn Fn(&Key) -> Vec<u8>| {
        let bytes = record(&key);
        (name, key, bytes)
    };
    vec![
        seal("descriptor", place::descriptor_of(2), &|k| descriptor().seal(k, &master, &random)),
        seal("tenant-key", place::tenant_key_by(TENANT, 3, 2), &|k| {
            tenant_key().seal(k, &master, &random)
        }),
        seal("maintenance-ring", place::maintenance_ring(TENANT, 3, 2), &|k| {
            tenant_key().seal_maintenance_ring(k, &master, &random)
        }),
        seal("shredded", place::shredded(TENANT, 2), &|k| {
            Shredded { by: "admin".to_owned() }.seal(k, &master, &random)
        }),
    ]
}

/// Random bytes that are the same at every run.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let random = SeededRandom::new(seed);
    (0..length.div_ceil(32)).flat_map(|_| random.bytes::<32>()).take(length).collect()
}
