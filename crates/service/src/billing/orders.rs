//! Orders: placed, paid, given up, renewed (BIL-02 … BIL-04, BIL-08).

use cbr_db::Tx;
use cbr_model::audit::Event;
use cbr_model::billing::{BalanceEntry, EntryKind, Money};
use cbr_model::order::{Order, OrderKind, OrderStatus, Period};
use cbr_model::query::Page;
use cbr_model::vault::{Charging, ChargingMode, Vault, VaultStatus};
use cbr_model::{OrderId, ProjectId, Timestamp, VaultId};

use super::service::Billing;
use crate::audit::Subject;
use crate::core::Core;
use crate::error::{VaultRefusal, db};
use crate::rules::billing::{begin_of_period, complete, price_of_change};
use crate::rules::capacity;
use crate::vaults::{Prepaid, check_capacity, existing};
use crate::{Access, Error, Result};

const DOING: &str = "ordering";
const GIVING_UP: &str = "giving up an order";
/// For so long an order can be paid.
const UNPAID_SECONDS: i64 = 7 * 24 * 60 * 60;
/// So many old orders are given up in one round.
const UNPAID_MAX: u32 = 100;
/// What it is recorded as when nobody has paid an order.
const GIVEN_UP: Event = Event::new("cancelOrder", "vault");

impl Billing {
    /// The project's orders, newest first, one line for each of their vaults; and how many lines there are.
    pub async fn orders(
        &self,
        access: &Access,
        vault: Option<VaultId>,
        page: Page,
    ) -> Result<(Vec<Order>, u64)> {
        let mut tx = self.core.db.read().await.map_err(db("listing orders"))?;
        let orders = tx.orders().page(access.project(), vault, &page).await;
        orders.map_err(db("listing orders"))
    }

    /// Pays an order from what the account has, and does what it says.
    pub async fn pay(&self, access: &Access, id: OrderId) -> Result<Vec<Order>> {
        let mut tx = self.core.change(access, "paying an order").await?;
        let mut lines = unpaid(&mut tx, access.project(), id).await?;
        for line in &lines {
            let vault = existing(&mut tx, access.project(), line.vault).await?;
            check_again(&self.core, &mut tx, &vault, line).await?;
        }
        if let Err(refusal) = take(&self.core, &mut tx, access.project(), id, cost(&lines)).await? {
            return Err(refusal.into());
        }
        for line in &mut lines {
            let vault = existing(&mut tx, access.project(), line.vault).await?;
            carry_out(&mut tx, vault, line).await?;
            let vault = existing(&mut tx, access.project(), line.vault).await?;
            tx.record(Subject::new(vault.id, &vault.name)).await?;
        }
        tx.commit_recorded().await?;
        Ok(lines)
    }

    /// Gives up an order that is not paid: its vaults are what they were, and one that it was to make is gone.
    pub async fn cancel(&self, access: &Access, id: OrderId) -> Result<Vec<Order>> {
        let mut tx = self.core.change(access, "cancelling an order").await?;
        let mut lines = unpaid(&mut tx, access.project(), id).await?;
        for line in &mut lines {
            let subject = give_up(&mut tx, line).await?;
            tx.record(subject).await?;
        }
        tx.commit_recorded().await?;
        Ok(lines)
    }

    /// Gives up orders that nobody has paid for long; says how many. A clock that is wrong gives up one
    /// that could have been paid, which is ordered again: nothing is lost with it. What would delete a
    /// vault, if only one that never was available, waits for a person (ADR 0022).
    pub(super) async fn give_up_old(&self) -> Result<u64> {
        let mut tx = self.core.db.read().await.map_err(db(GIVING_UP))?;
        let before = tx.now().plus_seconds(-UNPAID_SECONDS);
        let old = tx.orders().unpaid_before(before, UNPAID_MAX).await.map_err(db(GIVING_UP))?;
        drop(tx);
        let (mut count, mut failure) = (0, None);
        for (project, order) in old {
            match self.give_up_one(project, order).await {
                Ok(is_given_up) => count += u64::from(is_given_up),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(count), Err)
    }

    async fn give_up_one(&self, project: ProjectId, order: OrderId) -> Result<bool> {
        let mut tx = self.core.db.begin().await.map_err(db(GIVING_UP))?;
        let is_given_up = self.give_up_order(&mut tx, project, order).await?;
        tx.commit().await.map_err(db(GIVING_UP))?;
        Ok(is_given_up)
    }

    /// Gives up what a locked vault waits for; the vault as it is then. What else was ordered with it, for
    /// other vaults, goes on waiting, and so does a period for this one, which would end its debt.
    pub(super) async fn give_up_of(&self, tx: &mut Tx, vault: Vault) -> Result<Vault> {
        if vault.status != VaultStatus::Lock {
            return Ok(vault);
        }
        let locks = |line: &Order| {
            line.status == OrderStatus::Unpaid
                && matches!(line.kind, OrderKind::Change | OrderKind::ToPrepaid)
        };
        let lines = tx.orders().list(vault.project, vault.id).await.map_err(db(GIVING_UP))?;
        for mut line in lines.into_iter().filter(locks) {
            tracing::warn!(order = %line.id, "an order that nobody paid is given up for its vault");
            let subject = give_up(tx, &mut line).await?;
            self.core.record_by_system(tx, vault.project, GIVEN_UP, subject).await?;
        }
        existing(tx, vault.project, vault.id).await
    }

    /// Says whether it was not paid.
    async fn give_up_order(&self, tx: &mut Tx, project: ProjectId, order: OrderId) -> Result<bool> {
        let lines = tx.orders().find(project, order).await.map_err(db(GIVING_UP))?;
        let mut count = 0;
        for mut line in lines.into_iter().filter(|line| line.status == OrderStatus::Unpaid) {
            let subject = give_up(tx, &mut line).await?;
            self.core.record_by_system(tx, project, GIVEN_UP, subject).await?;
            count += 1;
        }
        if count > 0 {
            tracing::warn!(%order, "an order that nobody paid is given up");
        }
        Ok(count > 0)
    }

    /// Orders another period of a prepaid vault (BIL-03). One that froze because its period was over is
    /// available again once that is paid.
    pub async fn renew(&self, access: &Access, vault: VaultId, wanted: Prepaid) -> Result<Order> {
        let mut tx = self.core.change(access, "renewing a vault").await?;
        let vault = existing(&mut tx, access.project(), vault).await?;
        check_prepaid(&vault)?;
        let is_over = vault.charging.is_frozen_for(Charging::EXPIRED);
        if vault.status != VaultStatus::Available && !is_over {
            return Err(Error::VaultStatus { status: vault.status });
        }
        let prices = self.core.billing.prices.of(vault.kind, vault.consistency);
        let mut order = Order {
            period: Some(wanted.period),
            auto_renew: wanted.auto_renew,
            amount: prices.of_period(vault.size, wanted.period),
            ..new_line(&self.core, access, &vault, OrderKind::Renew, tx.now())
        };
        let status = place(&self.core, &mut tx, &[order.clone()], wanted.auto_pay).await?;
        tx.orders().insert(&order).await.map_err(db(DOING))?;
        let subject = Subject::new(vault.id, &vault.name);
        if status == OrderStatus::Completed {
            carry_out(&mut tx, vault, &mut order).await?;
        }
        tx.commit(subject).await?;
        Ok(order)
    }

    /// Says whether a prepaid vault's period is renewed when it ends (BIL-03): by a month if it was last
    /// ordered by months, by a year if by years.
    pub async fn set_auto_renew(
        &self,
        access: &Access,
        vault: VaultId,
        enabled: bool,
    ) -> Result<Vault> {
        let mut tx = self.core.change(access, "renewing a vault").await?;
        let mut vault = existing(&mut tx, access.project(), vault).await?;
        check_prepaid(&vault)?;
        if vault.status == VaultStatus::Deleting {
            return Err(Error::VaultStatus { status: vault.status });
        }
        let lines = tx.orders().list(vault.project, vault.id).await.map_err(db(DOING))?;
        let is_done = |line: &&Order| line.status == OrderStatus::Completed;
        let last = lines.iter().filter(is_done).filter_map(|line| line.period).next_back();
        vault.charging.renew = enabled.then(|| last.map(Period::unit)).flatten();
        tx.vaults().update(&vault).await.map_err(db("changing a vault"))?;
        tx.commit(Subject::new(vault.id, &vault.name)).await?;
        Ok(vault)
    }
}

fn check_prepaid(vault: &Vault) -> Result<()> {
    if vault.charging.mode == ChargingMode::PrePaid {
        return Ok(());
    }
    let reason = "it is charged by use".to_owned();
    Err(Error::Vault(VaultRefusal::OrderNotFound { reason }))
}

/// A new order of the vault as it is.
pub(crate) fn new_line(
    core: &Core,
    access: &Access,
    vault: &Vault,
    kind: OrderKind,
    now: Timestamp,
) -> Order {
    Order {
        id: OrderId::random(&*core.random),
        project: vault.project,
        user: access.caller().user.id,
        vault: vault.id,
        kind,
        size: vault.size,
        consistency: vault.consistency,
        product: None,
        period: None,
        auto_renew: false,
        status: OrderStatus::Unpaid,
        amount: Money(0),
        begins_at: None,
        ends_at: None,
        created_at: now,
    }
}

/// What the lines of an order cost together.
fn cost(lines: &[Order]) -> Money {
    Money(lines.iter().fold(0, |sum, line| sum.saturating_add(line.amount.0)))
}

/// Pays the lines of a new order if they shall be paid and can be: then they are to be carried out,
/// otherwise they stay unpaid.
pub(crate) async fn place(
    core: &Core,
    tx: &mut Tx,
    lines: &[Order],
    auto_pay: bool,
) -> Result<OrderStatus> {
    let Some(first) = lines.first() else { return Ok(OrderStatus::Completed) };
    if core.billing.driver.charges() && !auto_pay && cost(lines) > Money(0) {
        return Ok(OrderStatus::Unpaid);
    }
    let paid = take(core, tx, first.project, first.id, cost(lines)).await?;
    Ok(paid.map_or(OrderStatus::Unpaid, |()| OrderStatus::Completed))
}

/// Takes what an order costs from the account of the project, unless that would put it in arrears.
/// Where nothing is charged, nothing is taken.
pub(crate) async fn take(
    core: &Core,
    tx: &mut Tx,
    project: ProjectId,
    order: OrderId,
    amount: Money,
) -> Result<std::result::Result<(), VaultRefusal>> {
    let driver = &core.billing.driver;
    if !driver.charges() || amount == Money(0) {
        return Ok(Ok(()));
    }
    let found = tx.projects().find(project).await.map_err(db(DOING))?;
    let domain = found.ok_or(Error::ProjectNotFound(project))?.domain;
    let mut balance = tx.balances().find(domain).await.map_err(db(DOING))?;
    let left = Money(balance.whole.0.saturating_sub(amount.0));
    if left < driver.least() {
        let has = balance.whole.0;
        return Ok(Err(VaultRefusal::NotEnough { order, costs: amount.0, has }));
    }
    balance.whole = left;
    tx.balances().set(domain, balance).await.map_err(db(DOING))?;
    let entry = BalanceEntry {
        kind: EntryKind::Order,
        reference: order.to_string(),
        amount: Money(-amount.0),
        balance: left,
        note: "an order".to_owned(),
        at: tx.now(),
    };
    tx.balances().add_entry(domain, &entry).await.map_err(db(DOING))?;
    Ok(Ok(()))
}

/// Does what a paid line says, which is in the table already. Its period begins now, or where the one that
/// is paid ends.
pub(crate) async fn carry_out(tx: &mut Tx, vault: Vault, line: &mut Order) -> Result<()> {
    let begins = begin_of_period(&vault, tx.now());
    carry_out_from(tx, vault, line, begins).await
}

/// The same with a period that begins at `begins`.
pub(super) async fn carry_out_from(
    tx: &mut Tx,
    mut vault: Vault,
    line: &mut Order,
    begins: Timestamp,
) -> Result<()> {
    let lines = tx.orders().list(vault.project, vault.id).await.map_err(db(DOING))?;
    let before = vault.clone();
    complete(&mut vault, line, &lines, begins);
    tx.orders().settle(line).await.map_err(db(DOING))?;
    let is_lifted = match line.kind {
        OrderKind::Create => before.charging.is_frozen_for(Charging::UNPAID),
        OrderKind::Renew => before.charging.is_frozen_for(Charging::EXPIRED),
        OrderKind::Change | OrderKind::ToPrepaid => {
            unlock(tx, &before).await?;
            false
        }
    };
    if is_lifted {
        let (from, to) = ([VaultStatus::Frozen], VaultStatus::Available);
        let changed = tx.vaults().change_status(vault.project, vault.id, &from, to).await;
        changed.map_err(db(DOING))?;
        vault.charging.frozen_scene = None;
        tx.billing_steps().delete(vault.id).await.map_err(db(DOING))?;
    }
    tx.vaults().update(&vault).await.map_err(db("changing a vault"))?;
    Ok(())
}

/// Gives up a line of an order: its vault is what it was, and one that it was to make is gone.
async fn give_up(tx: &mut Tx, line: &mut Order) -> Result<Subject> {
    line.status = OrderStatus::Cancelled;
    tx.orders().settle(line).await.map_err(db(GIVING_UP))?;
    let vault = tx.vaults().find(line.project, line.vault).await.map_err(db(GIVING_UP))?;
    let Some(vault) = vault else { return Ok(Subject::new(line.vault, line.vault.to_string())) };
    match line.kind {
        // It never was available, so there is nothing in it.
        OrderKind::Create => {
            tx.vaults().delete(vault.project, vault.id).await.map_err(db(GIVING_UP))?;
        }
        OrderKind::Change | OrderKind::ToPrepaid => unlock(tx, &vault).await?,
        OrderKind::Renew => {}
    }
    Ok(Subject::new(vault.id, &vault.name))
}

/// Whether what was ordered can still be had: time has gone by since.
async fn check_again(core: &Core, tx: &mut Tx, vault: &Vault, line: &Order) -> Result<()> {
    let is_out_of_date = |status| {
        let order = line.id;
        Err(Error::Vault(VaultRefusal::OrderSettled { order, status }))
    };
    if line.created_at.plus_seconds(UNPAID_SECONDS) < tx.now() {
        return is_out_of_date("too old to be paid; order again");
    }
    if line.kind == OrderKind::Change {
        let after = Vault { size: line.size, consistency: line.consistency, ..vault.clone() };
        if price_of_change(&core.billing.prices, vault, &after, tx.now()) > line.amount {
            return is_out_of_date(
                "too cheap for the period that was added since; cancel it and order again",
            );
        }
        capacity::check(vault.kind, line.size, Some(vault.size), vault.allocated(), vault.used)?;
        return check_capacity(tx, vault.project, vault.size, line.size).await;
    }
    if (line.size, line.consistency) != (vault.size, vault.consistency) {
        return is_out_of_date("not about the vault as it is now; cancel it and order again");
    }
    Ok(())
}

/// VLT-52: a vault with an order that is not paid is locked; it is not any more.
async fn unlock(tx: &mut Tx, vault: &Vault) -> Result<()> {
    let (from, to) = ([VaultStatus::Lock], VaultStatus::Available);
    let changed = tx.vaults().change_status(vault.project, vault.id, &from, to).await;
    changed.map_err(db("changing a vault's status")).map(drop)
}

/// The lines of an order that are not paid; some may have been given up alone.
async fn unpaid(tx: &mut Tx, project: ProjectId, id: OrderId) -> Result<Vec<Order>> {
    let mut lines = tx.orders().find(project, id).await.map_err(db("reading an order"))?;
    let Some(first) = lines.first() else {
        let reason = format!("order {id} does not exist");
        return Err(Error::Vault(VaultRefusal::OrderNotFound { reason }));
    };
    let status = first.status.as_str();
    lines.retain(|line| line.status == OrderStatus::Unpaid);
    if lines.is_empty() {
        return Err(Error::Vault(VaultRefusal::OrderSettled { order: id, status }));
    }
    Ok(lines)
}
