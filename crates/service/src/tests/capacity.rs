//! Capacity: how far a vault may be filled, how it grows, and that what is shown as used is what there is.

use std::collections::BTreeMap;

use cbr_env::{Random, RandomExt, SeededRandom};
use cbr_model::backup::{Backup, BackupState};
use cbr_model::operation::{OperationDetails, OperationLog, OperationStatus, OperationType};
use cbr_model::quota::Quota;
use cbr_model::resource::ProtectStatus;
use cbr_model::size::{Bytes, Gib};
use cbr_model::vault::{CAPACITY_MAX, Consistency, Vault, VaultKind, VaultStatus};
use cbr_store::VersionRef;

use super::world::{BLOCK, SECOND_VOLUME, VOLUME, World, id, run};
use crate::checkpoints::NewCheckpoint;
use crate::content::{reference, versions};
use crate::error::VaultRefusal;
use crate::rules::vault::tests::wanted;
use crate::vaults::{NewVault, VaultChange};
use crate::{Error, Result};

const MIB: u64 = 1 << 20;

impl World {
    async fn of_size(&self, size: Gib, auto_expand: bool, resources: &[u128]) -> Vault {
        let resources = resources
            .iter()
            .map(|n| super::world::bind(VaultKind::Disk.resource_kind().unwrap(), *n));
        let wanted = NewVault { size, auto_expand, resources: resources.collect(), ..wanted() };
        self.services.vaults.create(&self.access, wanted).await.unwrap()
    }

    /// Has the vault hold so much, as if a backup had taken it.
    async fn fill(&self, vault: &Vault, used: Bytes) {
        let there_is = self.reread(vault).await.used;
        let mut filler: Backup = self.backups().await.remove(0);
        let mut tx = self.db.begin().await.unwrap();
        let BackupState::Available { content } = &mut filler.state else { panic!("{filler:?}") };
        let cbr_model::backup::Content::Disk(version) = content else { panic!("{content:?}") };
        version.logical_bytes = Bytes(version.logical_bytes.0 + used.0 - there_is.0);
        assert!(tx.backups().update(&filler, "available").await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(self.reread(vault).await.used, used);
    }

    /// A backup of the vault in which the disk has changed by so many blocks.
    async fn change_and_back_up(&self, vault: &Vault, blocks: u64) -> Result<()> {
        for n in 0..blocks {
            let mut block = vec![0; 4096];
            SeededRandom::new(n + self.clock_micros()).fill(&mut block);
            self.provider.write(id(VOLUME), n * BLOCK, &block);
        }
        self.start(vault, true).await?;
        self.settle().await;
        self.clock.advance(std::time::Duration::from_secs(1));
        Ok(())
    }

    fn clock_micros(&self) -> u64 {
        use cbr_env::Clock;
        self.clock.monotonic_micros()
    }

    async fn growth_logs(&self) -> Vec<OperationLog> {
        let is_growth = |log: &OperationLog| log.operation == OperationType::AutoExpand;
        self.logs().await.into_iter().filter(is_growth).collect()
    }
}

/// RET-T14, VLT-80, VLT-81, VLT-82, contract D 6114: capacity 100, used 99.9, the next backup needs 5: it
/// succeeds; the next is refused. With exactly 100 one more succeeds. Nothing older goes for it.
#[tokio::test]
async fn one_backup_goes_beyond_the_limit_and_then_none() {
    let hundredth = Gib(1).bytes().0 / 100;
    for used in [Gib(1).bytes().0 - hundredth / 10, Gib(1).bytes().0] {
        let world = World::new().await;
        let vault = world.of_size(Gib(1), false, &[VOLUME]).await;
        world.change_and_back_up(&vault, 1).await.unwrap();
        world.fill(&vault, Bytes(used)).await;
        let blocks = 19;
        assert!(used + blocks * BLOCK > Gib(1).bytes().0, "the next needs more than there is");
        world.change_and_back_up(&vault, blocks).await.unwrap();
        let full = world.reread(&vault).await;
        assert_eq!(full.used, Bytes(used + blocks * BLOCK), "whole");
        assert_eq!(full.size, Gib(1));
        let before: Vec<Backup> = world.backups().await;
        assert!(before.iter().all(|backup| backup.state.as_str() == "available"));
        let refused = world.change_and_back_up(&vault, 1).await;
        assert!(matches!(refused, Err(Error::VaultFull { .. })), "{refused:?}");
        let automatic = NewCheckpoint { auto_trigger: true, name: None, ..run(&vault) };
        let refused = world.services.checkpoints.create(&world.access, automatic).await;
        assert!(matches!(refused, Err(Error::VaultFull { .. })), "{refused:?}");
        assert_eq!(world.backups().await, before, "VLT-82: nothing is overwritten");
        assert_eq!(world.reread(&vault).await.used, full.used, "VLT-83");
        let (shown, forecast) =
            world.services.vaults.capacity(&world.access, vault.id).await.unwrap();
        assert!(!shown.has_room());
        let now = world.db.read().await.unwrap().now();
        assert!(forecast.full_at.is_some_and(|at| at <= now));
    }
}

/// VLT-73, VLT-75, VLT-76: it grows in the transaction in which the backup becomes available, each time
/// from what it is, up to the quota; what it did and could not do is in the operation logs.
#[tokio::test]
async fn a_vault_grows_when_a_backup_passes_its_limit() {
    let world = World::new().await;
    let vault = world.of_size(Gib(4), true, &[VOLUME]).await;
    world.change_and_back_up(&vault, 1).await.unwrap();
    world.change_and_back_up(&vault, 1).await.unwrap();
    assert_eq!(world.reread(&vault).await.size, Gib(4), "nothing was passed");
    world.services.vaults.set_quota(&world.access, Quota::CapacityGb, Some(6)).await.unwrap();
    for (size, grown) in [(4, 5), (5, 6)] {
        world.fill(&vault, Gib(size).bytes()).await;
        assert_eq!(world.reread(&vault).await.size, Gib(size), "full, and not more than full");
        world.change_and_back_up(&vault, 1).await.unwrap();
        assert_eq!(world.reread(&vault).await.size, Gib(grown), "a quarter more, or the quota");
        let log = world.growth_logs().await.remove(0);
        let (from_gb, to_gb) = (size, grown);
        assert_eq!(log.details, OperationDetails::AutoExpand { from_gb, to_gb });
        assert_eq!((log.status, log.progress), (OperationStatus::Success, 100));
    }
    world.fill(&vault, Gib(6).bytes()).await;
    world.change_and_back_up(&vault, 1).await.unwrap();
    let logs = world.growth_logs().await;
    assert_eq!((logs.len(), world.reread(&vault).await.size), (3, Gib(6)));
    assert_eq!(logs[0].status, OperationStatus::Failed);
    let error = logs[0].error.as_ref().unwrap();
    assert_eq!(error.code, "BackupService.6114");
    assert!(error.message.contains("quota"), "{}", error.message);
    let refused = world.change_and_back_up(&vault, 1).await;
    assert!(matches!(refused, Err(Error::VaultFull { .. })), "{refused:?}");
    assert_eq!(world.growth_logs().await.len(), 3, "said once");
}

/// VLT-76: at the largest capacity it fails, and says so.
#[tokio::test]
async fn the_largest_vault_cannot_grow() {
    let world = World::new().await;
    let vault = world.of_size(CAPACITY_MAX, true, &[VOLUME]).await;
    world.change_and_back_up(&vault, 1).await.unwrap();
    world.fill(&vault, CAPACITY_MAX.bytes()).await;
    world.change_and_back_up(&vault, 1).await.unwrap();
    let log = world.growth_logs().await.remove(0);
    assert_eq!(log.status, OperationStatus::Failed);
    assert!(log.error.unwrap().message.contains("largest"));
}

/// VLT-72, VLT-74, VLT-77: switched on when it is too late it changes nothing; once there is room again –
/// here by deleting backups, or by hand – it works.
#[tokio::test]
async fn growing_that_is_switched_on_too_late_has_no_effect_until_there_is_room() {
    let world = World::new().await;
    let vault = world.of_size(Gib(1), false, &[VOLUME]).await;
    assert!(!vault.auto_expand, "VLT-72: off by default");
    world.change_and_back_up(&vault, 1).await.unwrap();
    world.fill(&vault, Gib(1).bytes()).await;
    world.change_and_back_up(&vault, 2).await.unwrap();
    let on = VaultChange { auto_expand: Some(true), ..VaultChange::default() };
    let (access, vaults) = (&world.access, &world.services.vaults);
    vaults.update(access, vault.id, on).await.unwrap();
    let refused = world.change_and_back_up(&vault, 1).await;
    assert!(matches!(refused, Err(Error::VaultFull { .. })), "{refused:?}");
    assert_eq!((world.reread(&vault).await.size, world.growth_logs().await.len()), (Gib(1), 0));

    let last = world.backups().await.remove(0);
    world.services.backups.delete(access, last.id).await.unwrap();
    world.settle().await;
    world.change_and_back_up(&vault, 2).await.unwrap();
    assert_eq!(world.reread(&vault).await.size, Gib(2), "1.25 GB, rounded up");
    let larger = VaultChange { size: Some(Gib(3)), ..VaultChange::default() };
    assert_eq!(vaults.update(access, vault.id, larger).await.unwrap().size, Gib(3), "VLT-70");
}

/// VLT-12, VLT-70, VLT-71, RES-05, contract C5: what is refused of a new capacity, and that a refusal changes nothing.
#[tokio::test]
async fn a_capacity_is_refused_that_does_not_hold_what_it_must() {
    let world = World::new().await;
    let vault = world.of_size(Gib(10), false, &[VOLUME, SECOND_VOLUME]).await;
    world.change_and_back_up(&vault, 1).await.unwrap();
    world.fill(&vault, Bytes(Gib(4).bytes().0 + MIB)).await;
    let resize = async |size: u64| {
        let change = VaultChange { size: Some(Gib(size)), ..VaultChange::default() };
        world.services.vaults.update(&world.access, vault.id, change).await
    };
    for (size, why) in [(0, "must be"), (1, "resources in it"), (4, "use"), (10_485_761, "must be")]
    {
        match resize(size).await {
            Err(Error::VaultSizeInvalid { reason, .. }) => {
                assert!(reason.contains(why), "{reason}");
            }
            other => panic!("{size}: {other:?}"),
        }
        assert_eq!(world.reread(&vault).await.size, Gib(10));
    }
    assert_eq!(resize(5).await.unwrap().size, Gib(5));
    let too_small = NewVault {
        size: Gib(1),
        resources: [VOLUME, SECOND_VOLUME]
            .map(|n| super::world::bind(VaultKind::Disk.resource_kind().unwrap(), n))
            .to_vec(),
        ..wanted()
    };
    let other = World::new().await;
    let refused = other.services.vaults.create(&other.access, too_small).await;
    assert!(matches!(refused, Err(Error::VaultSizeInvalid { .. })), "{refused:?}");
    // QUO-01: also the quota is a limit, for larger ones only.
    world.services.vaults.set_quota(&world.access, Quota::CapacityGb, Some(5)).await.unwrap();
    let refused = resize(6).await;
    assert!(matches!(refused, Err(Error::QuotaUsedUp { limit: 5, .. })), "{refused:?}");
    let refused = world.services.vaults.create(&world.access, wanted()).await;
    assert!(matches!(refused, Err(Error::QuotaUsedUp { limit: 5, .. })), "{refused:?}");
}

/// VLT-90, VLT-91, VLT-92: a specification goes from server to database and not back; only of vaults of
/// servers; and, like expanding, not while the vault is locked by another change.
#[tokio::test]
async fn a_specification_changes_in_one_direction() {
    let world = World::new().await;
    let to = |consistency| VaultChange { consistency: Some(consistency), ..VaultChange::default() };
    let (access, vaults) = (&world.access, &world.services.vaults);
    let disks = world.vault(VaultKind::Disk, &[]).await;
    let refused = vaults.update(access, disks.id, to(Consistency::AppConsistent)).await;
    let kind = VaultKind::Disk;
    let no_databases = VaultRefusal::NoDatabases { kind };
    assert!(matches!(&refused, Err(Error::Vault(r)) if *r == no_databases), "VLT-92: {refused:?}");
    let consistency = Consistency::AppConsistent;
    let refused = vaults.create(access, NewVault { kind, consistency, ..wanted() }).await;
    assert!(matches!(&refused, Err(Error::Vault(r)) if *r == no_databases), "VLT-92: {refused:?}");
    let servers = world.vault(VaultKind::Server, &[]).await;
    let changed = vaults.update(access, servers.id, to(Consistency::AppConsistent)).await.unwrap();
    assert_eq!(changed.consistency, Consistency::AppConsistent);
    assert_eq!(world.reread(&servers).await.consistency, Consistency::AppConsistent);
    let refused = vaults.update(access, servers.id, to(Consistency::CrashConsistent)).await;
    assert!(matches!(refused, Err(Error::VaultNotEditable { .. })), "VLT-90: {refused:?}");
    let mut tx = world.db.begin().await.unwrap();
    let (from, to_lock) = ([VaultStatus::Available], VaultStatus::Lock);
    tx.vaults().change_status(servers.project, servers.id, &from, to_lock).await.unwrap();
    tx.commit().await.unwrap();
    let refused = vaults.update(access, servers.id, to(Consistency::CrashConsistent)).await;
    assert!(matches!(refused, Err(Error::VaultStatus { .. })), "VLT-91: {refused:?}");
}

/// Sum of what the store says of all versions of a vault's backups.
async fn in_the_store(world: &World, vault: &Vault) -> u64 {
    let known: BTreeMap<VersionRef, u64> = world
        .store
        .repository
        .catalogue()
        .unwrap()
        .into_iter()
        .map(|info| (info.version, info.logical_bytes))
        .collect();
    let backups = world.backups().await;
    let own = backups.iter().filter(|backup| backup.vault == vault.id);
    own.flat_map(versions).map(|version| known[&reference(&version)]).sum()
}

/// P17, VLT-31, VLT-85: after every step of any course of events – backups, fulls, failures, deletions,
/// taking back, moving, expanding – each vault's used capacity is the sum of what the store's own
/// accounting says of its backups.
#[tokio::test]
async fn used_capacity_is_always_what_the_store_accounts_for() {
    for seed in 0..6 {
        let random = SeededRandom::new(seed);
        let world = World::with_trash().await;
        let vaults = [
            world.vault(VaultKind::Disk, &[VOLUME, SECOND_VOLUME]).await,
            world.vault(VaultKind::Disk, &[]).await,
        ];
        for step in 0..14 {
            step_at_random(&world, &vaults, &random).await;
            for vault in &vaults {
                let shown = world.reread(vault).await;
                let stored = in_the_store(&world, vault).await;
                assert_eq!(shown.used.0, stored, "seed {seed}, step {step}");
                let of_bound = shown.resources.iter().map(|bound| bound.backup_bytes).sum();
                assert!(shown.used >= of_bound, "seed {seed}, step {step}");
            }
        }
    }
}

async fn step_at_random(world: &World, vaults: &[Vault; 2], random: &SeededRandom) {
    let number = || u64::from_le_bytes(random.bytes());
    let pick = |n: usize| usize::try_from(number() % n as u64).unwrap();
    let (access, services) = (&world.access, &world.services);
    world.clock.advance(std::time::Duration::from_secs(1));
    let backups = world.backups().await;
    match pick(8) {
        0..=2 => {
            for n in [VOLUME, SECOND_VOLUME] {
                let block = number() % 20;
                world.provider.write(id(n), block * BLOCK, &number().to_le_bytes());
            }
            // Refused where the vault holds nothing.
            let _ = world.start(&vaults[pick(2)], pick(4) > 0).await;
        }
        3 => {
            world.provider.set_bad_byte(id(VOLUME), Some(7 * BLOCK));
            let _ = world.start(&vaults[0], true).await;
            world.settle().await;
            world.provider.set_bad_byte(id(VOLUME), None);
        }
        4 | 5 if !backups.is_empty() => {
            let one = &backups[pick(backups.len())];
            services.backups.delete(access, one.id).await.unwrap();
        }
        6 => {
            let trash = services.trash.list(access).await.unwrap();
            if !trash.is_empty() {
                let one = trash[pick(trash.len())].backup.id;
                services.trash.undelete(access, one, Some(vaults[pick(2)].id)).await.unwrap();
            }
        }
        _ => {
            let from = world.reread(&vaults[pick(2)]).await;
            let to = vaults.iter().find(|vault| vault.id != from.id).unwrap();
            let free = |status| status == ProtectStatus::Available;
            if let Some(bound) = from.resources.iter().find(|bound| free(bound.protect_status)) {
                let moved = vec![bound.id];
                let moved = services.vaults.migrate_resources(access, from.id, to.id, moved).await;
                moved.unwrap();
            }
        }
    }
    world.settle().await;
}
