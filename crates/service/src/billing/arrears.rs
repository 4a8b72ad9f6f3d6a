//! What follows when vaults are not paid for: the sweep that does what [`next`] says (VLT-54, BIL-03, BIL-05,
//! BIL-06, ADR 0022).

use cbr_db::Tx;
use cbr_model::audit::Event;
use cbr_model::billing::{BillingStep, Money, StepKind};
use cbr_model::order::{Order, OrderKind, OrderStatus, Period, PeriodUnit};
use cbr_model::vault::{Charging, ChargingMode, Vault, VaultStatus};
use cbr_model::{DomainId, OrderId, ProjectId, VaultId};

use super::orders::{carry_out_from, take};
use super::service::Billing;
use crate::audit::Subject;
use crate::error::db;
use crate::exports::refuse_exported_in_vault;
use crate::images::refuse_imaged_in_vault;
use crate::rules::billing::{Action, Facts, Observed, next};
use crate::tasks::purge;
use crate::vaults::is_at_work;
use crate::{Error, Result};

const DOING: &str = "looking after what is not paid";
/// So many vaults are looked for in one query.
const BATCH: u32 = 200;
const FROZEN: Event = Event::new("freezeVault", "vault");
const THAWED: Event = Event::new("unfreezeVault", "vault");
const RENEWED: Event = Event::new("renewVault", "vault");
const RELEASED: Event = Event::new("deleteVault", "vault");

/// What is to be done about a vault, and why.
struct Due {
    vault: Vault,
    action: Action,
    debt: Option<&'static str>,
}

impl Billing {
    /// Does what is due about vaults that are not paid for, and about those that are again; says about
    /// how many. Each in a transaction of its own: one that cannot be looked after is in nobody's way.
    pub async fn sweep(&self) -> Result<u64> {
        let mut tx = self.core.db.begin().await.map_err(db(DOING))?;
        let observed = self.watch.look(&mut tx, &*self.core.clock).await?;
        tx.commit().await.map_err(db(DOING))?;
        let (mut done, mut after, mut failure) = (0, None, None);
        let mut note = |result: Result<u64>| match result {
            Ok(count) => done += count,
            Err(error) => failure = failure.take().or(Some(error)),
        };
        note(self.give_up_old().await);
        note(self.forget_old().await);
        loop {
            let some = self.candidates(after).await?;
            for (project, vault) in &some {
                note(self.look_after(*project, *vault, observed).await.map(u64::from));
            }
            if some.len() < BATCH as usize {
                break;
            }
            after = some.last().map(|(_, vault)| *vault);
        }
        if done > 0 {
            self.core.wake();
        }
        failure.map_or(Ok(done), Err)
    }

    async fn candidates(&self, after: Option<VaultId>) -> Result<Vec<(ProjectId, VaultId)>> {
        let mut tx = self.core.db.read().await.map_err(db(DOING))?;
        let driver = &self.core.billing.driver;
        let in_arrears: Vec<DomainId> = if driver.charges() {
            let below = tx.balances().below(driver.least()).await.map_err(db(DOING))?;
            below.into_iter().map(|(domain, _)| domain).collect()
        } else {
            Vec::new()
        };
        let now = tx.now();
        let found = tx.billing_steps().candidates(now, &in_arrears, after, BATCH).await;
        found.map_err(db(DOING))
    }

    async fn look_after(
        &self,
        project: ProjectId,
        vault: VaultId,
        observed: Observed,
    ) -> Result<bool> {
        let mut tx = self.core.db.read().await.map_err(db(DOING))?;
        if self.due(&mut tx, project, vault, observed).await?.is_none() {
            return Ok(false);
        }
        drop(tx);
        let mut tx = self.core.db.begin().await.map_err(db(DOING))?;
        let Some(due) = self.due(&mut tx, project, vault, observed).await? else {
            return Ok(false);
        };
        let is_done = self.act(&mut tx, due, observed).await?;
        tx.commit().await.map_err(db(DOING))?;
        Ok(is_done)
    }

    /// What is to be done about a vault; none: nothing.
    async fn due(
        &self,
        tx: &mut Tx,
        project: ProjectId,
        vault: VaultId,
        observed: Observed,
    ) -> Result<Option<Due>> {
        let Some(vault) = tx.vaults().find(project, vault).await.map_err(db(DOING))? else {
            return Ok(None);
        };
        let domain = tx.projects().find(project).await.map_err(db(DOING))?;
        let domain = domain.map(|project| project.domain);
        let driver = &self.core.billing.driver;
        let owes = match domain {
            Some(domain) if driver.charges() => {
                let balance = tx.balances().find(domain).await.map_err(db(DOING))?;
                balance.whole < driver.least()
            }
            _ => false,
        };
        let debt = match (vault.charging.mode, vault.charging.paid_until) {
            (ChargingMode::PostPaid, _) if owes => Some(Charging::ARREARS),
            (ChargingMode::PrePaid, Some(until)) if until <= tx.now() => Some(Charging::EXPIRED),
            _ => None,
        };
        let step = tx.billing_steps().find(vault.id).await.map_err(db(DOING))?;
        let facts = Facts {
            status: vault.status,
            frozen_scene: vault.charging.frozen_scene.as_deref(),
            debt,
            may_renew: self.may_renew(tx, &vault, domain).await?,
            step: step.as_ref(),
        };
        let action = next(&facts, observed, self.core.billing.patience());
        Ok((action != Action::Nothing).then_some(Due { vault, action, debt }))
    }

    async fn may_renew(
        &self,
        tx: &mut Tx,
        vault: &Vault,
        domain: Option<DomainId>,
    ) -> Result<bool> {
        // One that an administrator has barred, or that is going, is not paid for any longer.
        let is_kept = match vault.status {
            VaultStatus::Deleting => false,
            VaultStatus::Frozen => vault.charging.is_frozen_for(Charging::EXPIRED),
            VaultStatus::Available | VaultStatus::Lock | VaultStatus::Error => true,
        };
        let (Some(unit), true, Some(domain)) = (vault.charging.renew, is_kept, domain) else {
            return Ok(false);
        };
        let driver = &self.core.billing.driver;
        if !driver.charges() {
            return Ok(true);
        }
        let has = tx.balances().find(domain).await.map_err(db(DOING))?.whole;
        let left = has.0.saturating_sub(self.price(vault, unit).0);
        Ok(Money(left) >= driver.least())
    }

    fn price(&self, vault: &Vault, unit: PeriodUnit) -> Money {
        let prices = self.core.billing.prices.of(vault.kind, vault.consistency);
        prices.of_period(vault.size, Period::one(unit))
    }

    /// Whether something was done.
    async fn act(
        &self,
        tx: &mut Tx,
        Due { vault, action, debt }: Due,
        observed: Observed,
    ) -> Result<bool> {
        let at = tx.now();
        let step = |kind| {
            let scene = debt.unwrap_or_default().to_owned();
            BillingStep { kind, scene, observed, at }
        };
        let (project, id) = (vault.project, vault.id);
        match action {
            Action::Nothing => return Ok(false),
            Action::Forget => tx.billing_steps().delete(id).await.map_err(db(DOING))?,
            Action::Notice => {
                let step = step(StepKind::Noticed);
                tracing::warn!(vault = %id, step.scene, "a vault is not paid for");
                tx.billing_steps().set(project, id, &step).await.map_err(db(DOING))?;
            }
            Action::Freeze => {
                let step = step(StepKind::Frozen);
                tx.billing_steps().set(project, id, &step).await.map_err(db(DOING))?;
                // An order that nobody pays keeps no vault from freezing.
                let vault = self.give_up_of(tx, vault).await?;
                self.change(tx, vault, VaultStatus::Frozen, Some(step.scene), FROZEN).await?;
            }
            Action::Thaw => {
                tx.billing_steps().delete(id).await.map_err(db(DOING))?;
                self.change(tx, vault, VaultStatus::Available, None, THAWED).await?;
            }
            Action::Renew => {
                self.renew_by_itself(tx, vault).await?;
                let step = step(StepKind::Renewed);
                tx.billing_steps().set(project, id, &step).await.map_err(db(DOING))?;
            }
            Action::Release => return self.release(tx, &vault).await,
        }
        Ok(true)
    }

    /// Freezes a vault, or lifts that.
    async fn change(
        &self,
        tx: &mut Tx,
        mut vault: Vault,
        to: VaultStatus,
        scene: Option<String>,
        event: Event,
    ) -> Result<()> {
        let from = [VaultStatus::Available, VaultStatus::Frozen];
        let changed = tx.vaults().change_status(vault.project, vault.id, &from, to).await;
        if !changed.map_err(db(DOING))? {
            return Err(Error::VaultStatus { status: vault.status });
        }
        tracing::warn!(vault = %vault.id, to = to.as_str(), ?scene, "a vault changes for money");
        vault.charging.frozen_scene = scene;
        tx.vaults().update(&vault).await.map_err(db(DOING))?;
        let subject = Subject::new(vault.id, &vault.name);
        self.core.record_by_system(tx, vault.project, event, subject).await
    }

    /// BIL-03: bought by months, a month; by years, a year. It begins where the last one ended.
    async fn renew_by_itself(&self, tx: &mut Tx, vault: Vault) -> Result<()> {
        let (Some(unit), Some(begins)) = (vault.charging.renew, vault.charging.paid_until) else {
            return Ok(());
        };
        let now = tx.now();
        let mut order = Order {
            id: OrderId::random(&*self.core.random),
            project: vault.project,
            user: vault.user,
            vault: vault.id,
            kind: OrderKind::Renew,
            size: vault.size,
            consistency: vault.consistency,
            product: None,
            period: Some(Period::one(unit)),
            auto_renew: true,
            status: OrderStatus::Unpaid,
            amount: self.price(&vault, unit),
            begins_at: None,
            ends_at: None,
            created_at: now,
        };
        let paid = take(&self.core, tx, vault.project, order.id, order.amount).await?;
        paid.map_err(Error::Vault)?;
        tx.orders().insert(&order).await.map_err(db(DOING))?;
        let subject = Subject::new(vault.id, &vault.name);
        let project = vault.project;
        carry_out_from(tx, vault, &mut order, begins).await?;
        self.core.record_by_system(tx, project, RENEWED, subject).await
    }

    /// Deletes a frozen vault with everything in it, if the driver says so and nothing holds it: by the
    /// same task as a person would. Whether it was begun.
    async fn release(&self, tx: &mut Tx, vault: &Vault) -> Result<bool> {
        if !self.core.billing.driver.may_release(vault) {
            return Ok(false);
        }
        if let Some(reason) = held_by(tx, vault).await? {
            tracing::warn!(vault = %vault.id, reason, "a vault that is not paid for is kept");
            return Ok(false);
        }
        let (from, to) = ([VaultStatus::Frozen], VaultStatus::Deleting);
        let changed = tx.vaults().change_status(vault.project, vault.id, &from, to).await;
        if !changed.map_err(db(DOING))? {
            return Ok(false);
        }
        tracing::warn!(vault = %vault.id, name = %vault.name, "a vault that is not paid for is deleted");
        let task = purge::new_release(&self.core, vault);
        tx.tasks().insert(&task).await.map_err(db("adding a task"))?;
        let subject = Subject::new(vault.id, &vault.name);
        self.core.record_by_system(tx, vault.project, RELEASED, subject).await?;
        Ok(true)
    }
}

/// What keeps a vault from being released.
async fn held_by(tx: &mut Tx, vault: &Vault) -> Result<Option<&'static str>> {
    if is_at_work(tx, vault.id).await? {
        return Ok(Some("a task works in it"));
    }
    if vault.locked {
        let locked = tx.vault_backups().unexpired_automatic(vault.id).await;
        if locked.map_err(db(DOING))?.is_some() {
            return Ok(Some("it is locked and holds backups that have not expired"));
        }
    }
    if tx.retention().is_rebuilt_in(vault.id).await.map_err(db(DOING))? {
        // The balance was lost with the database, and so was what may have kept the vault.
        return Ok(Some("a rebuild found backups in it, and nobody has released them"));
    }
    match refuse_exported_in_vault(tx, vault.id, |_| true).await {
        Ok(()) => {}
        Err(Error::BackupExported(_)) => return Ok(Some("a backup in it is given out as a disk")),
        Err(error) => return Err(error),
    }
    match refuse_imaged_in_vault(tx, vault.id, |_| true).await {
        Ok(()) => Ok(None),
        Err(Error::Image(_)) => Ok(Some("an image is made of a backup in it")),
        Err(error) => Err(error),
    }
}
