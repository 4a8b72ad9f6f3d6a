//! What work in a shared domain asks of the backend, by the number of versions. Counted, never timed.

use std::sync::Arc;

use cbr_store::Repository;
use cbr_store::backend::MemoryBackend;
use cbr_store::backend::layer::{Counting, Counts};

use crate::disk::{BLOCK, Disk, LEAF, assert_restores, backup_as};
use crate::world::{assert_clean, chain, open, options};

const CHAINS: usize = 10;

/// Ten chains, clones of one disk, that have grown to so many versions together.
struct World {
    backend: Arc<MemoryBackend>,
    disks: Vec<Disk>,
    count: u64,
}

impl World {
    fn new() -> Self {
        let mut disk = Disk::new(2 * LEAF);
        disk.write(0..LEAF / 2, 1);
        let disks = vec![disk; CHAINS];
        Self { backend: Arc::new(MemoryBackend::default()), disks, count: 0 }
    }

    /// Backs up the next disk in turn, with one block changed.
    fn backup(&mut self, repository: &Repository) {
        let which = usize::try_from(self.count % CHAINS as u64).unwrap();
        self.count += 1;
        let at = (self.count * 7 % 200) * BLOCK;
        let disk = &mut self.disks[which];
        disk.write(at..at + BLOCK, 100 + self.count);
        let written = at..at + BLOCK;
        let changed = (self.count > CHAINS as u64).then_some(std::slice::from_ref(&written));
        backup_as(repository, &chain(2 + which as u128), "task", disk, changed).unwrap();
    }

    fn grow_to(&mut self, versions: u64) {
        let repository = open(self.backend.clone(), 5 + versions, options());
        while self.count < versions {
            self.backup(&repository);
        }
    }
}

/// What each step asks of the backend.
#[derive(Debug)]
struct Asked {
    /// By a process that has just begun.
    increment: u64,
    prediction: u64,
    /// By one that goes on.
    next_increment: u64,
    next_prediction: u64,
    next_deletion: u64,
    lists: u64,
}

fn total(counts: &Counts) -> u64 {
    let Counts { puts, gets, range_gets, sizes, lists, deletes, .. } = counts;
    puts + gets + range_gets + sizes + lists + deletes
}

fn asked(world: &mut World) -> Asked {
    let counting = Arc::new(Counting::new(world.backend.clone()));
    let repository = open(counting.clone(), 99 + world.count, options());
    let counts = |work: &mut dyn FnMut(&Repository)| {
        let before = counting.counts();
        work(&repository);
        let after = counting.counts();
        (total(&after) - total(&before), after.lists - before.lists)
    };
    let increment = counts(&mut |repository| world.backup(repository)).0;
    let newest = |repository: &Repository, n| {
        let versions = repository.versions(&chain(n)).unwrap();
        versions.last().unwrap().version.seq
    };
    let seq = newest(&repository, 3);
    let predict = |repository: &Repository| {
        repository.predict_delete(&chain(3), &[seq]).unwrap();
    };
    let prediction = counts(&mut |repository| predict(repository)).0;
    let next_increment = counts(&mut |repository| world.backup(repository)).0;
    let next_prediction = counts(&mut |repository| predict(repository)).0;
    // The first looks at all maps; how the next ones grow is what counts.
    repository.delete(&chain(4), &[newest(&repository, 4)]).unwrap();
    let (next_deletion, lists) = counts(&mut |repository| {
        repository.delete(&chain(3), &[seq]).unwrap();
    });
    Asked { increment, prediction, next_increment, next_prediction, next_deletion, lists }
}

/// P24: what goes on with every version – an increment, a prediction, a deletion – asks for as much with
/// 1 000 versions in ten chains as with 10, but for the names that are listed.
#[test]
fn what_a_domain_costs_does_not_grow_with_the_number_of_versions() {
    let mut world = World::new();
    let mut all = Vec::new();
    for versions in [10, 100, 1000] {
        world.grow_to(versions);
        all.push(asked(&mut world));
    }
    let [few, _, many] = all.as_slice() else { panic!("{all:?}") };
    // Each chain has up to 31 records that are not folded yet, and a fold.
    let unfolded = 10 * (31 + 4);
    // What a process does once: it takes packs into the hint, and reads the lists.
    assert!(many.increment <= few.increment + 3 * 1024 + unfolded, "{all:#?}");
    assert!(many.prediction <= few.prediction + 8 * 1000 + unfolded, "{all:#?}");
    // What goes on.
    assert!(many.next_increment <= few.next_increment + unfolded, "{all:#?}");
    assert!(many.next_prediction <= few.next_prediction + unfolded, "{all:#?}");
    assert!(many.next_deletion <= few.next_deletion + unfolded + 60, "{all:#?}");
    assert!(many.lists <= few.lists + 60, "{all:#?}");
    let line = format!("{all:#?}\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    let repository = open(world.backend.clone(), 4, options());
    assert_clean(&repository);
    for (which, disk) in (2..).zip(&world.disks) {
        if let Some(version) = repository.versions(&chain(which)).unwrap().last()
            && ![3, 4].contains(&which)
        {
            assert_restores(&repository, version, disk);
        }
    }
}
