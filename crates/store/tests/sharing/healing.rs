//! Damage in a domain whose chains share blocks: who has the same block gives it back (P5).

use std::sync::Arc;

use cbr_store::backend::{Backend, BackendExt, Key, MemoryBackend};
use cbr_store::format::id::PackKind;
use cbr_store::format::place::Place;
use cbr_store::{CheckDepth, Job, Options, Spot};

use crate::disk::assert_restores;
use crate::world::{assert_clean, backup, chain, disk, open, options};

fn data_packs(memory: &MemoryBackend) -> Vec<Key> {
    let is_data = |key: &Key| match Place::parse(key) {
        Some(Place::Pack(pack, _)) => pack.kind == PackKind::Data,
        _ => false,
    };
    let listed = memory.list_all("t/").unwrap().into_iter();
    listed.map(|entry| entry.key).filter(is_data).collect()
}

/// P5: a disk of which nothing changed, and whose chain does not point to what is damaged, is read
/// where another chain points to it: it may be a clone that was stored on its own.
#[test]
fn an_increment_of_a_clone_heals_what_only_the_original_points_to() {
    let memory = Arc::new(MemoryBackend::default());
    let content = disk(1, 1000);
    let (_, original) = backup(&open(memory.clone(), 1, options()), &chain(2), &content);
    let packs = data_packs(&memory);
    // Without memory for hints the clone shares nothing.
    let alone = Options { dedup_ram_bytes: 0, ..options() };
    let (stats, clone) = backup(&open(memory.clone(), 2, alone), &chain(3), &content);
    assert_eq!(stats.borrowed_bytes, 0);

    let mut wrong = memory.get(&packs[0]).unwrap().unwrap();
    wrong[100] ^= 4;
    memory.overwrite(&packs[0], wrong);
    let repository = open(memory.clone(), 3, options());
    let report = repository.check(CheckDepth::ReadData, &Job::quiet()).unwrap();
    let hurt: Vec<_> = report.problems.iter().flat_map(|problem| &problem.affected).collect();
    assert!(!hurt.is_empty() && hurt.iter().all(|one| one.version == original.version), "{hurt:?}");
    let known: Vec<Spot> = report.problems.iter().filter_map(|problem| problem.spot).collect();

    let mut session = repository.begin(&chain(3), "an increment").unwrap();
    session.distrust(&known);
    let stats = session.write(&content, Some(&[]), &Job::quiet()).unwrap();
    session.commit(b"a card").unwrap();
    assert!(stats.healed_bytes > 0 && stats.read_bytes < content.size / 2, "{stats:?}");
    assert_restores(&repository, &original, &content);
    assert_restores(&repository, &clone, &content);
    assert_clean(&repository);
}
