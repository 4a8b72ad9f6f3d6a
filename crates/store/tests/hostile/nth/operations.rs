//! The public operations of the engine, as a table.
//!
//! Each is written as its task runs it: it may be called again, and then looks first what was done.
//! Not here: whom an arbiter helps (`tests/arbitrated.rs`), maintenance keys (`keys.rs`).

use std::sync::{Arc, LazyLock};

use cbr_store::backend::Op;
use cbr_store::backend::layer::Faulty;
use cbr_store::format::place::Place;
use cbr_store::{Error, Job, Result};

use super::process::{Process, Seen, in_domain, new_master};
use super::starts::{self, Objects, SHARING, Start, newest};
use super::{backups, questions};
use crate::world::{CHAIN, Disk};

/// The one that may succeed without having done all it could.
pub(super) const HEALING: &str = "a backup that heals";

type Run = fn(&Process) -> Result<()>;

/// One operation.
pub(super) struct Operation {
    pub(super) name: &'static str,
    /// What is there before.
    pub(super) start: &'static LazyLock<Start>,
    /// Does it, or does it again.
    pub(super) run: Run,
    /// What it makes of the versions.
    change: fn(&mut Vec<Option<Disk>>),
    /// Whether the objects before and after show that it did what it is named for.
    shows: fn(&Objects, &Objects) -> bool,
}

impl Operation {
    pub(super) fn before_and_after(&self) -> (Seen, Seen) {
        let before = self.start.seen.clone();
        let mut after = before.clone();
        (self.change)(&mut after.0);
        (before, after)
    }

    /// How many calls of a kind it makes when nothing fails; and it does what it is named for.
    pub(super) fn calls(&self, op: Op) -> u64 {
        let memory = Arc::new(self.start.backend());
        let faulty = Arc::new(Faulty::new(memory.clone()));
        faulty.only(op);
        let name = self.name;
        (self.run)(&Process::new(faulty.clone(), 503)).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        let calls = faulty.calls();
        let after = memory.snapshot();
        assert!((self.shows)(&self.start.objects, &after), "{name} does nothing of the kind");
        assert!(Process::new(memory, 504).seen() == self.before_and_after().1, "{name}");
        calls
    }
}

/// The operations that change something.
pub(super) fn changing() -> Vec<Operation> {
    [of_backups(), of_deletions(), of_the_trash(), of_repairs(), of_keys(), of_notes()]
        .into_iter()
        .flatten()
        .collect()
}

fn of_backups() -> Vec<Operation> {
    vec![
        Operation {
            name: "making a repository",
            start: &starts::NOTHING,
            run: |process| process.repository().map(drop),
            change: |_| {},
            shows: |_, after| count(after, |place| matches!(place, Place::Descriptor)) == 1,
        },
        Operation {
            name: "a first backup",
            start: &starts::NOTHING,
            run: |process| backups::task(process, &CHAIN, &Disk::of(&[1, 2, 0, 3])),
            change: |seen| seen.push(Some(Disk::of(&[1, 2, 0, 3]))),
            shows: |before, after| packs(after) > packs(before),
        },
        Operation {
            name: "an increment, and a fold",
            start: &starts::FOUR,
            run: |process| backups::task(process, &CHAIN, &newest().with(0, 50).with(6, 0)),
            change: |seen| seen.push(Some(newest().with(0, 50).with(6, 0))),
            shows: |before, after| {
                let new = after.keys().filter(|key| !before.contains_key(*key));
                new.filter(|key| matches!(Place::parse(key), Some(Place::Fold(..)))).count() > 0
                    && packs(after) > packs(before)
            },
        },
        Operation {
            name: "a backup that is given up",
            start: &starts::FOUR,
            run: |process| backups::given_up(process, &newest().with(0, 50)),
            change: |_| {},
            shows: |before, after| packs(after) == packs(before) && after.len() > before.len(),
        },
        Operation {
            name: "ending a dead session",
            start: &starts::DEAD_SESSION,
            run: |process| process.repository()?.abort_unfinished(&CHAIN, "dead"),
            change: |_| {},
            shows: |before, after| packs(after) < packs(before),
        },
        Operation {
            name: "a backup that shares blocks with another disk",
            start: &starts::SHARED,
            run: |process| backups::task(process, &SHARING[1], &Disk::of(&[1, 200, 2, 3, 61])),
            change: |seen| seen.push(Some(Disk::of(&[1, 200, 2, 3, 61]))),
            shows: |before, after| packs(after) > packs(before),
        },
    ]
}

fn of_deletions() -> Vec<Operation> {
    vec![
        Operation {
            name: "deleting versions in the middle",
            start: &starts::FOUR,
            run: |process| process.repository()?.delete(&CHAIN, &[2, 3]).map(drop),
            change: |seen| drop(seen.drain(1..3)),
            shows: is_deleted,
        },
        Operation {
            name: "deleting the newest version",
            start: &starts::FOUR,
            run: |process| process.repository()?.delete(&CHAIN, &[4]).map(drop),
            change: |seen| drop(seen.pop()),
            shows: is_deleted,
        },
        Operation {
            name: "a sweep that removes and compacts",
            start: &starts::DELETED,
            run: |process| process.repository()?.reclaim(&CHAIN).map(drop),
            change: |_| {},
            shows: |_, after| count(after, |one| matches!(one, Place::Pack(_, 1..))) > 0,
        },
        Operation {
            name: "a planned sweep",
            start: &starts::DELETED,
            run: |process| {
                let repository = process.repository()?;
                let mut plan = repository.plan_reclaim(Some(&CHAIN))?;
                match plan.blocked.pop() {
                    Some((_, error)) => Err(error),
                    None => repository.execute(&plan, false, &Job::quiet()).map(drop),
                }
            },
            change: |_| {},
            shows: |_, after| count(after, |one| matches!(one, Place::Pack(_, 1..))) > 0,
        },
        Operation {
            name: "deleting a version that lends blocks",
            start: &starts::SHARED,
            run: |process| process.repository()?.delete(&SHARING[0], &[1]).map(drop),
            change: |seen| drop(seen.remove(0)),
            shows: is_deleted,
        },
        Operation {
            name: "sweeping a domain that is shared",
            start: &starts::SHARED_DELETED,
            run: |process| process.repository()?.reclaim(&SHARING[1]).map(drop),
            change: |_| {},
            shows: |before, after| after.keys().ne(before.keys()),
        },
    ]
}

fn of_the_trash() -> Vec<Operation> {
    vec![
        Operation {
            name: "putting versions into the trash",
            start: &starts::FOUR,
            run: |process| process.repository()?.trash(&CHAIN, &[2, 3], None, "task"),
            change: |seen| drop(seen.drain(1..3)),
            shows: is_deleted,
        },
        Operation {
            name: "taking versions back from the trash",
            start: &starts::TRASHED,
            run: |process| process.repository()?.undelete(&CHAIN, &[2, 3], None, "task"),
            change: |seen| seen.clone_from(&starts::FOUR.seen.0),
            shows: is_deleted,
        },
        Operation {
            name: "purging the trash",
            start: &starts::TRASHED,
            run: |process| process.repository()?.purge(&CHAIN, &[2, 3], None, "task").map(drop),
            change: |_| {},
            shows: is_deleted,
        },
    ]
}

fn of_repairs() -> Vec<Operation> {
    vec![
        Operation {
            name: HEALING,
            start: &starts::DAMAGED,
            run: |process| backups::healing(process, &starts::before_the_damage()),
            change: |seen| {
                seen[0] = Some(Disk::of(&[1, 2, 3, 4]));
                seen[1] = Some(Disk::of(&[1, 2, 3, 4]).with(3, 60));
                seen.push(Some(starts::before_the_damage()));
            },
            shows: |_, after| count(after, |one| matches!(one, Place::Patch(..))) > 0,
        },
        Operation {
            name: "a repair from a second copy",
            start: &starts::DAMAGED_TWICE,
            run: |process| {
                let repository = process.repository()?;
                let plan = repository.plan_repair(&Job::quiet())?;
                repository.repair(&plan, "r1")?;
                questions::is_clean(repository).map(drop)
            },
            change: |seen| seen.clone_from(&starts::REPAIRED.seen.0),
            shows: |_, after| count(after, |one| matches!(one, Place::Patch(..))) > 0,
        },
        Operation {
            name: "undoing a repair",
            start: &starts::REPAIRED,
            run: |process| match process.repository()?.undo_repair("r1") {
                // Somebody has done it.
                Err(Error::Invalid { .. }) => Ok(()),
                undone => undone.map(drop),
            },
            change: |seen| seen.clone_from(&starts::DAMAGED_TWICE.seen.0),
            shows: |_, after| count(after, |one| matches!(one, Place::Patch(..))) == 0,
        },
    ]
}

fn of_keys() -> Vec<Operation> {
    vec![
        Operation {
            name: "giving a tenant a new key",
            start: &starts::FOUR,
            run: |process| process.repository()?.rotate_tenant(CHAIN.tenant).map(drop),
            change: |_| {},
            shows: |_, after| count(after, |one| matches!(one, Place::TenantKey(_, 2))) > 0,
        },
        Operation {
            name: "giving the repository a second master key",
            start: &starts::FOUR,
            run: |process| process.repository()?.rotate_master(&new_master()).map(drop),
            change: |_| {},
            shows: |_, after| count(after, |one| matches!(one, Place::DescriptorOf(_))) > 0,
        },
        Operation {
            name: "changing the master key",
            start: &starts::FOUR,
            run: |process| process.repository()?.retire_master(&new_master()),
            change: |_| {},
            shows: |_, after| count(after, |one| matches!(one, Place::Descriptor)) == 0,
        },
        Operation {
            name: "preparing for a maintenance key",
            start: &starts::WITHOUT_RINGS,
            run: |process| process.repository()?.prepare_maintenance().map(drop),
            change: |_| {},
            shows: |_, after| count(after, |one| matches!(one, Place::MaintenanceRing(..))) > 0,
        },
        Operation {
            name: "destroying a tenant's keys and data",
            start: &starts::FOUR,
            run: |process| {
                let repository = process.repository()?;
                repository.shred_tenant(CHAIN.tenant, "it left")?;
                repository.remove_shredded(CHAIN.tenant).map(drop)
            },
            change: Vec::clear,
            shows: |_, after| after.keys().all(|key| !in_domain(key)),
        },
    ]
}

fn of_notes() -> Vec<Operation> {
    vec![Operation {
        name: "keeping a note",
        start: &starts::NOTED,
        run: |process| {
            let repository = process.repository()?;
            repository.note(CHAIN.tenant, CHAIN.chain, "task 2", b"second")?;
            questions::notes(repository, 2)
        },
        change: |_| {},
        shows: |_, after| count(after, |one| matches!(one, Place::Note(..))) == 2,
    }]
}

/// The operations that only read.
pub(super) fn reading() -> Vec<Operation> {
    let table: [(&'static str, Run); 8] = [
        ("a restore", |process| questions::restore(process.repository()?)),
        ("random reads", |process| questions::read(process.repository()?)),
        ("a check", |process| questions::check(process.repository()?)),
        ("verifying a version", |process| questions::verify(process.repository()?)),
        ("a whole scrub", |process| questions::scrub(process.repository()?)),
        ("a recount", |process| questions::audit(process.repository()?)),
        ("lists and sizes", |process| questions::list(process.repository()?)),
        ("looking for repairs", |process| questions::plan(process.repository()?)),
    ];
    let operation = |(name, run)| Operation {
        name,
        start: &starts::FOUR,
        run,
        change: |_| {},
        shows: |before, after| before == after,
    };
    let mut operations: Vec<Operation> = table.into_iter().map(operation).collect();
    operations.extend(table_of_damage());
    operations
}

/// Reading what is damaged says exactly what is, whatever else fails meanwhile.
fn table_of_damage() -> [Operation; 2] {
    let operation = |name, run| Operation {
        name,
        start: &starts::DAMAGED,
        run,
        change: |_| {},
        shows: |before, after| before == after,
    };
    [
        operation("a check of what is damaged", |process| {
            questions::check_of_damage(process.repository()?)
        }),
        operation("verifying what is damaged", |process| {
            questions::verify_of_damage(process.repository()?)
        }),
    ]
}

fn is_deleted(before: &Objects, after: &Objects) -> bool {
    let deletes = |objects| count(objects, |one| matches!(one, Place::Delete(..)));
    deletes(after) > deletes(before)
}

fn packs(objects: &Objects) -> usize {
    count(objects, |place| matches!(place, Place::Pack(..)))
}

fn count(objects: &Objects, is_one: fn(&Place) -> bool) -> usize {
    objects.keys().filter_map(Place::parse).filter(is_one).count()
}
