//! Buckets from which everything is taken in that is not here yet (contract C26, docs/adr/0040).

use cbr_model::TaskId;
use cbr_model::operation::{OperationDetails, OperationLog, OperationStatus};
use cbr_model::vault::{Vault, VaultKind};
use cbr_task::harness::{Fault, crash_matrix};
use cbr_task::{Options, Outcome};
use serde_json::json;

use super::imports::{MADE, NATIVE, backup_id, image};
use super::world::{VOLUME, World, id};
use crate::imports::ImportError;
use crate::tasks::sync::SyncTask;
use crate::{Error, Result};

impl World {
    /// Puts image `n` and what says so into the bucket.
    fn put_with_sidecar(&self, n: u8) {
        self.put(&format!("{n}/disk.raw"), &image(n));
        let sidecar = json!({"backup_id": backup_id(u128::from(n)), "backup_name": format!("b{n}"),
            "resource_id": id(NATIVE), "resource_name": "web", "created_at": MADE.seconds()});
        self.put(&format!("{n}/disk.raw.cbr.json"), sidecar.to_string().as_bytes());
    }

    async fn sync(&self, vault: &Vault) -> Result<TaskId> {
        let begun = self.services.imports.sync(&self.access, vault.id, false).await?;
        assert_eq!(begun.vault, vault.id);
        Ok(begun.log)
    }

    /// One synchronisation, to the end.
    async fn synced(&self, vault: &Vault) -> OperationLog {
        let task = self.sync(vault).await.unwrap();
        self.settle().await;
        self.services.operations.show(&self.access, task).await.unwrap()
    }
}

fn numbers(log: &OperationLog) -> (OperationStatus, u64, u64) {
    match log.details {
        OperationDetails::Sync { taken_in, failed, .. } => (log.status, taken_in, failed),
        ref other => panic!("{other:?}"),
    }
}

/// Contract C26: what is new is taken in, what is here is not taken in again.
#[tokio::test]
async fn a_vault_gets_what_is_not_here_yet() {
    let world = World::new().await;
    let vault = world.file_vault().await;
    assert_eq!(numbers(&world.synced(&vault).await), (OperationStatus::Success, 0, 0));
    world.put_with_sidecar(1);
    world.put_with_sidecar(2);
    world.put("no-sidecar.raw", &image(3));
    assert_eq!(numbers(&world.synced(&vault).await), (OperationStatus::Success, 2, 0));
    world.put_with_sidecar(3);
    assert_eq!(numbers(&world.synced(&vault).await), (OperationStatus::Success, 1, 0));
    let backups = world.backups().await;
    assert_eq!(backups.len(), 3);
    assert!(backups.iter().all(|one| one.state.as_str() == "available" && one.vault == vault.id));
    assert!(backups.iter().all(|one| one.created_at == MADE && !one.auto_trigger));
    // A schedule's backups are automatic ones.
    world.put_with_sidecar(4);
    world.services.imports.sync(&world.access, vault.id, true).await.unwrap();
    world.settle().await;
    let fourth = world.services.backups.show(&world.access, backup_id(4)).await.unwrap();
    assert!(fourth.auto_trigger);
}

/// Contract C26, `err_sync_backup_num`: one that is bad is named and in nobody else's way.
#[tokio::test]
async fn bad_sidecars_are_counted_and_named() {
    let world = World::new().await;
    let vault = world.file_vault().await;
    world.put_with_sidecar(1);
    world.put("bad.raw.cbr.json", b"{}");
    world.put("huge.raw.cbr.json", &vec![b' '; 70_000]);
    world.put(
        "gone.raw.cbr.json",
        &std::fs::read(world.bucket.join("1/disk.raw.cbr.json")).unwrap(),
    );
    world.put_with_sidecar(2);
    world.put("2/disk.raw", b"QFI\xfb");
    let log = world.synced(&vault).await;
    // `gone` names the backup that `1` is, which is here by then.
    assert_eq!(numbers(&log), (OperationStatus::Failed, 1, 3));
    let message = log.error.unwrap().message;
    for name in ["bad.raw.cbr.json", "huge.raw.cbr.json", "2/disk.raw.cbr.json", "qemu-img"] {
        assert!(message.contains(name), "{name}: {message}");
    }
    assert!(!message.contains(world.bucket.to_str().unwrap()), "{message}");
}

/// Contract C26: only file vaults, of this project, one at a time.
#[tokio::test]
async fn only_a_file_vault_is_synchronised_and_once_at_a_time() {
    let world = World::new().await;
    let disks = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let refused = world.sync(&disks).await;
    assert!(matches!(refused, Err(Error::Import(ImportError::VaultNotHybrid { .. }))));
    let vault = world.file_vault().await;
    let task = world.sync(&vault).await.unwrap();
    let refused = world.sync(&vault).await;
    let Err(Error::Import(ImportError::SyncRunning { task: running, .. })) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(running, task);
    world.settle().await;
    world.sync(&vault).await.unwrap();
}

/// P2, P14: a crash at any step changes nothing of what comes out.
#[tokio::test]
async fn a_crash_at_any_step_of_a_synchronisation_is_made_good() {
    let make = async || {
        let world = World::new().await;
        let vault = world.file_vault().await;
        world.put_with_sidecar(1);
        world.synced(&vault).await;
        world.put("bad.raw.cbr.json", b"{}");
        let task = world.sync(&vault).await.unwrap();
        world.with_task::<SyncTask>(task)
    };
    crash_matrix(make, async |made, fault, ended| {
        let world: &World = made.keep.downcast_ref().unwrap();
        assert_eq!(world.backups().await.len(), 1, "{fault:?}");
        let Outcome::Failed(failure) = &ended.outcome else { panic!("{ended:?}") };
        let is_named = failure.error.message.contains("bad.raw.cbr.json");
        assert!(is_named || matches!(fault, Fault::CancelBefore(_)), "{fault:?}: {failure:?}");
    })
    .await;
}

/// P3, P14: an import is begun once, also if the machine dies while it runs.
#[tokio::test]
async fn a_synchronisation_that_is_taken_over_begins_nothing_twice() {
    let world = World::new().await;
    let vault = world.file_vault().await;
    for n in 1..=3 {
        world.put_with_sidecar(n);
    }
    let task = world.sync(&vault).await.unwrap();
    for _ in 0..20 {
        world.services.engine(Options::default()).run_due().await.unwrap();
        world.clock.advance(std::time::Duration::from_secs(2));
    }
    world.settle().await;
    let log = world.services.operations.show(&world.access, task).await.unwrap();
    assert_eq!(numbers(&log), (OperationStatus::Success, 3, 0));
    assert_eq!(world.versions().values().sum::<usize>(), 3);
    assert_eq!(world.logs().await.len(), 4, "one of the synchronisation, one of each import");
}
