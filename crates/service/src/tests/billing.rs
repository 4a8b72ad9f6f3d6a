//! Money: hours, orders, balances, and what follows when nobody pays. All time is the test's.

use std::sync::Arc;
use std::time::Duration;

use cbr_model::Timestamp;
use cbr_model::backup::Backup;
use cbr_model::billing::{EntryKind, Money, PriceList, Prices};
use cbr_model::order::{Order, OrderKind, OrderStatus, Period, PeriodUnit};
use cbr_model::query::Page;
use cbr_model::size::Gib;
use cbr_model::vault::{ChargingMode, Consistency, Vault, VaultKind, VaultStatus};
use cbr_task::Outcome;
use cbr_task::harness::crash_matrix;
use cbr_testkit::{Engine, TestDatabase};

use super::world::{SERVER, VOLUME, World, empty_database, in_place, run};
use crate::billing::{Billing, BillingSettings, Credit, MeteringFilter, Prepayment, Showback};
use crate::checkpoints::NewCheckpoint;
use crate::error::VaultRefusal;
use crate::rules::vault::tests::wanted;
use crate::tasks::purge::PurgeTask;
use crate::vaults::{NewVault, OrderChange, Prepaid, VaultChange};
use crate::{Error, Result};

const HOUR: Duration = Duration::from_hours(1);
pub(super) const DAY: u32 = 24;

fn settings(charges: bool, releases: bool) -> BillingSettings {
    let prices = Prices {
        hour: "0.0274".parse().unwrap(),
        month: "15".parse().unwrap(),
        year: "150".parse().unwrap(),
    };
    let prices =
        PriceList { server: prices, database: prices, disk: prices, ..PriceList::default() };
    let settings = BillingSettings { prices, freezes: true, ..BillingSettings::default() };
    if charges {
        let driver = Arc::new(Prepayment { credit_limit: 0, releases });
        BillingSettings { driver, ..settings }
    } else {
        BillingSettings { driver: Arc::new(Showback { releases }), ..settings }
    }
}

/// One in which an hour and a day are enough.
pub(super) async fn hasty() -> World {
    let settings = BillingSettings { grace_hours: 1, retention_days: 1, ..settings(true, true) };
    World::billed(empty_database().await, settings).await
}

pub(super) async fn world(charges: bool, releases: bool) -> World {
    World::billed(empty_database().await, settings(charges, releases)).await
}

/// A month.
pub(super) const fn month(auto_renew: bool) -> Prepaid {
    Prepaid { period: Period::one(PeriodUnit::Month), auto_renew, auto_pay: true }
}

impl World {
    pub(super) async fn credit(&self, amount: i64, reference: &str) -> Result<i64> {
        let domain = self.account.domain;
        let (reference, note) = (reference.to_owned(), String::new());
        let credit = Credit { domain, amount, reference, note };
        Ok(self.services.billing.credit(&self.access, credit).await?.balance.0)
    }

    pub(super) async fn balance(&self) -> i64 {
        self.services.billing.account(&self.access).await.unwrap().balance.0
    }

    /// Lets so many hours go by as they do: with the sweeps of each.
    pub(super) async fn hours(&self, hours: u32) {
        for _ in 0..hours {
            self.clock.advance(HOUR);
            self.services.billing.meter().await.unwrap();
            self.services.billing.sweep().await.unwrap();
        }
    }

    pub(super) async fn metered(&self) -> Vec<(i64, u64)> {
        let filter = MeteringFilter { from: i64::MIN, until: i64::MAX, vault: None };
        let page = Page::default();
        let (rows, total, _) =
            self.services.billing.metered(&self.access, filter, page).await.unwrap();
        assert_eq!(rows.len() as u64, total);
        rows.into_iter().map(|row| (row.hour, row.size.0)).collect()
    }

    pub(super) async fn scene(&self, vault: &Vault) -> (VaultStatus, Option<String>) {
        let vault = self.reread(vault).await;
        (vault.status, vault.charging.frozen_scene)
    }

    pub(super) async fn status(&self, vault: &Vault) -> VaultStatus {
        self.reread(vault).await.status
    }

    pub(super) async fn prepaid(&self, prepaid: Prepaid) -> Vault {
        let wanted = NewVault { prepaid: Some(prepaid), ..wanted() };
        self.services.vaults.create(&self.access, wanted).await.unwrap()
    }

    pub(super) async fn lines(&self, vault: &Vault) -> Vec<Order> {
        let mut tx = self.db.read().await.unwrap();
        tx.orders().list(vault.project, vault.id).await.unwrap()
    }

    pub(super) async fn is_there(&self, vault: &Vault) -> bool {
        self.services.vaults.show(&self.access, vault.id).await.is_ok()
    }

    fn now(&self) -> Timestamp {
        use cbr_env::Clock;
        self.clock.now()
    }

    async fn resize(&self, vault: &Vault, size: u64) {
        let change = VaultChange { size: Some(Gib(size)), ..VaultChange::default() };
        self.services.vaults.update(&self.access, vault.id, change).await.unwrap();
    }
}

/// BIL-01: exactly one row for each vault and hour, over two nodes that meter at once, a restart, and hours
/// in which nobody metered; each with the capacity of its hour; prepaid hours are not metered.
#[tokio::test]
async fn every_hour_is_metered_once_and_as_it_was() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(database) = TestDatabase::on(engine) else { continue };
        let world = World::billed(database, settings(true, false)).await;
        world.credit(1_000_000, "start").await.unwrap();
        world.services.billing.meter().await.unwrap();
        let first = crate::billing::hour_of(world.now());
        let vault = world.vault(VaultKind::Disk, &[]).await;
        world.prepaid(month(false)).await;
        world.hours(2).await;
        // Nobody meters for three days, while the vault changes.
        world.clock.advance(HOUR);
        world.resize(&vault, 400).await;
        world.clock.advance(HOUR * 70);
        world.resize(&vault, 100).await;
        let nodes = [Billing::new(world.core()), Billing::new(world.core())];
        let (one, two) = tokio::join!(nodes[0].meter(), nodes[1].meter());
        assert_eq!(one.unwrap() + two.unwrap(), 71, "each hour by one of them");
        let restarted = Billing::new(world.core());
        assert_eq!(restarted.meter().await.unwrap(), 0);
        let hours = world.metered().await;
        let numbers: Vec<i64> = hours.iter().map(|(hour, _)| *hour).collect();
        assert_eq!(numbers, (first..first + 73).collect::<Vec<_>>(), "no gap and none twice");
        let sizes: Vec<u64> = hours.iter().map(|(_, size)| *size).collect();
        assert_eq!((sizes[1], sizes[2], sizes[3], sizes[72]), (100, 100, 400, 400));
        // Not a millionth is lost between the rows and the balance.
        let used: u64 = sizes.iter().map(|size| size * 27_400).sum();
        let mut tx = world.db.read().await.unwrap();
        let balance = tx.balances().find(world.account.domain).await.unwrap();
        let paid = 1_000_000 - 1500 - balance.whole.0;
        assert_eq!(u64::try_from(paid).unwrap() * 1_000_000 + balance.carry, used);
        let (entries, _) =
            tx.balances().entries(world.account.domain, &Page::default()).await.unwrap();
        let sum: i64 = entries.iter().map(|entry| entry.amount.0).sum();
        assert_eq!(Money(sum), balance.whole, "the entries explain it");
    }
}

/// ADR 0022: a clock that is far off meters nothing until somebody says so; one that goes back meters nothing twice.
#[tokio::test]
async fn a_clock_that_jumps_meters_nothing() {
    let world = world(false, false).await;
    world.services.billing.meter().await.unwrap();
    world.vault(VaultKind::Disk, &[]).await;
    world.hours(3).await;
    let right = world.now();
    world.clock.set(right.plus_seconds(10 * 365 * 86_400));
    assert_eq!(world.services.billing.meter().await.unwrap(), 0);
    assert!(world.services.billing.metering_state().await.unwrap().is_held);
    world.clock.set(right);
    world.hours(1).await;
    assert_eq!(world.metered().await.len(), 4);
    // Two days ahead, and back: those hours have been metered, and are not again.
    world.clock.advance(HOUR * 48);
    assert_eq!(world.services.billing.meter().await.unwrap(), 48);
    world.clock.set(right);
    world.hours(40).await;
    assert_eq!(world.metered().await.len(), 52);
    // A long break: a person goes on.
    world.clock.advance(HOUR * 24 * 40);
    assert_eq!(world.services.billing.meter().await.unwrap(), 0);
    world.services.billing.resume_metering(&world.access).await.unwrap();
    world.hours(2).await;
    assert_eq!(world.metered().await.len(), 54, "what lies between is not charged");
}

/// BIL-05, BIL-06, VLT-54, Y.1: arrears are noticed, then the vault freezes; nothing is backed up or restored;
/// paying makes it available at once. A vault that was barred for another reason stays barred.
#[tokio::test]
async fn arrears_freeze_and_paying_lifts_it() {
    let world = world(true, false).await;
    world.credit(100, "a").await.unwrap();
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let barred = world.vault(VaultKind::Disk, &[]).await;
    let backup: Backup = world.back_up(&vault).await;
    let (access, services) = (&world.access, &world.services);
    services.vaults.freeze(access, barred.id, "POLICE").await.unwrap();
    world.hours(37).await;
    assert!(world.balance().await >= 0, "36 hours cost 98.6");
    assert_eq!(world.status(&vault).await, VaultStatus::Available);
    world.hours(2).await;
    assert!(world.balance().await < 0);
    world.hours(DAY - 2).await;
    assert_eq!(world.status(&vault).await, VaultStatus::Available, "it is watched for a day");
    world.hours(2).await;
    assert_eq!(world.scene(&vault).await, (VaultStatus::Frozen, Some("ARREARS".into())));
    let owed = world.balance().await;
    world.hours(5).await;
    assert_eq!(world.balance().await, owed, "frozen hours are not charged");

    let refused = world.start(&vault, true).await;
    assert!(matches!(refused, Err(Error::VaultStatusForbidsBackup { .. })), "{refused:?}");
    let refused = services.backups.restore(access, backup.id, in_place()).await;
    assert!(matches!(refused, Err(Error::VaultStatusForbidsRestore { .. })), "{refused:?}");
    let refused = services.vaults.delete(access, vault.id).await;
    assert!(matches!(refused, Err(Error::VaultNotDeletable { .. })), "{refused:?}");
    let refused = services.vaults.unfreeze(access, vault.id).await;
    assert!(matches!(refused, Err(Error::VaultNotEditable { .. })), "{refused:?}");
    let refused = services.vaults.freeze(access, vault.id, "ARREARS").await;
    assert!(matches!(refused, Err(Error::Invalid { field: "scene", .. })), "{refused:?}");

    assert!(world.credit(-owed - 1, "b").await.unwrap() < 0);
    assert_eq!(world.status(&vault).await, VaultStatus::Frozen, "not enough");
    assert_eq!(world.credit(1, "c").await.unwrap(), 0);
    assert_eq!(world.scene(&vault).await, (VaultStatus::Available, None), "at once");
    assert_eq!(world.scene(&barred).await, (VaultStatus::Frozen, Some("POLICE".into())));
    // Another scene does not hide that it is not paid for: lifting that one would lift both.
    world.hours(DAY + 3).await;
    assert_eq!(world.scene(&vault).await.1.as_deref(), Some("ARREARS"));
    let refused = services.vaults.freeze(access, vault.id, "POLICE").await;
    assert!(matches!(refused, Err(Error::VaultNotEditable { .. })), "{refused:?}");
    assert_eq!(world.scene(&vault).await, (VaultStatus::Frozen, Some("ARREARS".into())));
    world.credit(10_000, "d").await.unwrap();
    world.hours(1).await;
    services.vaults.freeze(access, vault.id, "POLICE").await.unwrap();
    services.vaults.unfreeze(access, vault.id).await.unwrap();
    world.back_up(&vault).await;
}

/// BIL-01: the same credit again changes nothing; another one with its word is refused; only who runs the
/// installation gives.
#[tokio::test]
async fn credits_are_given_once_and_by_the_operator() {
    let world = world(true, false).await;
    assert_eq!(world.credit(500, "invoice 1").await.unwrap(), 500);
    assert_eq!(world.credit(500, "invoice 1").await.unwrap(), 500);
    let other = world.credit(600, "invoice 1").await;
    assert!(matches!(other, Err(Error::Invalid { field: "reference", .. })), "{other:?}");
    assert_eq!(world.credit(-200, "correction").await.unwrap(), 300);
    for (amount, reference) in [(0, "x"), (1, ""), (i64::MIN, "x"), (1, "a\nb")] {
        let refused = world.credit(amount, reference).await;
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{amount}: {refused:?}");
    }
    let (entries, total) =
        world.services.billing.entries(&world.access, Page::default()).await.unwrap();
    let shown: Vec<_> = entries.iter().map(|entry| (entry.kind, entry.amount.0)).collect();
    assert_eq!(shown, [(EntryKind::Credit, -200), (EntryKind::Credit, 500)]);
    assert_eq!(total, 2);
}

/// RET-21, BIL-06, BIL-09, ADR 0022: a frozen vault is deleted only where the operator's driver says so, after the
/// whole retention period was observed, hour by hour; its backups go to the trash like those of any other.
#[tokio::test]
async fn a_vault_is_released_only_after_an_observed_period_and_if_the_driver_says_so() {
    for releases in [false, true] {
        let world = world(true, releases).await;
        let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
        let backup = world.back_up(&vault).await;
        world.credit(-1, "owes").await.unwrap();
        world.hours(DAY).await;
        assert_eq!(world.status(&vault).await, VaultStatus::Frozen);
        world.hours(15 * DAY - 1).await;
        assert_eq!(world.status(&vault).await, VaultStatus::Frozen, "an hour is missing");
        world.hours(3).await;
        world.settle().await;
        assert_eq!(world.is_there(&vault).await, !releases);
        if releases {
            let trash = world.services.trash.list(&world.access).await.unwrap();
            assert_eq!(trash.len(), 1, "it can be taken back for as long as any other");
            assert_eq!(trash[0].backup.id, backup.id);
            let log = world.logs().await.remove(0);
            super::world::succeeded(&log);
        } else {
            world.hours(5 * DAY).await;
            assert_eq!(world.status(&vault).await, VaultStatus::Frozen, "for ever");
        }
    }
}

/// ADR 0022: no jump of the clock, however far and often, freezes or releases anything: what counts is what
/// somebody has watched.
#[tokio::test]
async fn no_clock_jump_deletes_anything() {
    let world = world(true, true).await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let prepaid = world.prepaid_for_free().await;
    world.back_up(&vault).await;
    world.credit(-1, "owes").await.unwrap();
    world.hours(2).await;
    let right = world.now();
    let years = Duration::from_hours(10 * 365 * 24);
    for _ in 0..5 {
        world.clock.advance(years);
        world.services.billing.sweep().await.unwrap();
        world.services.billing.sweep().await.unwrap();
        world.clock.set(right);
        world.services.billing.sweep().await.unwrap();
    }
    assert_eq!(world.status(&vault).await, VaultStatus::Available, "not even frozen");
    assert_eq!(world.status(&prepaid).await, VaultStatus::Available);
    world.hours(DAY).await;
    assert_eq!(world.status(&vault).await, VaultStatus::Frozen);
    for _ in 0..5 {
        world.clock.advance(years);
        world.services.billing.sweep().await.unwrap();
        // A restart observes nothing of what was before.
        Billing::new(world.core()).sweep().await.unwrap();
    }
    world.settle().await;
    assert_eq!(world.status(&vault).await, VaultStatus::Frozen);
    assert_eq!(world.backups().await.len(), 1);
}

impl World {
    /// A prepaid vault of an account that has nothing left afterwards.
    async fn prepaid_for_free(&self) -> Vault {
        self.credit(1500, "for a month").await.unwrap();
        let vault = self.prepaid(month(false)).await;
        assert_eq!((vault.status, self.balance().await), (VaultStatus::Available, 0));
        vault
    }
}

/// VLT-60, contract A.9: what a lock keeps is not released by money; when it has expired it is.
#[tokio::test]
async fn a_locked_vault_is_not_released() {
    let world = hasty().await;
    let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let automatic = NewCheckpoint { auto_trigger: true, name: None, ..run(&vault) };
    world.services.checkpoints.create(&world.access, automatic).await.unwrap();
    world.settle().await;
    let locked = VaultChange { locked: Some(true), ..VaultChange::default() };
    world.services.vaults.update(&world.access, vault.id, locked).await.unwrap();
    world.credit(-1, "owes").await.unwrap();
    world.hours(3 * DAY).await;
    assert_eq!(world.status(&vault).await, VaultStatus::Frozen);
    let mut kept = world.backups().await.remove(0);
    let mut tx = world.db.begin().await.unwrap();
    kept.expired_at = Some(tx.now());
    assert!(tx.backups().update(&kept, "available").await.unwrap());
    tx.commit().await.unwrap();
    world.hours(1).await;
    world.settle().await;
    assert!(!world.is_there(&vault).await);
}

/// IMG-06, BIL-06: what an image is made of is not released by money, and stays whole; and a purge that
/// finds it all the same touches nothing of it.
#[tokio::test]
async fn a_vault_with_an_image_is_not_released() {
    let world = hasty().await;
    let vault = world.vault(VaultKind::Server, &[SERVER]).await;
    let backups = [world.back_up(&vault).await, world.back_up(&vault).await];
    for backup in &backups {
        let wanted = super::images::wanted(backup.id);
        world.services.images.create(&world.access, wanted).await.unwrap();
    }
    world.settle().await;
    world.credit(-1, "owes").await.unwrap();
    world.hours(4 * DAY).await;
    world.settle().await;
    assert_eq!(world.status(&vault).await, VaultStatus::Frozen);
    assert_eq!(world.backups().await.len(), 2);

    let mut tx = world.db.begin().await.unwrap();
    let from = [VaultStatus::Frozen];
    let to = VaultStatus::Deleting;
    assert!(tx.vaults().change_status(vault.project, vault.id, &from, to).await.unwrap());
    let frozen = world.reread(&vault).await;
    tx.tasks().insert(&crate::tasks::purge::new_release(&world.core(), &frozen)).await.unwrap();
    tx.commit().await.unwrap();
    world.settle().await;
    assert_eq!(world.status(&vault).await, VaultStatus::Error, "it could not be emptied");
    let states: Vec<_> = world.backups().await.iter().map(|one| one.state.as_str()).collect();
    assert_eq!(states, ["available", "available"]);
    assert_eq!(world.versions().values().sum::<usize>(), 4, "two disks, twice");
}

/// BIL-01: a clock that was ahead and is set right charges no hour twice, also after a person said to
/// go on.
#[tokio::test]
async fn going_on_after_a_clock_that_was_ahead_charges_nothing_twice() {
    let world = world(true, false).await;
    world.credit(100_000, "a").await.unwrap();
    world.services.billing.meter().await.unwrap();
    world.vault(VaultKind::Disk, &[]).await;
    world.hours(2).await;
    let right = world.now();
    world.clock.advance(HOUR * 48);
    world.services.billing.meter().await.unwrap();
    let charged = world.balance().await;
    world.clock.set(right);
    world.services.billing.resume_metering(&world.access).await.unwrap();
    world.hours(48).await;
    assert_eq!(world.balance().await, charged, "these hours have been paid for");
    world.hours(3).await;
    assert!(world.balance().await < charged, "and metering goes on");
}

/// P3, P14: the release is the task of any deletion, and ends whole whenever it is interrupted.
#[tokio::test]
async fn a_crash_at_any_step_of_a_release_leaves_nothing_half_done() {
    let make = async || {
        let world = hasty().await;
        let vault = world.vault(VaultKind::Disk, &[VOLUME]).await;
        world.back_up(&vault).await;
        world.credit(-1, "owes").await.unwrap();
        world.hours(DAY + 2).await;
        let task = world.waiting().await;
        world.with_task::<PurgeTask>(task)
    };
    crash_matrix(make, async |made, fault, ended| {
        let world: &World = made.keep.downcast_ref().unwrap();
        assert_eq!(ended.outcome, Outcome::Success, "{fault:?}");
        assert_eq!(world.backups().await.len(), 0, "{fault:?}");
        let trash = world.services.trash.list(&world.access).await.unwrap();
        assert_eq!(trash.len(), 1, "{fault:?}");
    })
    .await;
}

/// BIL-02, BIL-03, BIL-05, BIL-09: without money the same flows: a period that is over freezes the vault where
/// the operator wants that; ordering another one makes it available.
#[tokio::test]
async fn a_period_ends_and_is_renewed_by_hand() {
    let world = world(false, true).await;
    let vault = world.prepaid(month(false)).await;
    let line = world.lines(&vault).await.remove(0);
    assert_eq!(
        (line.status, line.amount),
        (OrderStatus::Completed, Money(1500)),
        "shown, not asked for"
    );
    assert_eq!(vault.charging.paid_until, line.ends_at);
    world.hours(32 * DAY).await;
    assert_eq!(world.scene(&vault).await, (VaultStatus::Frozen, Some("EXPIRED".into())));
    let (access, billing) = (&world.access, &world.services.billing);
    let order = billing.renew(access, vault.id, month(true)).await.unwrap();
    assert_eq!((order.kind, order.status), (OrderKind::Renew, OrderStatus::Completed));
    assert!(order.begins_at.unwrap() > line.ends_at.unwrap(), "what was frozen is not paid for");
    let renewed = world.reread(&vault).await;
    assert_eq!(
        (renewed.status, renewed.charging.renew),
        (VaultStatus::Available, Some(PeriodUnit::Month))
    );
    assert_eq!(renewed.charging.paid_until, order.ends_at);
    let more = billing.renew(access, vault.id, month(false)).await.unwrap();
    assert_eq!(more.begins_at, order.ends_at, "one after the other");
    let by_use = world.vault(VaultKind::Disk, &[]).await;
    let refused = billing.renew(access, by_use.id, month(false)).await;
    assert!(
        matches!(refused, Err(Error::Vault(VaultRefusal::OrderNotFound { .. }))),
        "{refused:?}"
    );
    world.services.vaults.freeze(access, vault.id, "POLICE").await.unwrap();
    let refused = billing.renew(access, vault.id, month(false)).await;
    assert!(matches!(refused, Err(Error::VaultStatus { .. })), "{refused:?}");
}

/// BIL-03: bought by months, renewed by one month; by years, by one year; when it cannot be paid it is over.
#[tokio::test]
async fn a_period_is_renewed_by_itself() {
    let world = world(true, false).await;
    world.credit(1500 + 15_000 + 1500, "start").await.unwrap();
    let monthly = world.prepaid(month(true)).await;
    let yearly = Prepaid { period: Period::one(PeriodUnit::Year), ..month(true) };
    let yearly = world.prepaid(yearly).await;
    assert_eq!(world.balance().await, 1500);
    world.hours(32 * DAY).await;
    let lines = world.lines(&monthly).await;
    assert_eq!(lines.len(), 2, "once");
    assert_eq!(
        (lines[1].kind, lines[1].period),
        (OrderKind::Renew, Some(Period::one(PeriodUnit::Month)))
    );
    assert_eq!(lines[1].begins_at, lines[0].ends_at);
    assert_eq!(world.balance().await, 0);
    assert_eq!(world.status(&monthly).await, VaultStatus::Available);
    // Nothing is left for a third month.
    world.hours(32 * DAY).await;
    assert_eq!(world.scene(&monthly).await, (VaultStatus::Frozen, Some("EXPIRED".into())));
    assert_eq!(world.lines(&yearly).await.len(), 1, "its year is not over");
    world.credit(1500, "more").await.unwrap();
    assert_eq!(
        world.status(&monthly).await,
        VaultStatus::Available,
        "renewed as soon as it can be"
    );
    let billing = &world.services.billing;
    let off = billing.set_auto_renew(&world.access, yearly.id, false).await.unwrap();
    assert_eq!(off.charging.renew, None);
    let on = billing.set_auto_renew(&world.access, yearly.id, true).await.unwrap();
    assert_eq!(on.charging.renew, Some(PeriodUnit::Year));
}

/// BIL-04, BIL-08, VLT-52, VLT-58, contract 6123: an order that cannot be paid locks its vault until it is paid or
/// given up; a vault that it is to make is frozen until then.
#[tokio::test]
async fn orders_wait_to_be_paid() {
    let world = world(true, false).await;
    let (access, services) = (&world.access, &world.services);
    let by_use = world.vault(VaultKind::Disk, &[VOLUME]).await;
    let order = services.vaults.make_prepaid(access, vec![by_use.id], month(false)).await.unwrap();
    assert_eq!(world.status(&by_use).await, VaultStatus::Lock);
    let refused = services.vaults.make_prepaid(access, vec![by_use.id], month(false)).await;
    assert!(matches!(refused, Err(Error::Vault(VaultRefusal::Changing))), "{refused:?}");
    world.back_up(&by_use).await; // VLT-52: other operations go on
    let refused = services.billing.pay(access, order).await;
    let is_short =
        matches!(refused, Err(Error::Vault(VaultRefusal::NotEnough { costs: 1500, has: 0, .. })));
    assert!(is_short, "{refused:?}");
    services.billing.cancel(access, order).await.unwrap();
    let vault = world.reread(&by_use).await;
    assert_eq!(
        (vault.status, vault.charging.mode),
        (VaultStatus::Available, ChargingMode::PostPaid)
    );
    let refused = services.billing.pay(access, order).await;
    assert!(matches!(refused, Err(Error::Vault(VaultRefusal::OrderSettled { .. }))), "{refused:?}");

    let made = world.prepaid(month(false)).await;
    assert_eq!(world.scene(&made).await, (VaultStatus::Frozen, Some("UNPAID".into())));
    let (orders, _) =
        services.billing.orders(access, Some(made.id), Page::default()).await.unwrap();
    let dropped = world.prepaid(month(false)).await;
    services.billing.cancel(access, dropped.charging.order.unwrap()).await.unwrap();
    assert!(!world.is_there(&dropped).await);
    world.credit(1500, "a").await.unwrap();
    assert_eq!(world.status(&made).await, VaultStatus::Frozen, "having it is not paying it");
    let paid = services.billing.pay(access, orders[0].id).await.unwrap();
    assert_eq!((paid[0].status, world.balance().await), (OrderStatus::Completed, 0));
    let made = world.reread(&made).await;
    assert_eq!((made.status, made.charging.paid_until), (VaultStatus::Available, paid[0].ends_at));

    // A larger capacity costs the rest of the month; a smaller one nothing, and nothing comes back.
    let change = |size: u64, auto_pay: bool| OrderChange {
        vault: made.id,
        order: None,
        product: "p".into(),
        size: Gib(size),
        specification: (VaultKind::Disk, Consistency::CrashConsistent),
        auto_pay,
    };
    world.credit(1600, "b").await.unwrap();
    let order = services.vaults.change_order(access, change(200, false)).await.unwrap();
    let waiting = world.reread(&made).await;
    assert_eq!((waiting.status, waiting.size), (VaultStatus::Lock, Gib(100)), "nobody said to pay");
    let paid = services.billing.pay(access, order).await.unwrap();
    assert_eq!(paid[0].amount, Money(1500), "30 days of 100 GB more");
    assert_eq!((world.reread(&made).await.size, world.balance().await), (Gib(200), 100));
    services.vaults.change_order(access, change(50, true)).await.unwrap();
    assert_eq!((world.reread(&made).await.size, world.balance().await), (Gib(50), 100));
}
