//! Orders of vaults (BIL-04, BIL-08, contract C65 … C67).
//!
//! An order that is paid, or has not to be, is carried out in the transaction that writes it down. One that
//! is not paid locks its vaults until it is paid or given up (VLT-52); a vault that it is to make is
//! frozen until then.

use std::collections::BTreeSet;

use cbr_db::Tx;
use cbr_model::order::{Order, OrderKind, OrderStatus};
use cbr_model::size::Gib;
use cbr_model::vault::{
    Charging, ChargingMode, Consistency, Vault, VaultKind, VaultStatus, VaultUse,
};
use cbr_model::{OrderId, Timestamp, VaultId};

use super::quotas::check_capacity;
use super::requests::{Prepaid, VaultChange};
use super::service::{Vaults, existing};
use crate::audit::Subject;
use crate::billing::{carry_out, new_line, place, take};
use crate::error::VaultRefusal;
use crate::error::db;
use crate::rules::billing::{complete, price_of_change};
use crate::rules::vault as rules;
use crate::{Access, Error, Result};

/// The most vaults one order makes prepaid (contract C67).
const VAULTS_MAX: usize = 60;

/// What shall be different about a prepaid vault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderChange {
    /// The vault.
    pub vault: VaultId,
    /// An order it has; none: it is not said.
    pub order: Option<OrderId>,
    /// What the caller calls the product.
    pub product: String,
    /// New capacity.
    pub size: Gib,
    /// New specification: what it holds, and how.
    pub specification: (VaultKind, Consistency),
    /// Whether what it costs is to be paid at once.
    pub auto_pay: bool,
}

impl Vaults {
    /// Changes capacity or specification of a prepaid vault (contract C65, C66); the id of the new order.
    pub async fn change_order(&self, access: &Access, wanted: OrderChange) -> Result<OrderId> {
        let mut tx = self.core.change(access, "changing an order").await?;
        let vault = existing(&mut tx, access.project(), wanted.vault).await?;
        if let Some(id) = wanted.order {
            let lines = tx.orders().find(access.project(), id).await;
            let lines = lines.map_err(db("reading an order"))?;
            if lines.iter().all(|line| line.vault != vault.id) {
                let reason = format!("order {id} is not one of its orders");
                return Err(Error::Vault(VaultRefusal::OrderNotFound { reason }));
            }
        }
        if vault.charging.mode == ChargingMode::PostPaid {
            return Err(Error::Vault(VaultRefusal::OrderNotFound {
                reason: "it is charged by use".to_owned(),
            }));
        }
        let (kind, consistency) = wanted.specification;
        if kind != vault.kind {
            let reason = format!("the vault is a {} vault", vault.kind.as_str());
            return Err(Error::invalid("resource_spec_code", reason));
        }
        check_changeable(&vault)?;
        let change = VaultChange {
            size: Some(wanted.size),
            consistency: Some(consistency),
            ..VaultChange::default()
        };
        let (before, now) = (vault.size, tx.now());
        let after = rules::changed(vault.clone(), &change, now)?;
        check_capacity(&mut tx, after.project, before, after.size).await?;
        let mut order = Order {
            product: Some(wanted.product),
            amount: price_of_change(&self.core.billing.prices, &vault, &after, now),
            ..new_line(&self.core, access, &after, OrderKind::Change, now)
        };
        let status = place(&self.core, &mut tx, &[order.clone()], wanted.auto_pay).await?;
        tx.orders().insert(&order).await.map_err(db("adding an order"))?;
        proceed(&mut tx, vault, &mut order, status).await?;
        tx.commit(Subject::new(after.id, &after.name)).await?;
        Ok(order.id)
    }

    /// Makes vaults that are charged by use prepaid, all or none (contract C67); the id of the order.
    pub async fn make_prepaid(
        &self,
        access: &Access,
        vaults: Vec<VaultId>,
        prepaid: Prepaid,
    ) -> Result<OrderId> {
        if !(1..=VAULTS_MAX).contains(&vaults.len()) {
            return Err(Error::invalid("vault_ids", format!("1 to {VAULTS_MAX} vaults")));
        }
        if vaults.iter().collect::<BTreeSet<_>>().len() != vaults.len() {
            return Err(Error::invalid("vault_ids", "a vault appears twice"));
        }
        let id = OrderId::random(&*self.core.random);
        let mut tx = self.core.change(access, "ordering").await?;
        let mut ordered = Vec::new();
        for vault in vaults {
            let vault = existing(&mut tx, access.project(), vault).await?;
            let refused = |reason: &str| {
                let reason = format!("vault {}: {reason}", vault.id);
                Err(Error::VaultNotEditable { reason })
            };
            if vault.charging.mode == ChargingMode::PrePaid {
                return refused("it is prepaid already");
            }
            if vault.auto_expand {
                return refused("it grows by itself, which only vaults do that are charged by use");
            }
            check_changeable(&vault)?;
            let line = self.period(access, &vault, prepaid, OrderKind::ToPrepaid, tx.now());
            ordered.push((vault, Order { id, ..line }));
        }
        let lines: Vec<Order> = ordered.iter().map(|(_, line)| line.clone()).collect();
        let status = place(&self.core, &mut tx, &lines, prepaid.auto_pay).await?;
        for (vault, mut line) in ordered {
            tx.orders().insert(&line).await.map_err(db("adding an order"))?;
            let subject = Subject::new(vault.id, &vault.name);
            proceed(&mut tx, vault, &mut line, status).await?;
            tx.record(subject).await?;
        }
        tx.commit_recorded().await?;
        Ok(id)
    }

    /// Orders a vault that is being made. Unless the order can be carried out at once the vault is frozen.
    pub(super) async fn order(
        &self,
        tx: &mut Tx,
        access: &Access,
        vault: &mut Vault,
        prepaid: Prepaid,
    ) -> Result<()> {
        let now = vault.created_at;
        let mut line = self.period(access, vault, prepaid, OrderKind::Create, now);
        if place(&self.core, tx, &[line.clone()], prepaid.auto_pay).await? == OrderStatus::Completed
        {
            complete(vault, &mut line, &[], now);
        } else {
            vault.status = VaultStatus::Frozen;
            vault.charging.frozen_scene = Some(Charging::UNPAID.to_owned());
            vault.charging.order = Some(line.id);
        }
        tx.orders().insert(&line).await.map_err(db("adding an order"))
    }

    /// Pays at once for what is different about a prepaid vault (BIL-08): nothing is to be had for nothing
    /// by changing it in another way. Without the money it is refused.
    pub(super) async fn buy_change(
        &self,
        tx: &mut Tx,
        access: &Access,
        before: &Vault,
        after: &Vault,
    ) -> Result<()> {
        let is_same = (before.size, before.consistency) == (after.size, after.consistency);
        if is_same || before.charging.mode == ChargingMode::PostPaid {
            return Ok(());
        }
        let now = tx.now();
        let order = Order {
            status: OrderStatus::Completed,
            amount: price_of_change(&self.core.billing.prices, before, after, now),
            ..new_line(&self.core, access, after, OrderKind::Change, now)
        };
        take(&self.core, tx, after.project, order.id, order.amount).await??;
        tx.orders().insert(&order).await.map_err(db("adding an order"))
    }

    /// A line that orders a period.
    fn period(
        &self,
        access: &Access,
        vault: &Vault,
        prepaid: Prepaid,
        kind: OrderKind,
        now: Timestamp,
    ) -> Order {
        let prices = self.core.billing.prices.of(vault.kind, vault.consistency);
        Order {
            period: Some(prepaid.period),
            auto_renew: prepaid.auto_renew,
            amount: prices.of_period(vault.size, prepaid.period),
            ..new_line(&self.core, access, vault, kind, now)
        }
    }
}

/// Carries an order out, or has its vault wait for it.
async fn proceed(tx: &mut Tx, vault: Vault, line: &mut Order, status: OrderStatus) -> Result<()> {
    if status == OrderStatus::Completed {
        return carry_out(tx, vault, line).await;
    }
    let (from, to) = ([VaultStatus::Available], VaultStatus::Lock);
    let changed = tx.vaults().change_status(vault.project, vault.id, &from, to).await;
    changed.map_err(db("changing a vault's status")).map(drop)
}

/// VLT-52: one change at a time, and only of a vault that allows it.
fn check_changeable(vault: &Vault) -> Result<()> {
    match vault.status {
        VaultStatus::Lock => Err(Error::Vault(VaultRefusal::Changing)),
        status if !status.allows(VaultUse::Resize) => Err(Error::VaultStatus { status }),
        _ => Ok(()),
    }
}
