//! Table Y.2: what a backup allows in each of its states.

use cbr_model::backup::{Backup, BackupState};
use cbr_model::vault::VaultKind;
use cbr_model::{ProjectId, VaultId};
use uuid::Uuid;

use super::world::{SERVER, SYSTEM_DISK, World, id, in_place};
use crate::replication::{Destination, ReplicaError};
use crate::sharing::{Recipients, ShareError};
use crate::volumes::NewVolumeRequest;
use crate::{Error, Result};

#[derive(Clone, Copy, Debug)]
enum Operation {
    Restore,
    CreateDisk,
    Share,
    Copy,
    Delete,
    Describe,
}

/// A state as it follows from `available`.
type Enter = fn(BackupState) -> BackupState;

fn protecting(_: BackupState) -> BackupState {
    BackupState::Protecting
}

fn restoring(state: BackupState) -> BackupState {
    state.begin_restore().unwrap()
}

fn deleting(state: BackupState) -> BackupState {
    state.begin_delete().unwrap()
}

fn failed(state: BackupState) -> BackupState {
    deleting(state).fail("no".into()).unwrap()
}

const STATES: [(&str, Enter); 5] = [
    ("available", |state| state),
    ("protecting", protecting),
    ("restoring", restoring),
    ("deleting", deleting),
    ("error", failed),
];

/// A server's backup, all of it in this state, and the backup of its system disk.
async fn in_state(world: &World, enter: Enter) -> (Backup, Backup) {
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    let backup = world.back_up(&vault).await;
    let mut tx = world.db.begin().await.unwrap();
    for part in std::iter::once(&backup).chain(&backup.children) {
        let state = enter(part.state.clone());
        let changed = Backup { state, children: vec![], ..part.clone() };
        assert!(tx.backups().update(&changed, "available").await.unwrap());
    }
    tx.commit().await.unwrap();
    let disk = backup.children.iter().find(|it| it.resource == id(SYSTEM_DISK)).unwrap().clone();
    (backup, disk)
}

async fn attempt(
    world: &World,
    operation: Operation,
    (backup, disk): (Backup, Backup),
) -> Result<()> {
    let (services, access) = (&world.services, &world.access);
    match operation {
        Operation::Restore => {
            services.backups.restore(access, backup.id, in_place()).await.map(drop)
        }
        Operation::CreateDisk => {
            let wanted = NewVolumeRequest {
                name: None,
                description: String::new(),
                size: None,
                volume_type: None,
                availability_zone: None,
                backup: Some(disk.id),
            };
            services.volumes.create(access, wanted).await.map(drop)
        }
        Operation::Share => {
            let projects = vec![ProjectId::from_uuid(Uuid::from_u128(4))];
            let recipients = Recipients { projects, ..Recipients::default() };
            services.sharing.add(access, backup.id, &recipients).await.map(drop)
        }
        Operation::Copy => {
            let to = Destination {
                region: "elsewhere".into(),
                project: access.project(),
                vault: VaultId::from_uuid(Uuid::nil()),
            };
            services
                .replication
                .copy_backup(access, "here", backup.id, &to)
                .await
                .map(|it| match it {})
        }
        Operation::Delete => services.backups.delete(access, backup.id).await.map(drop),
        Operation::Describe => services.backups.describe(access, backup.id).await.map(drop),
    }
}

/// What comes after the state was found good: there is no such project, and no other region.
fn is_past_the_state(result: &Result<()>) -> bool {
    match result {
        Ok(()) => true,
        Err(Error::Share(error)) => matches!(error, ShareError::RecipientInvalid { .. }),
        Err(Error::Replica(error)) => matches!(error, ReplicaError::ReplicaRegion { .. }),
        Err(_) => false,
    }
}

/// Y.2, BAK-51, BAK-70, RST-01, SHR-13, REP-07, contract C34 (6206).
#[tokio::test]
async fn what_a_backup_allows_in_each_state() {
    #[rustfmt::skip]
    let table = [
        // operation            available protecting restoring deleting error
        (Operation::Restore,    [true,    false,     false,    false,   false]),
        (Operation::CreateDisk, [true,    false,     false,    false,   false]),
        (Operation::Share,      [true,    false,     false,    false,   false]),
        (Operation::Copy,       [true,    false,     false,    false,   false]),
        (Operation::Delete,     [true,    false,     false,    false,   true]),
        (Operation::Describe,   [true,    false,     true,     true,    true]),
    ];
    for (operation, allowed) in table {
        for ((state, enter), expected) in STATES.into_iter().zip(allowed) {
            let world = World::new().await;
            let parts = in_state(&world, enter).await;
            let result = attempt(&world, operation, parts).await;
            let got = is_past_the_state(&result);
            assert_eq!(got, expected, "{operation:?} while {state}: {result:?}");
        }
    }
}
