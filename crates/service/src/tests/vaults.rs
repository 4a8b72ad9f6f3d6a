//! Vaults in all their states; WORM; orders; expirations; quotas.

use cbr_model::backup::Backup;
use cbr_model::operation::{OperationDetails, OperationStatus, OperationType};
use cbr_model::order::{OrderKind, Period, PeriodUnit};
use cbr_model::quota::Quota;
use cbr_model::size::Gib;
use cbr_model::vault::{ChargingMode, Consistency, Vault, VaultKind, VaultStatus};

use super::world::{SECOND_VOLUME, VOLUME, World, bind, id, in_place, run};
use crate::checkpoints::NewCheckpoint;
use crate::error::VaultRefusal;
use crate::rules::vault::tests::wanted;
use crate::vaults::{ExpirationDay, NewVault, OrderChange, Prepaid, VaultChange};
use crate::{Error, Result};

fn prepaid() -> Prepaid {
    Prepaid { period: Period::new(PeriodUnit::Year, 1).unwrap(), auto_renew: true, auto_pay: true }
}

fn resize(size: u64) -> VaultChange {
    VaultChange { size: Some(Gib(size)), ..VaultChange::default() }
}

fn rename() -> VaultChange {
    VaultChange { name: Some("new-name".into()), ..VaultChange::default() }
}

impl World {
    async fn set_status(&self, vault: &Vault, to: VaultStatus) {
        let mut tx = self.db.begin().await.unwrap();
        tx.vaults().change_status(vault.project, vault.id, &VaultStatus::ALL, to).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn update(&self, vault: &Vault, change: VaultChange) -> Result<Vault> {
        self.services.vaults.update(&self.access, vault.id, change).await
    }

    async fn ordered(&self) -> Result<Vault> {
        let wanted = NewVault { prepaid: Some(prepaid()), ..wanted() };
        self.services.vaults.create(&self.access, wanted).await
    }
}

/// A vault with one resource and one backup, and another one to move to or from.
struct Cell {
    world: World,
    vault: Vault,
    backup: Backup,
    other: Vault,
}

impl Cell {
    async fn new(row: &str) -> Self {
        let world = World::new().await;
        let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
        let backup = world.back_up(&vault).await;
        let moving: &[u128] = if row == "migrate into" { &[SECOND_VOLUME] } else { &[] };
        let other = world.vault(VaultKind::Disk, moving).await;
        Self { world, vault, backup, other }
    }
}

/// One attempt at a row of table Y.1.
async fn attempt(cell: &Cell, row: &str) -> Result<()> {
    let Cell { world, vault, backup, other } = cell;
    let (access, vaults) = (&world.access, &world.services.vaults);
    let tag = cbr_model::tag::Tag { key: "k".into(), value: String::new() };
    match row {
        "backup" => world.start(vault, true).await.map(drop),
        "restore" => world.services.backups.restore(access, backup.id, in_place()).await.map(drop),
        "delete backup" => world.services.backups.delete(access, backup.id).await.map(drop),
        "bind" => {
            let more = vec![bind(vault.kind.resource_kind().unwrap(), SECOND_VOLUME)];
            vaults.add_resources(access, vault.id, more).await.map(drop)
        }
        "unbind" => vaults.remove_resources(access, vault.id, vec![id(VOLUME)]).await.map(drop),
        "set resource" => {
            vaults.set_auto_protect(access, vault.id, vec![id(VOLUME)], false).await.map(drop)
        }
        "migrate" => {
            vaults.migrate_resources(access, vault.id, other.id, vec![id(VOLUME)]).await.map(drop)
        }
        "migrate into" => {
            let second = vec![id(SECOND_VOLUME)];
            vaults.migrate_resources(access, other.id, vault.id, second).await.map(drop)
        }
        "expand" => world.update(vault, resize(200)).await.map(drop),
        "to prepaid" => vaults.make_prepaid(access, vec![vault.id], prepaid()).await.map(drop),
        "tag" => vaults.put_tags(access, vault.id, vec![tag]).await,
        "rename" => world.update(vault, rename()).await.map(drop),
        "delete" => vaults.delete(access, vault.id).await.map(drop),
        other => panic!("{other}"),
    }
}

/// Y.1, every state × every operation, through the use cases: VLT-50, VLT-51, VLT-52, VLT-53, VLT-54, VLT-55,
/// VLT-56, VLT-57, VLT-59, VLT-60, RST-25, BIL-05. Refused operations say that it is because of the state.
#[tokio::test]
async fn every_state_allows_what_the_table_says() {
    use VaultStatus::{Available, Deleting, Error as Failed, Frozen, Lock};
    #[rustfmt::skip]
    let table = [
        // operation       available lock   deleting frozen error
        ("backup",        [true,    true,  false,   false, false]),
        ("restore",       [true,    true,  false,   false, false]),
        ("delete backup", [true,    true,  false,   true,  true]),
        ("bind",          [true,    true,  false,   false, false]),
        ("unbind",        [true,    true,  false,   false, false]),
        ("set resource",  [true,    true,  false,   false, false]),
        ("migrate",       [true,    true,  false,   false, false]),
        ("migrate into",  [true,    true,  false,   false, false]),
        ("expand",        [true,    false, false,   false, false]),
        ("to prepaid",    [true,    false, false,   false, false]),
        ("tag",           [true,    true,  false,   true,  true]),
        ("rename",        [true,    true,  false,   false, true]),
        ("delete",        [true,    false, false,   false, true]),
    ];
    for (row, allowed) in table {
        let cells = || [Available, Lock, Deleting, Frozen, Failed].into_iter().zip(allowed);
        let cell = Cell::new(row).await;
        for (status, _) in cells().filter(|(_, is_allowed)| !is_allowed) {
            cell.world.set_status(&cell.vault, status).await;
            let before = cell.world.reread(&cell.vault).await;
            let refused = attempt(&cell, row).await.unwrap_err();
            let is_told = matches!(
                refused,
                Error::VaultStatus { .. }
                    | Error::VaultStatusForbidsBackup { .. }
                    | Error::VaultStatusForbidsRestore { .. }
                    | Error::VaultNotDeletable { .. }
                    | Error::Vault(VaultRefusal::Changing)
            );
            assert!(is_told, "{row} while {status:?}: {refused:?}");
            assert_eq!(cell.world.reread(&cell.vault).await, before, "{row} while {status:?}");
        }
        // What is allowed changes something: each in a world of its own.
        for (status, _) in cells().filter(|(_, is_allowed)| *is_allowed) {
            let cell = Cell::new(row).await;
            cell.world.set_status(&cell.vault, status).await;
            let done = attempt(&cell, row).await;
            assert!(done.is_ok(), "{row} while {status:?}: {done:?}");
        }
    }
}

/// Contract A.9 (WORM): what a policy made in a locked vault stays until it expires, whatever is tried;
/// what a person made can go; backups and restores go on; the lock is for ever.
#[tokio::test]
async fn a_locked_vault_keeps_what_policies_made() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let to = world.vault(VaultKind::Disk, &[]).await;
    let automatic = NewCheckpoint { auto_trigger: true, name: None, ..run(&vault) };
    world.services.checkpoints.create(&world.access, automatic).await.unwrap();
    world.settle().await;
    let kept = world.backups().await.remove(0);
    world.clock.advance(std::time::Duration::from_secs(1));
    let manual = world.back_up(&vault).await;
    let locked = VaultChange { locked: Some(true), ..VaultChange::default() };
    assert!(world.update(&vault, locked).await.unwrap().locked);

    let (access, vaults) = (&world.access, &world.services.vaults);
    let unlock = VaultChange { locked: Some(false), ..VaultChange::default() };
    assert!(matches!(world.update(&vault, unlock).await, Err(Error::VaultNotEditable { .. })));
    let refused = world.services.backups.delete(access, kept.id).await;
    assert!(matches!(refused, Err(Error::BackupLocked(_))), "{refused:?}");
    let refused = vaults.remove_resources(access, vault.id, vec![id(VOLUME)]).await;
    assert!(matches!(refused, Err(Error::VaultNotEditable { .. })), "{refused:?}");
    let refused = vaults.migrate_resources(access, vault.id, to.id, vec![id(VOLUME)]).await;
    assert!(matches!(refused, Err(Error::VaultNotEditable { .. })), "{refused:?}");
    let refused = vaults.delete(access, vault.id).await;
    let names = |reason: &str| reason.contains(&kept.id.to_string());
    assert!(matches!(&refused, Err(Error::VaultKept { reason }) if names(reason)), "{refused:?}");
    world.back_up(&vault).await;
    super::world::succeeded(&world.restore(kept.id).await.unwrap());
    world.services.backups.delete(access, manual.id).await.unwrap();
    world.settle().await;

    // Until it expires.
    let mut expired = world.services.backups.show(access, kept.id).await.unwrap();
    let mut tx = world.db.begin().await.unwrap();
    expired.expired_at = Some(tx.now());
    assert!(tx.backups().update(&expired, "available").await.unwrap());
    tx.commit().await.unwrap();
    vaults.delete(access, vault.id).await.unwrap();
    world.settle().await;
    assert_eq!(world.backups().await.len(), 0);
}

/// Contract C16: only what is kept until a time; an operation log says how many; never into the past,
/// and never earlier in a locked vault.
#[tokio::test]
async fn expirations_move_to_another_day() {
    let world = World::new().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME, SECOND_VOLUME]).await;
    let timed = NewCheckpoint { retention_days: Some(9), ..run(&vault) };
    let timed = world.services.checkpoints.create(&world.access, timed).await.unwrap();
    world.settle().await;
    world.clock.advance(std::time::Duration::from_secs(1));
    let for_ever = world.start(&vault, true).await.unwrap();
    world.settle().await;
    let now = world.db.read().await.unwrap().now();
    let until = |days: i64| ExpirationDay {
        day: "2026-12-24".into(),
        end: now.plus_seconds(days * 86_400),
    };
    let vaults = &world.services.vaults;
    let past = vaults.set_expiration(&world.access, vault.id, until(-1)).await;
    assert!(matches!(past, Err(Error::Invalid { .. })), "{past:?}");
    let changed = vaults.set_expiration(&world.access, vault.id, until(30)).await.unwrap();
    assert_eq!(changed.backups, 2);
    for backup in world.backups_of(&timed).await {
        assert_eq!(backup.expired_at, Some(until(30).end));
    }
    for backup in world.backups_of(&for_ever).await {
        assert_eq!(backup.expired_at, None);
    }
    let log = world.services.operations.show(&world.access, changed.log).await.unwrap();
    assert_eq!(
        (log.operation, log.status),
        (OperationType::UpdateExpiration, OperationStatus::Success)
    );
    assert_eq!((log.progress, log.ended_at.is_some(), log.vault), (100, true, Some(vault.id)));
    let details = OperationDetails::UpdateExpiration { backups: 2, day: "2026-12-24".into() };
    assert_eq!(log.details, details);
    world.settle().await;

    let automatic = NewCheckpoint { auto_trigger: true, name: None, ..run(&vault) };
    let automatic = world.services.checkpoints.create(&world.access, automatic).await.unwrap();
    world.settle().await;
    let mut kept = world.backups_of(&automatic).await.remove(0);
    kept.expired_at = Some(until(30).end);
    let mut tx = world.db.begin().await.unwrap();
    assert!(tx.backups().update(&kept, "available").await.unwrap());
    tx.commit().await.unwrap();
    let locked = VaultChange { locked: Some(true), ..VaultChange::default() };
    world.update(&vault, locked).await.unwrap();
    let earlier = vaults.set_expiration(&world.access, vault.id, until(29)).await;
    assert!(matches!(earlier, Err(Error::BackupLocked(id)) if id == kept.id), "{earlier:?}");
    let later = vaults.set_expiration(&world.access, vault.id, until(31)).await.unwrap();
    assert_eq!(later.backups, 3);
}

/// BIL-01, BIL-04, BIL-08, contract C65 … C67: orders are records, and change what they say.
#[tokio::test]
async fn orders_change_vaults_and_are_kept() {
    let world = World::new().await;
    let (access, vaults) = (&world.access, &world.services.vaults);
    let by_use = world.vault(VaultKind::Disk, &[]).await;
    let change = |vault: &Vault| OrderChange {
        vault: vault.id,
        order: None,
        product: "p-1".into(),
        size: Gib(300),
        specification: (VaultKind::Disk, Consistency::CrashConsistent),
        auto_pay: true,
    };
    let refused = vaults.change_order(access, change(&by_use)).await;
    assert!(
        matches!(refused, Err(Error::Vault(VaultRefusal::OrderNotFound { .. }))),
        "{refused:?}"
    );

    let order = vaults.make_prepaid(access, vec![by_use.id], prepaid()).await.unwrap();
    let vault = world.reread(&by_use).await;
    assert_eq!((vault.charging.mode, vault.charging.order), (ChargingMode::PrePaid, Some(order)));
    let twice = vaults.make_prepaid(access, vec![vault.id], prepaid()).await;
    assert!(matches!(twice, Err(Error::VaultNotEditable { .. })), "{twice:?}");
    let grows = VaultChange { auto_expand: Some(true), ..VaultChange::default() };
    let grows = world.update(&vault, grows).await;
    assert!(matches!(grows, Err(Error::VaultNotEditable { .. })), "{grows:?}");

    let foreign = OrderChange { order: Some(order), ..change(&world.ordered().await.unwrap()) };
    let foreign = vaults.change_order(access, foreign).await;
    assert!(
        matches!(foreign, Err(Error::Vault(VaultRefusal::OrderNotFound { .. }))),
        "{foreign:?}"
    );
    let wrong = OrderChange {
        specification: (VaultKind::Server, Consistency::CrashConsistent),
        ..change(&vault)
    };
    let wrong = vaults.change_order(access, wrong).await;
    assert!(matches!(wrong, Err(Error::Invalid { .. })), "{wrong:?}");
    let own = OrderChange { order: Some(order), ..change(&vault) };
    let second = vaults.change_order(access, own).await.unwrap();
    assert_eq!(world.reread(&vault).await.size, Gib(300));
    let lines =
        world.db.read().await.unwrap().orders().list(vault.project, vault.id).await.unwrap();
    let kinds: Vec<_> = lines.iter().map(|line| (line.id, line.kind, line.size)).collect();
    let want = [(order, OrderKind::ToPrepaid, Gib(100)), (second, OrderKind::Change, Gib(300))];
    assert_eq!(kinds.len(), 2);
    assert!(want.iter().all(|line| kinds.contains(line)), "{kinds:?}");

    world.set_status(&vault, VaultStatus::Lock).await;
    let busy = vaults.change_order(access, change(&vault)).await;
    assert!(matches!(busy, Err(Error::Vault(VaultRefusal::Changing))), "{busy:?}");
    world.set_status(&vault, VaultStatus::Available).await;
    let refused = vaults.delete(access, vault.id).await;
    assert!(matches!(refused, Err(Error::VaultKept { .. })), "VLT-63: {refused:?}");
    vaults.unsubscribe(access, vault.id).await.unwrap();
    world.settle().await;
    let lines =
        world.db.read().await.unwrap().orders().list(vault.project, vault.id).await.unwrap();
    assert_eq!(lines.len(), 2, "what was agreed outlives the vault");
    let by_use = world.vault(VaultKind::Disk, &[]).await;
    let refused = vaults.unsubscribe(access, by_use.id).await;
    assert!(
        matches!(refused, Err(Error::Vault(VaultRefusal::OrderNotFound { .. }))),
        "{refused:?}"
    );
}

/// Contract C67: all or none; each once.
#[tokio::test]
async fn vaults_become_prepaid_together_or_not_at_all() {
    let world = World::new().await;
    let vaults = &world.services.vaults;
    let first = world.vault(VaultKind::Disk, &[]).await;
    let already = world.ordered().await.unwrap();
    let all = [first.id, already.id];
    let refused = vaults.make_prepaid(&world.access, all.to_vec(), prepaid()).await;
    assert!(matches!(refused, Err(Error::VaultNotEditable { .. })), "{refused:?}");
    assert_eq!(world.reread(&first).await.charging.mode, ChargingMode::PostPaid);
    for bad in [vec![], vec![first.id, first.id], vec![first.id; 61]] {
        let refused = vaults.make_prepaid(&world.access, bad, prepaid()).await;
        assert!(matches!(refused, Err(Error::Invalid { field: "vault_ids", .. })), "{refused:?}");
    }
}

/// QUO-01, QUO-06, TAG-01: limits that an administrator set hold, and hold nobody's past against him.
#[tokio::test]
async fn quotas_limit_vaults_and_their_tags() {
    let world = World::new().await;
    let vaults = &world.services.vaults;
    let first = world.vault(VaultKind::Disk, &[]).await;
    vaults.set_quota(&world.access, Quota::Vaults, Some(1)).await.unwrap();
    let second = vaults.create(&world.access, wanted()).await;
    assert!(matches!(second, Err(Error::QuotaUsedUp { limit: 1, .. })), "{second:?}");
    vaults.set_quota(&world.access, Quota::Vaults, None).await.unwrap();
    vaults.create(&world.access, wanted()).await.unwrap();
    let quotas = vaults.quotas(&world.access).await.unwrap();
    assert_eq!((quotas[0].limit, quotas[0].used), (None, Some(2)));

    let tags = |n: usize| -> Vec<cbr_model::tag::Tag> {
        (0..n).map(|i| cbr_model::tag::Tag { key: format!("k{i}"), value: String::new() }).collect()
    };
    vaults.put_tags(&world.access, first.id, tags(10)).await.unwrap();
    let more = NewVault { tags: tags(11), ..wanted() };
    let refused = vaults.create(&world.access, more.clone()).await;
    assert!(matches!(refused, Err(Error::Tags(_))), "{refused:?}");
    vaults.set_quota(&world.access, Quota::VaultTags, Some(11)).await.unwrap();
    vaults.create(&world.access, more).await.unwrap();
    let high = vaults.set_quota(&world.access, Quota::VaultTags, Some(21)).await;
    assert!(matches!(high, Err(Error::Invalid { field: "limit", .. })), "{high:?}");
}

/// VLT-54: an administrator bars a vault and lifts it again; the reason is shown.
#[tokio::test]
async fn a_vault_is_frozen_and_unfrozen() {
    let world = World::new().await;
    let vaults = &world.services.vaults;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let frozen = vaults.freeze(&world.access, vault.id, "POLICE").await.unwrap();
    assert_eq!(
        (frozen.status, frozen.charging.frozen_scene.as_deref()),
        (VaultStatus::Frozen, Some("POLICE"))
    );
    let refused = world.start(&vault, true).await;
    assert!(matches!(refused, Err(Error::VaultStatusForbidsBackup { .. })));
    let twice = vaults.freeze(&world.access, vault.id, "POLICE").await;
    assert!(matches!(twice, Err(Error::VaultStatus { .. })), "{twice:?}");
    let thawed = vaults.unfreeze(&world.access, vault.id).await.unwrap();
    assert_eq!((thawed.status, thawed.charging.frozen_scene), (VaultStatus::Available, None));
    let twice = vaults.unfreeze(&world.access, vault.id).await;
    assert!(matches!(twice, Err(Error::VaultStatus { .. })), "{twice:?}");
}
