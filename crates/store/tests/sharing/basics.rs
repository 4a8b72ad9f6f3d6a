//! Chains of one tenant that share blocks.

use std::sync::Arc;

use cbr_store::backend::MemoryBackend;
use cbr_store::{ChainRef, Options, Scope};
use uuid::Uuid;

use crate::disk::{BLOCK, Disk, LEAF, assert_restores};
use crate::world::{TENANT, assert_clean, backup, chain, disk, open, options, repository};

#[test]
fn a_cloned_disk_stores_almost_nothing_and_both_restore() {
    let repository = repository();
    let original = disk(4, 1000);
    let (first, one) = backup(&repository, &chain(2), &original);
    assert_eq!(first.borrowed_bytes, 0);
    let mut clone = original.clone();
    clone.write(5 * BLOCK + 9..5 * BLOCK + 4096, 5);
    let (second, two) = backup(&repository, &chain(3), &clone);
    assert!(second.borrowed_bytes > second.changed_bytes * 95 / 100, "{second:?}");
    assert!(second.stored_bytes < first.stored_bytes / 20, "{first:?} {second:?}");
    assert_eq!(
        two.logical_bytes, one.logical_bytes,
        "what a tenant pays does not depend on others"
    );
    assert_restores(&repository, &one, &original);
    assert_restores(&repository, &two, &clone);
    assert_clean(&repository);
    assert_eq!(repository.chains().unwrap(), [chain(2), chain(3)]);
    assert_eq!(repository.catalogue().unwrap().len(), 2);
}

/// I7, BAK-38, BAK-39: an independent full shares nothing; I9, P26: neither do two tenants.
#[test]
fn epochs_tenants_and_scopes_share_nothing() {
    let repository = repository();
    let content = disk(1, 1000);
    let (first, _) = backup(&repository, &chain(2), &content);
    let others = [
        ChainRef { epoch: 1, ..chain(2) },
        ChainRef { tenant: Uuid::from_u128(7), ..chain(2) },
        ChainRef::alone(TENANT, 0, Uuid::from_u128(2)),
    ];
    for other in others {
        let (stats, version) = backup(&repository, &other, &content);
        assert_eq!(stats.borrowed_bytes, 0, "{other}");
        assert!(stats.stored_bytes > first.stored_bytes * 9 / 10, "{other}");
        assert_restores(&repository, &version, &content);
    }
    assert_clean(&repository);
}

/// The content of a block depends on the seed and on its place within 64 blocks.
#[test]
fn blocks_that_repeat_or_moved_are_not_stored_again() {
    let repository = repository();
    let mut content = Disk::new(4 * LEAF);
    content.write(0..3 * LEAF, 1);
    let (first, one) = backup(&repository, &chain(2), &content);
    assert!(first.borrowed_bytes > first.changed_bytes / 2, "{first:?}");
    assert_restores(&repository, &one, &content);
    let before = content.clone();
    content.write(0..LEAF, 2);
    content.write(3 * LEAF..4 * LEAF, 1);
    let (second, two) = backup(&repository, &chain(2), &content);
    assert!(second.borrowed_bytes >= LEAF, "what moved is found: {second:?}");
    assert_restores(&repository, &one, &before);
    assert_restores(&repository, &two, &content);
    assert_clean(&repository);
}

/// A chain stays in the scope in which it began, whatever is configured later.
#[test]
fn only_chains_without_a_log_get_the_configured_scope() {
    let backend = Arc::new(MemoryBackend::default());
    let with = |new_chains| open(backend.clone(), 1, Options { new_chains, ..options() });
    let asked = ChainRef::alone(TENANT, 0, Uuid::from_u128(2));
    let alone = with(Scope::Volume).resolve(&asked).unwrap();
    assert_eq!(alone, asked);
    backup(&with(Scope::Volume), &alone, &disk(1, 1000));
    assert_eq!(with(Scope::Tenant).resolve(&asked).unwrap(), asked);
    let next = ChainRef { epoch: 1, ..asked };
    let shared = with(Scope::Tenant).resolve(&next).unwrap();
    assert_eq!(shared, ChainRef { epoch: 1, ..chain(2) });
    backup(&with(Scope::Tenant), &shared, &disk(1, 1000));
    assert_eq!(with(Scope::Volume).resolve(&next).unwrap(), shared);
}

/// P24: without memory for hints nothing is shared and everything works.
#[test]
fn without_memory_for_hints_everything_is_stored() {
    let options = Options { threads: 1, dedup_ram_bytes: 0, ..Options::default() };
    let repository = open(Arc::new(MemoryBackend::default()), 1, options);
    let content = disk(1, 1000);
    for n in 2..4 {
        let (stats, version) = backup(&repository, &chain(n), &content);
        assert_eq!(stats.borrowed_bytes, 0);
        assert_restores(&repository, &version, &content);
    }
}
