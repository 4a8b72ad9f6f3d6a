//! The work of a machine that is gone for good.

use std::sync::Arc;
use std::time::Duration;

use cbr_model::TaskId;
use cbr_model::operation::OperationStatus;
use cbr_model::resource::ProtectStatus;
use cbr_model::vault::{Vault, VaultKind};
use cbr_task::harness::sleeper;
use cbr_task::{Options, Task as _};

use super::world::{BLOCK, DATA_DISK, SERVER, SYSTEM_DISK, VOLUME, World, id, in_place};
use crate::Error;
use crate::catalogue::Health;
use crate::core::Core;
use crate::nodes::{Kept, nodes, take_over};
use crate::tasks::restore::RestoreTask;

/// P3: the backup ends and the disk is free again, by whichever machine.
#[tokio::test]
async fn what_waits_for_a_machine_that_is_gone_is_done_by_another() {
    let world = World::new().await;
    let db = &world.db;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let view = world.start(&vault, true).await.unwrap();
    // As if another machine had begun it.
    take_over(db, "gone", "node", false).await.unwrap().unwrap();
    let mut tx = db.begin().await.unwrap();
    tx.nodes().note("gone").await.unwrap();
    tx.commit().await.unwrap();
    let engine = || world.services.engine(Options::default());
    assert_eq!(engine().run_due().await.unwrap(), 0, "it waits for that machine");

    let fresh = take_over(db, "node", "gone", false).await.unwrap();
    assert_eq!(fresh, Err(Kept::StillThere(0)));
    let unknown = take_over(db, "node", "nobody", true).await.unwrap();
    assert_eq!(unknown, Err(Kept::Unknown(vec!["gone".into()])));
    assert_eq!(take_over(db, "node", "node", true).await.unwrap(), Err(Kept::Itself));

    world.clock.advance(Duration::from_mins(3));
    let found = world.services.catalogue.doctor().await.unwrap();
    let told = found.iter().find(|finding| finding.subject == "other node").unwrap();
    assert_eq!(told.health, Health::Warning);
    assert!(told.message.contains("cbr node take-over gone"), "{}", told.message);

    let moved = take_over(db, "node", "gone", false).await.unwrap().unwrap();
    assert_eq!((moved.tasks, moved.exports), (1, 0));
    world.settle().await;
    assert_eq!(world.backups_of(&view).await[0].state.as_str(), "available");
    let vault = world.reread(&vault).await;
    assert_eq!(vault.resources[0].protect_status, ProtectStatus::Available);
    let (left, _) = nodes(db).await.unwrap();
    assert!(left.iter().all(|node| node.name != "gone"), "{left:?}");
}

/// Whoever insists is not asked how long ago the machine was there.
#[tokio::test]
async fn an_operator_may_insist() {
    let world = World::new().await;
    let mut tx = world.db.begin().await.unwrap();
    tx.nodes().note("other").await.unwrap();
    tx.commit().await.unwrap();
    let kept = take_over(&world.db, "node", "other", false).await.unwrap();
    assert_eq!(kept, Err(Kept::StillThere(0)));
    assert!(take_over(&world.db, "node", "other", true).await.unwrap().is_ok());
}

/// Whose state a test looks at.
struct Interrupted {
    world: World,
    vault: Vault,
    disks: &'static [u128],
    before: Vec<Vec<u8>>,
    task: TaskId,
    /// Where the machine stopped that is gone.
    stage: RestoreTask,
}

impl Interrupted {
    /// A restore of which another machine took so many steps before it was gone for good: its work is this
    /// machine's now, and nothing is known here of the marks it made.
    async fn after(kind: VaultKind, steps: usize) -> Self {
        let world = World::new().await;
        let (resource, disks): (_, &[u128]) = match kind {
            VaultKind::Server => (SERVER, &[SYSTEM_DISK, DATA_DISK]),
            _ => (VOLUME, &[VOLUME]),
        };
        let vault = world.vault(kind, &[resource]).await;
        let before = disks.iter().map(|disk| world.provider.content(id(*disk))).collect();
        let backup = world.back_up(&vault).await;
        for disk in disks {
            world.provider.write(id(*disk), 7 * BLOCK, &[0xee; 5000]);
        }
        let request = in_place();
        let task = world.services.backups.restore(&world.access, backup.id, request).await.unwrap();
        take_over(&world.db, "gone", "node", false).await.unwrap().unwrap();
        let gone = Core { node: "gone".into(), ..Arc::into_inner(world.core()).unwrap() };
        let mut tx = world.db.begin().await.unwrap();
        let row = tx.operations().find(vault.project, task).await.unwrap().unwrap();
        let mut stage: RestoreTask = serde_json::from_str(&row.stage).unwrap();
        for _ in 0..steps {
            stage = sleeper(&gone, (task, vault.project), stage).await.unwrap();
        }
        let kinds = [RestoreTask::KIND];
        let claim = cbr_db::Claim { node: "gone", kinds: &kinds, lease_until: tx.now() };
        let claimed = tx.tasks().claim(&claim).await.unwrap().unwrap();
        let saved = serde_json::to_string(&stage).unwrap();
        assert!(tx.tasks().save(task, claimed.fencing, &saved, 50).await.unwrap());
        tx.nodes().note("gone").await.unwrap();
        tx.commit().await.unwrap();
        world.provider.forget_restores();
        world.clock.advance(Duration::from_mins(5));
        take_over(&world.db, "node", "gone", false).await.unwrap().unwrap();
        Self { world, vault, disks, before, task, stage }
    }

    async fn status(&self) -> OperationStatus {
        self.world.settle().await;
        let log = self.world.services.operations.show(&self.world.access, self.task).await;
        assert_eq!(self.world.provider.open_restores(), 0, "{:?}", self.stage);
        log.unwrap().status
    }

    async fn is_in_error(&self, disk: u128) -> bool {
        let volumes = &self.world.services.volumes;
        volumes.show(&self.world.access, id(disk)).await.unwrap().status.as_str() == "error"
    }

    /// What becomes of the next backup: a disk's is refused, a server's fails at that disk.
    async fn next_backup(&self) -> &'static str {
        match self.world.start(&self.vault, true).await {
            Err(Error::NothingToBackUp { .. }) => "refused",
            Err(error) => panic!("{error:?}"),
            Ok(view) => {
                self.world.settle().await;
                let made = self.world.backups_of(&view).await.remove(0);
                if made.state.as_str() == "error" { "refused" } else { "made" }
            }
        }
    }

    async fn protection(&self) -> ProtectStatus {
        self.world.reread(&self.vault).await.resources[0].protect_status
    }
}

/// P1, P3, P14: a restore goes on at the machine that took it over, wherever the other one stopped, and every
/// disk is whole in the end.
#[tokio::test]
async fn a_restore_whose_machine_is_gone_is_ended_by_another() {
    for (kind, all) in [(VaultKind::Disk, 4), (VaultKind::Server, 5)] {
        for steps in 0..=all {
            let made = Interrupted::after(kind, steps).await;
            assert_eq!(made.status().await, OperationStatus::Success, "{:?}", made.stage);
            for (disk, before) in made.disks.iter().zip(&made.before) {
                assert!(made.world.provider.content(id(*disk)) == *before, "{:?}", made.stage);
                assert!(!made.is_in_error(*disk).await, "{:?}", made.stage);
            }
            assert_eq!(made.protection().await, ProtectStatus::Available);
        }
    }
}

/// P1: if it cannot go on there, the disks that may have been written are in error, though this machine has
/// begun nothing; no backup is made of them. Disks that nobody wrote to are left as they were.
#[tokio::test]
async fn a_restore_that_fails_after_its_machine_is_gone_leaves_no_disk_that_looks_sound() {
    for (kind, writing) in [(VaultKind::Disk, 2..4), (VaultKind::Server, 2..5)] {
        for steps in 0..writing.end {
            let made = Interrupted::after(kind, steps).await;
            let last = *made.disks.last().unwrap();
            made.world.provider.set_busy(id(last), Some("somebody has it"));
            assert_eq!(made.status().await, OperationStatus::Failed, "{:?}", made.stage);
            let may_be_written = writing.contains(&steps);
            for disk in made.disks {
                assert_eq!(made.is_in_error(*disk).await, may_be_written, "{:?}", made.stage);
            }
            if may_be_written {
                assert_eq!(made.protection().await, ProtectStatus::Error, "{:?}", made.stage);
                assert_eq!(made.next_backup().await, "refused", "{:?}", made.stage);
            } else {
                assert_eq!(made.protection().await, ProtectStatus::Available, "{:?}", made.stage);
            }
        }
    }
}

/// A stage of an older release, which did not say where it began, is read.
#[test]
fn a_restore_of_an_older_release_goes_on() {
    let stage = r#"{"stage":"write","next":1,"job":{"project":"00000000-0000-0000-0000-000000000001",
        "vault":"00000000-0000-0000-0000-000000000002","backup":"00000000-0000-0000-0000-000000000003",
        "resource":"00000000-0000-0000-0000-000000000004","kind":"OS::Cinder::Volume","disks":[],"power_on":true}}"#;
    let stage: RestoreTask = serde_json::from_str(stage).unwrap();
    assert!(matches!(&stage, RestoreTask::Write { job, next: 1 } if job.begun_on.is_none()));
}
