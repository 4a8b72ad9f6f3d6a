//! Metered hours, balances, and the steps of what is not paid for.

use std::time::Duration;

use cbr_db::{DbError, MeteringFilter};
use cbr_model::billing::{
    Balance, BalanceEntry, BillingStep, Charged, EntryKind, Money, Price, StepKind,
};
use cbr_model::identity::{Domain, Project};
use cbr_model::query::Page;
use cbr_model::size::Gib;
use cbr_model::vault::{Charging, ChargingMode, Consistency, Vault, VaultKind, VaultStatus};
use cbr_model::{DomainId, ProjectId, Timestamp};
use cbr_testkit::{TestDatabase, on_both_engines};

use crate::builders::World;

on_both_engines! {
    an_hour_is_metered_once_and_with_the_largest_capacity_in_it,
    a_balance_is_explained_by_its_entries,
    vaults_that_are_not_paid_for_are_found,
}

const HOUR: Duration = Duration::from_hours(1);
const SERVERS: Charged = Charged::Vault(VaultKind::Server, Consistency::CrashConsistent);

impl World {
    async fn with_account(&self) -> DomainId {
        let domain = Domain { id: self.id(), name: "acme".into() };
        let mut tx = self.begin().await;
        tx.domains().insert(&domain).await.unwrap();
        for (id, name) in [(self.project, "one"), (self.id(), "two")] {
            let project = Project { id, domain: domain.id, name: name.into(), enabled: true };
            tx.projects().insert(&project).await.unwrap();
        }
        tx.commit().await.unwrap();
        domain.id
    }

    async fn resize(&self, vault: &mut Vault, size: u64) {
        vault.size = Gib(size);
        let mut tx = self.begin().await;
        assert!(tx.vaults().update(vault).await.unwrap());
        tx.commit().await.unwrap();
    }

    async fn becomes(&self, vault: &Vault, to: VaultStatus) {
        let mut tx = self.begin().await;
        let all = VaultStatus::ALL;
        assert!(tx.vaults().change_status(vault.project, vault.id, &all, to).await.unwrap());
        tx.commit().await.unwrap();
    }

    /// Meters an hour; how many rows there are more.
    async fn meter(&self, hour: i64) -> u64 {
        let price = Price::from_millionths(1000).unwrap();
        let mut tx = self.begin().await;
        let rows = tx.metering().meter(hour, SERVERS, price, "EUR").await.unwrap();
        tx.commit().await.unwrap();
        rows
    }

    async fn metered(&self, project: ProjectId) -> Vec<(i64, u64, u64)> {
        let filter = MeteringFilter { from: i64::MIN, until: i64::MAX, vault: None };
        let mut tx = self.read().await;
        let (rows, total, amount) =
            tx.metering().list(project, filter, &Page::default()).await.unwrap();
        assert_eq!(total, rows.len() as u64);
        assert_eq!(amount, rows.iter().map(|row| row.amount).sum::<u64>());
        rows.iter().map(|row| (row.hour, row.size.0, row.amount)).collect()
    }
}

/// BIL-01: whoever meters it again; the largest capacity in the hour; not a vault that was not there, not
/// charged by use, frozen, or already going; also of one that is gone.
async fn an_hour_is_metered_once_and_with_the_largest_capacity_in_it(database: TestDatabase) {
    let world = World::on(database).await;
    let domain = world.with_account().await;
    // The clock stands in hour 0.
    let mut vault = world.stored_vault("v").await;
    let mut prepaid = world.vault("p");
    prepaid.charging.mode = ChargingMode::PrePaid;
    let mut tx = world.begin().await;
    tx.vaults().insert(&prepaid).await.unwrap();
    tx.commit().await.unwrap();
    world.clock.advance(Duration::from_mins(5));
    world.resize(&mut vault, 300).await;
    world.clock.advance(Duration::from_mins(5));
    world.resize(&mut vault, 200).await;
    world.clock.advance(HOUR); // hour 1
    world.becomes(&vault, VaultStatus::Frozen).await;
    world.clock.advance(HOUR * 2); // hour 3
    world.becomes(&vault, VaultStatus::Available).await;
    world.clock.advance(HOUR); // hour 4
    let mut tx = world.begin().await;
    assert!(tx.vaults().delete(vault.project, vault.id).await.unwrap());
    tx.commit().await.unwrap();
    world.clock.advance(HOUR * 2);

    let rows = [world.meter(0).await, world.meter(0).await, world.meter(1).await];
    assert_eq!(rows, [1, 0, 1], "once");
    for (hour, rows) in [(-1, 0), (2, 0), (3, 1), (4, 1), (5, 0)] {
        assert_eq!(world.meter(hour).await, rows, "hour {hour}");
    }
    let want = [(0, 300, 300_000), (1, 200, 200_000), (3, 200, 200_000), (4, 200, 200_000)];
    assert_eq!(world.metered(world.project).await, want);
    assert_eq!(world.metered(world.id()).await, []);
    let mut tx = world.read().await;
    assert_eq!(tx.metering().used(0).await.unwrap(), [(domain, 300_000)]);
    assert_eq!(tx.metering().used(2).await.unwrap(), []);
    let filter = MeteringFilter { from: 1, until: 4, vault: Some(vault.id) };
    let page = Page { limit: 1, offset: 1, marker: None };
    let (rows, total, amount) = tx.metering().list(world.project, filter, &page).await.unwrap();
    assert_eq!((rows.len(), rows[0].hour, total, amount), (1, 3, 2, 400_000));
}

/// BIL-01, BIL-06: one entry for each reason.
async fn a_balance_is_explained_by_its_entries(database: TestDatabase) {
    let world = World::on(database).await;
    let (domain, other): (DomainId, DomainId) = (world.id(), world.id());
    let mut tx = world.begin().await;
    assert_eq!(tx.balances().find(domain).await.unwrap(), Balance::default());
    let entry = |kind, reference: &str, amount, balance| BalanceEntry {
        kind,
        reference: reference.into(),
        amount: Money(amount),
        balance: Money(balance),
        note: "备".into(),
        at: world.now(),
    };
    for (kind, reference, amount, balance) in
        [(EntryKind::Credit, "a", 500, 500), (EntryKind::Usage, "a", -700, -200)]
    {
        let after = Balance { whole: Money(balance), carry: 7 };
        tx.balances().set(domain, after).await.unwrap();
        tx.balances().add_entry(domain, &entry(kind, reference, amount, balance)).await.unwrap();
    }
    tx.balances().set(other, Balance::default()).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.read().await;
    let balance = tx.balances().find(domain).await.unwrap();
    assert_eq!(balance, Balance { whole: Money(-200), carry: 7 });
    assert_eq!(tx.balances().below(Money(0)).await.unwrap(), [(domain, Money(-200))]);
    assert_eq!(tx.balances().below(Money(-200)).await.unwrap(), []);
    let (entries, total) = tx.balances().entries(domain, &Page::default()).await.unwrap();
    assert_eq!(total, 2);
    assert_eq!(entries[0], entry(EntryKind::Usage, "a", -700, -200));
    let found = tx.balances().find_entry(domain, EntryKind::Credit, "a").await.unwrap();
    assert_eq!(found.as_ref(), Some(&entries[1]));
    assert_eq!(tx.balances().find_entry(domain, EntryKind::Order, "a").await.unwrap(), None);
    drop(tx);
    let mut tx = world.begin().await;
    let again = tx.balances().add_entry(domain, &entry(EntryKind::Credit, "a", 1, 1)).await;
    assert!(matches!(again, Err(DbError::Taken { .. })), "{again:?}");
}

fn freeze(vault: &mut Vault, scene: &str) {
    vault.status = VaultStatus::Frozen;
    vault.charging.mode = ChargingMode::PrePaid;
    vault.charging.frozen_scene = Some(scene.into());
}

/// The names of all candidates, read in pages, which neither overlap nor leave gaps.
async fn candidates(world: &World, in_arrears: &[DomainId]) -> Vec<String> {
    let mut tx = world.read().await;
    let now = tx.now();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let some = tx.billing_steps().candidates(now, in_arrears, after, 2).await.unwrap();
        let Some((_, last)) = some.last() else { break };
        after = Some(*last);
        for (project, id) in some {
            found.push(tx.vaults().find(project, id).await.unwrap().unwrap().name.to_string());
        }
    }
    found.sort();
    found
}

/// VLT-54, BIL-05: those with a step, those frozen for money, those whose period is over, and those by use of
/// accounts in arrears; no others.
async fn vaults_that_are_not_paid_for_are_found(database: TestDatabase) {
    let world = World::on(database).await;
    let domain = world.with_account().await;
    let store = async |name: &str, change: fn(&mut Vault)| {
        let mut vault = world.vault(name);
        change(&mut vault);
        let mut tx = world.begin().await;
        tx.vaults().insert(&vault).await.unwrap();
        tx.commit().await.unwrap();
        vault
    };
    let noticed = store("noticed", |_| ()).await;
    store("by-use", |_| ()).await;
    store("arrears", |vault| freeze(vault, Charging::ARREARS)).await;
    store("barred", |vault| freeze(vault, "POLICE")).await;
    store("over", |vault| {
        vault.charging.mode = ChargingMode::PrePaid;
        vault.charging.paid_until = Some(Timestamp(1_000_000));
    })
    .await;
    store("paid", |vault| {
        vault.charging.mode = ChargingMode::PrePaid;
        vault.charging.paid_until = Some(Timestamp(1_000_001));
    })
    .await;
    let step = BillingStep {
        kind: StepKind::Noticed,
        scene: Charging::ARREARS.into(),
        observed: 5,
        at: Timestamp(6),
    };
    let mut tx = world.begin().await;
    tx.billing_steps().set(noticed.project, noticed.id, &step).await.unwrap();
    let later = BillingStep { kind: StepKind::Frozen, observed: 9, ..step };
    tx.billing_steps().set(noticed.project, noticed.id, &later).await.unwrap();
    assert_eq!(tx.billing_steps().find(noticed.id).await.unwrap().as_ref(), Some(&later));
    tx.commit().await.unwrap();
    for (in_arrears, want) in [
        (vec![], vec!["arrears", "noticed", "over"]),
        (vec![world.id()], vec!["arrears", "noticed", "over"]),
        (vec![domain], vec!["arrears", "by-use", "noticed", "over"]),
    ] {
        assert_eq!(candidates(&world, &in_arrears).await, want);
    }
    let mut tx = world.begin().await;
    tx.billing_steps().delete(noticed.id).await.unwrap();
    assert_eq!(tx.billing_steps().find(noticed.id).await.unwrap(), None);
    tx.billing_steps().set(noticed.project, noticed.id, &later).await.unwrap();
    assert!(tx.vaults().delete(noticed.project, noticed.id).await.unwrap());
    assert_eq!(tx.billing_steps().find(noticed.id).await.unwrap(), None, "gone with its vault");
}
