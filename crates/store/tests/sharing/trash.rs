//! What is in the trash lends blocks, and is needed by whoever borrows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cbr_store::backend::MemoryBackend;
use cbr_store::{ChainRef, Error, Repository};

use crate::disk::{BLOCK, LEAF, assert_restores};
use crate::world::{assert_clean, backup, chain, disk, open, options, shared_objects};

/// Sealed bytes that these versions point to, and the lists of their lines.
fn reachable(backend: &MemoryBackend, kept: &[(u128, &[u64])]) -> u64 {
    let kept: BTreeMap<ChainRef, BTreeSet<u64>> =
        kept.iter().map(|(n, seqs)| (chain(*n), seqs.iter().copied().collect())).collect();
    let objects = shared_objects(backend).unwrap();
    objects.reachable(&kept).iter().map(|(_, _, _, bytes)| u64::from(*bytes)).sum()
}

/// I5: what a purge frees was foreseen, and is what the maps say.
fn purge(
    (repository, backend): (&Repository, &MemoryBackend),
    n: u128,
    before: &[(u128, &[u64])],
    after: &[(u128, &[u64])],
) {
    let seqs: Vec<u64> =
        repository.trashed(&chain(n)).unwrap().iter().map(|info| info.version.seq).collect();
    let expected = reachable(backend, before) - reachable(backend, after);
    assert_eq!(repository.trash_bytes(&chain(n)).unwrap(), expected, "foreseen");
    let freed = repository.purge(&chain(n), &seqs, None, "test").unwrap();
    assert_eq!(freed.freed_bytes, expected, "freed");
}

/// P7, P9, I4, I5, I6.
#[test]
fn a_lender_in_the_trash_keeps_what_it_lends_and_comes_back_whole() {
    let backend = Arc::new(MemoryBackend::default());
    let repository = open(backend.clone(), 1, options());
    let original = disk(1, 1000);
    let (_, lender) = backup(&repository, &chain(2), &original);
    let (stats, borrower) = backup(&repository, &chain(3), &original);
    assert!(stats.borrowed_bytes > LEAF / 2, "{stats:?}");

    repository.trash(&chain(2), &[1], None, "test").unwrap();
    repository.reclaim(&chain(3)).unwrap();
    assert_restores(&repository, &borrower, &original);
    let read = repository.open_disk(&lender.version);
    assert!(matches!(read, Err(Error::InTrash { .. })), "{read:?}");
    // A third disk borrows while the lender is in the trash; then the lender comes back.
    let mut third = original.clone();
    third.write(5 * BLOCK..6 * BLOCK, 77);
    let (_, late) = backup(&repository, &chain(4), &third);
    assert_clean(&repository);
    repository.undelete(&chain(2), &[1], None, "test").unwrap();
    assert_restores(&repository, &lender, &original);
    assert_restores(&repository, &late, &third);

    // The lender goes for good; what others borrow of it stays.
    let world = (&repository, backend.as_ref());
    repository.trash(&chain(2), &[1], None, "test").unwrap();
    purge(world, 2, &[(2, &[1]), (3, &[1]), (4, &[1])], &[(3, &[1]), (4, &[1])]);
    assert_restores(&repository, &borrower, &original);
    assert_restores(&repository, &late, &third);
    // A borrower in the trash keeps it as well.
    repository.trash(&chain(3), &[1], None, "test").unwrap();
    repository.delete(&chain(4), &[1]).unwrap();
    assert_clean(&repository);
    repository.undelete(&chain(3), &[1], None, "test").unwrap();
    assert_restores(&repository, &borrower, &original);
    repository.trash(&chain(3), &[1], None, "test").unwrap();
    purge(world, 3, &[(3, &[1])], &[]);
    assert_eq!(shared_objects(&backend).unwrap().stored(), BTreeSet::new(), "nothing is left");
}
