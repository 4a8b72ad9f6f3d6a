//! What is there before an operation begins. Each is made once.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use cbr_store::backend::layer::{Fault, Faulty};
use cbr_store::backend::{Key, MemoryBackend, Op};
use cbr_store::format::id::PackKind;
use cbr_store::format::place::Place;
use cbr_store::{ChainRef, Job, Repository};

use super::process::{Process, Seen};
use crate::world::{CHAIN, Disk, backup, four_versions};

pub(super) type Objects = BTreeMap<Key, Vec<u8>>;

/// Two disks of a tenant that share what is equal.
pub(super) const SHARING: [ChainRef; 2] = [
    ChainRef::sharing(CHAIN.tenant, 0, uuid::Uuid::from_u128(3)),
    ChainRef::sharing(CHAIN.tenant, 0, uuid::Uuid::from_u128(4)),
];

/// The objects, and what their versions restore to.
#[derive(Clone)]
pub(super) struct Start {
    pub(super) objects: Objects,
    pub(super) seen: Seen,
}

impl Start {
    fn of(objects: Objects) -> Self {
        let memory = Arc::new(MemoryBackend::from_snapshot(objects.clone()));
        let seen =
            if objects.is_empty() { Seen(Vec::new()) } else { Process::new(memory, 501).seen() };
        Self { objects, seen }
    }

    /// A place with just these objects.
    pub(super) fn backend(&self) -> MemoryBackend {
        MemoryBackend::from_snapshot(self.objects.clone())
    }

    /// What `work` makes of it.
    fn and(&self, work: impl FnOnce(&Repository, &Arc<Faulty>)) -> Self {
        let memory = Arc::new(self.backend());
        let faulty = Arc::new(Faulty::new(memory.clone()));
        let process = Process::new(faulty.clone(), 502);
        work(process.repository().unwrap(), &faulty);
        Self::of(memory.snapshot())
    }
}

/// Nothing at all.
pub(super) static NOTHING: LazyLock<Start> = LazyLock::new(|| Start::of(Objects::new()));

/// Four versions of one disk.
pub(super) static FOUR: LazyLock<Start> = LazyLock::new(|| {
    let four = four_versions();
    let start = Start::of(four.objects);
    assert!(start.seen.0.iter().flatten().eq(four.expected.values()));
    start
});

/// The same, with a note.
pub(super) static NOTED: LazyLock<Start> = LazyLock::new(|| {
    FOUR.and(|repository, _| {
        repository.note(CHAIN.tenant, CHAIN.chain, "task 1", b"first").unwrap();
    })
});

/// The same without it, and a session of a process that died before its commit.
pub(super) static DEAD_SESSION: LazyLock<Start> = LazyLock::new(|| {
    FOUR.and(|repository, _| {
        let mut session = repository.begin(&CHAIN, "dead").unwrap();
        session.write(&newest().with(0, 50), None, &Job::quiet()).unwrap();
    })
});

/// The same, with versions 2 and 3 in the trash.
pub(super) static TRASHED: LazyLock<Start> = LazyLock::new(|| {
    FOUR.and(|repository, _| repository.trash(&CHAIN, &[2, 3], None, "old").unwrap())
});

/// The same, with versions 1 to 3 deleted and nothing removed yet.
pub(super) static DELETED: LazyLock<Start> = LazyLock::new(|| {
    FOUR.and(|repository, faulty| {
        faulty.only(Op::Delete);
        faulty.fail_all(Fault::Io);
        repository.delete(&CHAIN, &[1, 2, 3]).unwrap_err();
        faulty.heal();
    })
});

/// Two versions of a disk, whose first block is damaged.
pub(super) static DAMAGED: LazyLock<Start> =
    LazyLock::new(|| damaged(&[Disk::of(&[1, 2, 3, 4]), Disk::of(&[1, 2, 3, 60])]));

/// The same; but the first block was changed and then was again what it had been, so that it is
/// stored twice.
pub(super) static DAMAGED_TWICE: LazyLock<Start> = LazyLock::new(|| {
    damaged(&[Disk::of(&[1, 2, 3, 4]), Disk::of(&[9, 2, 3, 4]), Disk::of(&[1, 2, 3, 4])])
});

/// The disk of [`DAMAGED`] as it is now: what was damaged in the repository is still on it.
pub(super) fn before_the_damage() -> Disk {
    Disk::of(&[1, 5, 3, 60])
}

/// The four versions as an older release left them, which knew no maintenance keys.
pub(super) static WITHOUT_RINGS: LazyLock<Start> = LazyLock::new(|| {
    let mut objects = FOUR.objects.clone();
    objects.retain(|key, _| !matches!(Place::parse(key), Some(Place::MaintenanceRing(..))));
    Start::of(objects)
});

/// The same, repaired from the second copy under the name `r1`.
pub(super) static REPAIRED: LazyLock<Start> = LazyLock::new(|| {
    let start = DAMAGED_TWICE.and(|repository, _| {
        let plan = repository.plan_repair(&Job::quiet()).unwrap();
        repository.repair(&plan, "r1").unwrap();
    });
    assert!(start.seen.is_whole());
    start
});

/// Two disks of one tenant that share most of their blocks, two versions each.
pub(super) static SHARED: LazyLock<Start> = LazyLock::new(|| {
    NOTHING.and(|repository, _| {
        for (n, chain) in (0..).zip(&SHARING) {
            let mut disk = Disk::of(&[1, 2, 0, 3, 4, 5]);
            for at in [0, 1] {
                disk = disk.with(at, 200 + n);
                let mut session = repository.begin(chain, "old").unwrap();
                session.write(&disk, None, &Job::quiet()).unwrap();
                session.commit(b"old").unwrap();
            }
        }
    })
});

/// The same, with the first disk's versions deleted and nothing removed yet.
pub(super) static SHARED_DELETED: LazyLock<Start> = LazyLock::new(|| {
    SHARED.and(|repository, faulty| {
        faulty.only(Op::Delete);
        faulty.fail_all(Fault::Io);
        let _ = repository.delete(&SHARING[0], &[1, 2]);
        faulty.heal();
    })
});

/// The newest of the four versions.
pub(super) fn newest() -> Disk {
    FOUR.seen.0.last().unwrap().clone().unwrap()
}

fn damaged(disks: &[Disk]) -> Start {
    let start = NOTHING.and(|repository, _| {
        for disk in disks {
            backup(repository, "old", disk).unwrap();
        }
    });
    let start = Start::of(flip_first_data_slot(start.objects));
    assert!(!start.seen.is_whole());
    start
}

/// The largest data pack is of the first version and begins with its first block.
fn flip_first_data_slot(mut objects: Objects) -> Objects {
    let is_data = |key: &Key| match Place::parse(key) {
        Some(Place::Pack(pack, _)) => pack.kind == PackKind::Data,
        _ => false,
    };
    let largest =
        objects.iter_mut().filter(|(key, _)| is_data(key)).max_by_key(|(_, object)| object.len());
    let (_, object) = largest.unwrap();
    object[1000] ^= 1;
    objects
}
