//! A disk that somebody else has encrypted: its backup is suspicious, the last clean one is named, and
//! nothing of the disk expires until somebody confirms.

use cbr_env::{Random as _, SeededRandom};
use cbr_model::vault::VaultKind;

use super::schedules::{at, every_day, wanted};
use super::world::{BLOCK, VOLUME, World, id};
use crate::policies::{KeepReason, Verdict};
use crate::retention::{Cleanup, Expiry};

#[tokio::test]
async fn a_suspicious_backup_holds_everything_of_its_resource_until_it_is_confirmed() {
    let world = World::new().await;
    world.clock.set(at(0, 0));
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    world.policy(&vault, wanted(every_day("2"), r#"{"max_backups":2}"#)).await;
    let expiry = Expiry::new(world.core(), Cleanup::Immediate);
    for day in 0..8_i64 {
        world.provider.write(id(VOLUME), 3 * BLOCK, &[u8::try_from(day).unwrap() + 1; 3000]);
        world.sweep_at(at(24 * day + 2, 0)).await;
        expiry.sweep().await.unwrap();
        world.settle().await;
    }
    assert_eq!(world.backups().await.len(), 2);
    assert_eq!(world.services.anomalies.list(&world.access, false).await.unwrap(), []);
    let clean = world.backups().await[0].id;

    let mut noise = vec![0; 8 * (64 << 10)];
    SeededRandom::new(5).fill(&mut noise);
    world.provider.write(id(VOLUME), 8 * BLOCK, &noise);
    world.sweep_at(at(24 * 8 + 2, 0)).await;
    let found = world.services.anomalies.list(&world.access, true).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].backup, found[0].clean), (world.backups().await[0].id, Some(clean)));
    assert!(found[0].what.contains("of the disk changed"), "{}", found[0].what);
    for day in 9..12 {
        world.sweep_at(at(24 * day + 2, 0)).await;
        assert_eq!(expiry.sweep().await.unwrap(), 0, "held, whatever the number says");
    }
    assert_eq!(world.backups().await.len(), 6);
    // Also after its resource moved.
    let other = world.vault(VaultKind::Disk, &[]).await;
    let suspected = Verdict::Keep(KeepReason::Suspected);
    world.migrate(&vault, &other, VOLUME).await.unwrap();
    world.settle().await;
    let why = world.services.expiry.why(&world.access, clean).await.unwrap();
    assert_eq!(why.verdict, suspected, "what is suspicious moved with it");
    world.migrate(&other, &vault, VOLUME).await.unwrap();
    world.settle().await;
    let why = world.services.expiry.why(&world.access, clean).await.unwrap();
    assert_eq!(why.verdict, suspected);

    let confirmed = world.services.anomalies.confirm(&world.access, found[0].backup).await.unwrap();
    assert!(confirmed.confirmed_at.is_some());
    let twice = world.services.anomalies.confirm(&world.access, found[0].backup).await;
    assert!(matches!(twice, Err(crate::Error::BackupNotFound(_))));
    world.sweep_at(at(24 * 12 + 2, 0)).await;
    expiry.sweep().await.unwrap();
    world.settle().await;
    assert_eq!(world.backups().await.len(), 2);
}
