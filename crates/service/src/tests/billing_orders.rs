//! Orders that nobody pays, and changes that want to be had for nothing.

use std::time::Duration;

use cbr_model::Timestamp;
use cbr_model::billing::Money;
use cbr_model::order::{OrderKind, OrderStatus};
use cbr_model::query::Page;
use cbr_model::quota::Quota;
use cbr_model::size::Gib;
use cbr_model::vault::{ChargingMode, Consistency, Vault, VaultKind, VaultStatus};

use super::billing::{DAY, hasty, month, world};
use super::world::{World, empty_database};
use crate::Error;
use crate::billing::BillingSettings;
use crate::error::VaultRefusal;
use crate::vaults::{OrderChange, VaultChange};

const WEEK: Duration = Duration::from_hours(7 * 24);

fn resize(size: u64) -> VaultChange {
    VaultChange { size: Some(Gib(size)), ..VaultChange::default() }
}

/// BIL-08, VLT-58: what is different about a prepaid vault is paid for, in whatever way it is changed;
/// without the money nothing changes.
#[tokio::test]
async fn a_prepaid_vault_is_not_enlarged_for_nothing() {
    let world = world(true, false).await;
    let (access, vaults) = (&world.access, &world.services.vaults);
    world.credit(1500, "a").await.unwrap();
    let vault = world.prepaid(month(false)).await;
    assert_eq!((vault.status, world.balance().await), (VaultStatus::Available, 0));
    let refused = vaults.update(access, vault.id, resize(200)).await;
    let is_short =
        matches!(refused, Err(Error::Vault(VaultRefusal::NotEnough { costs: 1500, has: 0, .. })));
    assert!(is_short, "{refused:?}");
    assert_eq!((world.reread(&vault).await.size, world.lines(&vault).await.len()), (Gib(100), 1));
    world.credit(1600, "b").await.unwrap();
    vaults.update(access, vault.id, resize(200)).await.unwrap();
    assert_eq!((world.reread(&vault).await.size, world.balance().await), (Gib(200), 100));
    let mut lines = world.lines(&vault).await.into_iter();
    let line = lines.find(|line| line.kind == OrderKind::Change).unwrap();
    assert_eq!(line.status, OrderStatus::Completed);
    assert_eq!((line.amount, line.size), (Money(1500), Gib(200)), "30 days of 100 GB more");
    // A name costs nothing, a smaller one nothing, and nothing comes back.
    let name = VaultChange { name: Some("other".into()), ..VaultChange::default() };
    vaults.update(access, vault.id, name).await.unwrap();
    assert_eq!(world.lines(&vault).await.len(), 2);
    vaults.update(access, vault.id, resize(50)).await.unwrap();
    assert_eq!(world.balance().await, 100);
}

/// BIL-08, ADR 0022: an order that nobody pays in a week is given up, its vault is what it was, and it
/// cannot be paid any more. A vault that one was to make waits for a person: no clock deletes it.
#[tokio::test]
async fn an_order_that_nobody_pays_is_given_up() {
    let world = world(true, false).await;
    let (access, services) = (&world.access, &world.services);
    let vault = world.vault(VaultKind::Disk, &[]).await;
    let order = services.vaults.make_prepaid(access, vec![vault.id], month(false)).await.unwrap();
    let made = world.prepaid(month(false)).await;
    world.clock.advance(WEEK);
    services.billing.sweep().await.unwrap();
    assert_eq!(world.status(&vault).await, VaultStatus::Lock);
    world.clock.advance(Duration::from_secs(1));
    let late = services.billing.pay(access, order).await;
    assert!(matches!(late, Err(Error::Vault(VaultRefusal::OrderSettled { .. }))), "{late:?}");
    assert_eq!(services.billing.sweep().await.unwrap(), 1);
    let after = world.reread(&vault).await;
    assert_eq!(
        (after.status, after.charging.mode),
        (VaultStatus::Available, ChargingMode::PostPaid)
    );
    assert_eq!(world.lines(&vault).await[0].status, OrderStatus::Cancelled);
    assert_eq!(world.status(&made).await, VaultStatus::Frozen);
    let late = services.billing.pay(access, made.charging.order.unwrap()).await;
    assert!(matches!(late, Err(Error::Vault(VaultRefusal::OrderSettled { .. }))), "{late:?}");
    services.billing.cancel(access, made.charging.order.unwrap()).await.unwrap();
    assert!(!world.is_there(&made).await);
    assert_eq!(services.billing.sweep().await.unwrap(), 0, "once");
    let recorded = services.billing.orders(access, None, Page::default()).await.unwrap();
    assert!(recorded.0.iter().all(|line| line.status == OrderStatus::Cancelled));
}

/// BIL-05, VLT-52, VLT-54: a vault that waits for an order that nobody pays freezes like any other, and its
/// order is given up.
#[tokio::test]
async fn an_unpaid_order_keeps_no_vault_from_freezing() {
    let world = hasty().await;
    let (access, services) = (&world.access, &world.services);
    world.credit(10, "a").await.unwrap();
    let vault = world.vault(VaultKind::Disk, &[]).await;
    let order = services.vaults.make_prepaid(access, vec![vault.id], month(false)).await.unwrap();
    assert_eq!(world.status(&vault).await, VaultStatus::Lock);
    world.hours(DAY).await;
    assert!(world.balance().await < 0);
    assert_eq!(world.scene(&vault).await, (VaultStatus::Frozen, Some("ARREARS".into())));
    assert_eq!(world.lines(&vault).await[0].status, OrderStatus::Cancelled);
    let refused = services.billing.pay(access, order).await;
    assert!(matches!(refused, Err(Error::Vault(VaultRefusal::OrderSettled { .. }))), "{refused:?}");
    world.credit(10_000, "b").await.unwrap();
    assert_eq!(world.scene(&vault).await, (VaultStatus::Available, None));
}

/// BIL-01: hours that the operator keeps no longer are forgotten if somebody has said that they are exported;
/// what nobody exported is kept longer, and then goes as well.
#[tokio::test]
async fn exported_hours_are_forgotten_and_others_kept_longer() {
    let settings =
        BillingSettings { history_days: 2, unexported_days: 4, ..BillingSettings::default() };
    let world = World::billed(empty_database().await, settings).await;
    let (access, billing) = (&world.access, &world.services.billing);
    world.vault(VaultKind::Disk, &[]).await;
    billing.meter().await.unwrap();
    let days = async |days: u32| {
        for _ in 0..days {
            world.clock.advance(Duration::from_hours(24));
            billing.meter().await.unwrap();
            billing.sweep().await.unwrap();
        }
        world.metered().await
    };
    let first = days(4).await;
    assert_eq!(first.len(), 4 * 24, "nothing is lost that nobody has");
    let at = |hour: i64| Timestamp(0).plus_seconds(hour * 3600);
    let beyond = billing.note_exported(access, None, at(first[95].0 + 2)).await;
    assert!(matches!(beyond, Err(Error::Invalid { field: "until", .. })), "{beyond:?}");
    assert_eq!(billing.exported_until(access).await.unwrap(), None);
    let end = at(first[24].0);
    assert_eq!(billing.note_exported(access, None, end).await.unwrap(), end);
    assert_eq!(
        billing.note_exported(access, None, at(first[3].0)).await.unwrap(),
        end,
        "never back"
    );
    assert_eq!(billing.exported_until(access).await.unwrap(), Some(end));
    billing.sweep().await.unwrap();
    assert_eq!(world.metered().await, first[24..], "what was exported, and nothing else");
    // What is not old enough stays, though it is exported.
    billing.note_exported(access, None, at(first[90].0)).await.unwrap();
    billing.sweep().await.unwrap();
    assert_eq!(world.metered().await, first[48..]);
    let later = days(4).await;
    assert_eq!(later.len(), 4 * 24, "the others go in the end");
    assert!(later.is_sorted() && later[0].0 == first[95].0 + 1);
    assert_eq!(billing.sweep().await.unwrap(), 0);
}

/// An order of more room that waits to be paid.
fn larger(vault: &Vault) -> OrderChange {
    OrderChange {
        vault: vault.id,
        order: None,
        product: "p".into(),
        size: Gib(300),
        specification: (VaultKind::Disk, Consistency::CrashConsistent),
        auto_pay: false,
    }
}

/// BIL-03, BIL-08: what was ordered of a vault as it was is not paid when it is another; a capacity that has
/// become too small is not paid either.
#[tokio::test]
async fn an_order_is_looked_at_again_when_it_is_paid() {
    let world = world(true, false).await;
    let (access, services) = (&world.access, &world.services);
    world.credit(10_000, "a").await.unwrap();
    let vault = world.prepaid(month(false)).await;
    let later = crate::vaults::Prepaid { auto_pay: false, ..month(false) };
    let renewal = services.billing.renew(access, vault.id, later).await.unwrap();
    services.vaults.update(access, vault.id, resize(200)).await.unwrap();
    let has = world.balance().await;
    let refused = services.billing.pay(access, renewal.id).await;
    assert!(matches!(refused, Err(Error::Vault(VaultRefusal::OrderSettled { .. }))), "{refused:?}");
    assert_eq!(world.balance().await, has);
    services.billing.cancel(access, renewal.id).await.unwrap();
    let order = services.vaults.change_order(access, larger(&vault)).await.unwrap();
    services.vaults.set_quota(access, Quota::CapacityGb, Some(250)).await.unwrap();
    let refused = services.billing.pay(access, order).await;
    assert!(matches!(refused, Err(Error::QuotaUsedUp { .. })), "{refused:?}");
    services.billing.cancel(access, order).await.unwrap();
    assert_eq!(world.status(&vault).await, VaultStatus::Available);
}

/// BIL-03, BIL-08: a larger vault is paid for all the time that is paid: not at the price of a day before
/// another month was added.
#[tokio::test]
async fn a_change_is_not_paid_at_the_price_of_a_shorter_time() {
    let world = world(true, false).await;
    let (access, services) = (&world.access, &world.services);
    world.credit(1_000_000, "a").await.unwrap();
    let vault = world.prepaid(month(false)).await;
    let later = crate::vaults::Prepaid { auto_pay: false, ..month(false) };
    let renewal = services.billing.renew(access, vault.id, later).await.unwrap();
    let order = services.vaults.change_order(access, larger(&vault)).await.unwrap();
    services.billing.pay(access, renewal.id).await.unwrap();
    let has = world.balance().await;
    let refused = services.billing.pay(access, order).await;
    assert!(matches!(refused, Err(Error::Vault(VaultRefusal::OrderSettled { .. }))), "{refused:?}");
    assert_eq!(world.balance().await, has);
    services.billing.cancel(access, order).await.unwrap();
    assert_eq!(world.status(&vault).await, VaultStatus::Available);
}
