//! Orders of vaults (BIL-04, BIL-08, contract C65 … C67).
//!
//! There is no billing centre: an order is written down, what it changes of the vaults changes in the
//! same transaction, and nobody is asked to pay.

use std::collections::BTreeSet;

use cbr_model::order::{Order, OrderKind};
use cbr_model::size::Gib;
use cbr_model::vault::{ChargingMode, Consistency, Vault, VaultKind, VaultStatus, VaultUse};
use cbr_model::{OrderId, VaultId};

use super::quotas::check_capacity;
use super::requests::{Prepaid, VaultChange};
use super::service::{Vaults, existing};
use crate::audit::Subject;
use crate::error::VaultRefusal;
use crate::error::db;
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
        let before = vault.size;
        let after = rules::changed(vault, &change, tx.now())?;
        check_capacity(&mut tx, after.project, before, after.size).await?;
        tx.vaults().update(&after).await.map_err(db("changing a vault"))?;
        let order = Order {
            product: Some(wanted.product),
            ..self.line(access, &after, OrderKind::Change, tx.now())
        };
        tx.orders().insert(&order).await.map_err(db("adding an order"))?;
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
            let order = Order {
                id,
                period: Some(prepaid.period),
                auto_renew: prepaid.auto_renew,
                ..self.line(access, &vault, OrderKind::ToPrepaid, tx.now())
            };
            tx.orders().insert(&order).await.map_err(db("adding an order"))?;
            let mut after = vault;
            after.charging.mode = ChargingMode::PrePaid;
            after.charging.order = Some(id);
            tx.vaults().update(&after).await.map_err(db("changing a vault"))?;
            tx.record(Subject::new(after.id, &after.name)).await?;
        }
        tx.commit_recorded().await?;
        Ok(id)
    }

    /// A new order of the vault as it is.
    pub(super) fn line(
        &self,
        access: &Access,
        vault: &Vault,
        kind: OrderKind,
        now: cbr_model::Timestamp,
    ) -> Order {
        Order {
            id: OrderId::random(&*self.core.random),
            project: vault.project,
            user: access.caller().user.id,
            vault: vault.id,
            kind,
            size: vault.size,
            consistency: vault.consistency,
            product: None,
            period: None,
            auto_renew: false,
            created_at: now,
        }
    }
}

/// VLT-52: one change at a time, and only of a vault that allows it.
fn check_changeable(vault: &Vault) -> Result<()> {
    match vault.status {
        VaultStatus::Lock => Err(Error::Vault(VaultRefusal::Changing)),
        status if !status.allows(VaultUse::Resize) => Err(Error::VaultStatus { status }),
        _ => Ok(()),
    }
}
