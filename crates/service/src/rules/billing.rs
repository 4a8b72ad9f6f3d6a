//! What follows when a vault is not paid for, and what an order makes of a vault (BIL-01 … BIL-06, VLT-54,
//! ADR 0022). Pure: what is so is given, what is to be done is answered.

use cbr_model::Timestamp;
use cbr_model::billing::{BillingStep, Money, PriceList, StepKind};
use cbr_model::order::{Order, OrderKind, OrderStatus, end_of_period};
use cbr_model::size::Gib;
use cbr_model::vault::{Charging, ChargingMode, Vault, VaultStatus};

/// Microseconds of observed time.
pub(crate) type Observed = u64;

/// One renewal of a vault in so long: a clock that jumps renews once, and not for ten years.
pub(crate) const RENEWAL_PAUSE: Observed = 24 * 60 * 60 * 1_000_000;

/// How long is waited, in observed time, and for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Patience {
    /// Whether vaults freeze at all.
    pub(crate) freezes: bool,
    /// From the first time a debt was seen until the vault freezes.
    pub(crate) grace: Observed,
    /// From then until it may be released.
    pub(crate) retention: Observed,
}

/// What is known of a vault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) status: VaultStatus,
    pub(crate) frozen_scene: Option<&'a str>,
    /// [`Charging::ARREARS`] or [`Charging::EXPIRED`]; none: it is paid for.
    pub(crate) debt: Option<&'static str>,
    /// Whether its period is to be renewed and that can be paid.
    pub(crate) may_renew: bool,
    pub(crate) step: Option<&'a BillingStep>,
}

/// What is to be done about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    Nothing,
    /// Write down that there is a debt.
    Notice,
    Renew,
    Freeze,
    /// Make it available again.
    Thaw,
    /// Write down no more that there was a debt.
    Forget,
    /// Delete it with everything in it, if the driver says so too.
    Release,
}

/// What follows now. Each step waits for the one before to have been written down, and for as much
/// *observed* time as is due: no clock makes it shorter.
pub(crate) fn next(facts: &Facts<'_>, observed: Observed, patience: Patience) -> Action {
    let is_ours = facts.status == VaultStatus::Frozen
        && matches!(facts.frozen_scene, Some(Charging::ARREARS | Charging::EXPIRED));
    let waited = |step: &BillingStep| observed.saturating_sub(step.observed);
    let step = facts.step;
    let was_renewed =
        step.is_some_and(|step| step.kind == StepKind::Renewed && waited(step) < RENEWAL_PAUSE);
    let Some(debt) = facts.debt else {
        return match step {
            _ if is_ours => Action::Thaw,
            Some(_) if !was_renewed => Action::Forget,
            _ => Action::Nothing,
        };
    };
    if debt == Charging::EXPIRED && facts.may_renew && !was_renewed {
        return Action::Renew;
    }
    if !patience.freezes {
        return match step {
            _ if is_ours => Action::Thaw,
            Some(step) if step.kind != StepKind::Renewed => Action::Forget,
            _ => Action::Nothing,
        };
    }
    let Some(step) = step else { return Action::Notice };
    match step.kind {
        StepKind::Renewed if was_renewed => Action::Nothing,
        StepKind::Renewed => Action::Notice,
        StepKind::Noticed if waited(step) < patience.grace => Action::Nothing,
        // One that is locked waits for an order that nobody pays: that is given up. One in error, or
        // barred for another reason, waits for that to end.
        StepKind::Noticed
            if is_ours || matches!(facts.status, VaultStatus::Available | VaultStatus::Lock) =>
        {
            Action::Freeze
        }
        StepKind::Noticed => Action::Nothing,
        // Somebody has lifted it.
        StepKind::Frozen if facts.status == VaultStatus::Available => Action::Notice,
        StepKind::Frozen if !is_ours => Action::Nothing,
        // It is owed for another reason now: the time begins anew.
        StepKind::Frozen if step.scene != debt => Action::Freeze,
        StepKind::Frozen if waited(step) < patience.retention => Action::Nothing,
        StepKind::Frozen => Action::Release,
    }
}

/// What a completed order makes of its vault. A period is added to those before, of which `lines` are the
/// orders of the vault so far; it begins at `begins`. The status of the vault is the caller's business.
pub(crate) fn complete(vault: &mut Vault, order: &mut Order, lines: &[Order], begins: Timestamp) {
    order.status = OrderStatus::Completed;
    if let Some(period) = order.period {
        let ends = end_of_period(&periods(lines), begins, period.months());
        (order.begins_at, order.ends_at) = (Some(begins), Some(ends));
        vault.charging.paid_until = Some(ends);
        vault.charging.renew = order.auto_renew.then_some(period.unit());
    }
    match order.kind {
        OrderKind::Create | OrderKind::ToPrepaid => {
            vault.charging.mode = ChargingMode::PrePaid;
            vault.charging.order = Some(order.id);
        }
        OrderKind::Change => {
            vault.size = order.size;
            vault.consistency = order.consistency;
        }
        OrderKind::Renew => {}
    }
}

fn periods(lines: &[Order]) -> Vec<(Timestamp, Timestamp, u32)> {
    let mut periods: Vec<_> = lines
        .iter()
        .filter(|line| line.status == OrderStatus::Completed)
        .filter_map(|line| Some((line.begins_at?, line.ends_at?, line.period?.months())))
        .collect();
    periods.sort_unstable();
    periods
}

/// When a period that is ordered now begins: where the one that is paid ends, or now.
pub(crate) fn begin_of_period(vault: &Vault, now: Timestamp) -> Timestamp {
    vault.charging.paid_until.map_or(now, |until| until.max(now))
}

/// What a changed prepaid vault costs for the rest of its period. What gets cheaper is not paid back.
pub(crate) fn price_of_change(
    prices: &PriceList,
    before: &Vault,
    after: &Vault,
    now: Timestamp,
) -> Money {
    let days = days_left(before, now);
    let new = prices.of(after.kind, after.consistency);
    if before.consistency == after.consistency {
        return new.of_rest(Gib(after.size.0.saturating_sub(before.size.0)), days);
    }
    let old = prices.of(before.kind, before.consistency).of_rest(before.size, days);
    Money(new.of_rest(after.size, days).0.saturating_sub(old.0).max(0))
}

/// Started days until the paid period ends.
pub(crate) fn days_left(vault: &Vault, now: Timestamp) -> u64 {
    let seconds =
        vault.charging.paid_until.map_or(0, |until| until.seconds().saturating_sub(now.seconds()));
    u64::try_from(seconds).unwrap_or(0).div_ceil(24 * 60 * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Observed = 60 * 60 * 1_000_000;
    const PATIENCE: Patience = Patience { freezes: true, grace: HOUR, retention: 10 * HOUR };

    fn step(kind: StepKind, scene: &str) -> BillingStep {
        BillingStep { kind, scene: scene.into(), observed: 0, at: Timestamp(0) }
    }

    fn facts(debt: Option<&'static str>) -> Facts<'static> {
        let (status, frozen_scene) = (VaultStatus::Available, None);
        Facts { status, frozen_scene, debt, may_renew: false, step: None }
    }

    /// VLT-54, BIL-05: noticed, then frozen, then released, each after its time; paying ends it anywhere.
    #[test]
    fn a_debt_is_followed_step_by_step() {
        use Action::{Forget, Freeze, Nothing, Notice, Release, Thaw};
        let (noticed, frozen) =
            (step(StepKind::Noticed, "ARREARS"), step(StepKind::Frozen, "ARREARS"));
        let owes = facts(Some(Charging::ARREARS));
        let stopped = Facts { status: VaultStatus::Frozen, frozen_scene: Some("ARREARS"), ..owes };
        let barred = Facts { frozen_scene: Some("POLICE"), ..stopped };
        let locked = Facts { status: VaultStatus::Lock, ..owes };
        #[rustfmt::skip]
        let table = [
            (owes,                                          0,          Notice),
            (Facts { step: Some(&noticed), ..owes },        HOUR - 1,   Nothing),
            (Facts { step: Some(&noticed), ..owes },        HOUR,       Freeze),
            (Facts { step: Some(&noticed), ..locked },      HOUR - 1,   Nothing),
            (Facts { step: Some(&noticed), ..locked },      HOUR,       Freeze),
            (Facts { step: Some(&noticed), ..barred },      99 * HOUR,  Nothing),
            (Facts { step: Some(&frozen), ..stopped },      10 * HOUR - 1, Nothing),
            (Facts { step: Some(&frozen), ..stopped },      10 * HOUR,  Release),
            // A violation is not lifted by money, and not followed by deleting.
            (Facts { step: Some(&frozen), ..barred },       99 * HOUR,  Nothing),
            (Facts { step: Some(&frozen), debt: None, ..barred }, 0,    Forget),
            // Paid.
            (Facts { step: Some(&noticed), debt: None, ..owes }, 0,     Forget),
            (Facts { step: Some(&frozen), debt: None, ..stopped }, 99 * HOUR, Thaw),
            (Facts { debt: None, ..stopped },               0,          Thaw),
            (Facts { debt: None, ..owes },                  0,          Nothing),
            // Somebody lifted it; the reason changed.
            (Facts { step: Some(&frozen), ..owes },         99 * HOUR,  Notice),
            (Facts { step: Some(&frozen), debt: Some(Charging::EXPIRED), ..stopped }, 99 * HOUR, Freeze),
            // The last step is in the future: a database of another time. Nothing is hurried.
            (Facts { step: Some(&BillingStep { observed: u64::MAX, ..frozen.clone() }), ..stopped }, 99 * HOUR, Nothing),
        ];
        for (facts, observed, want) in table {
            assert_eq!(next(&facts, observed, PATIENCE), want, "{facts:?} at {observed}");
        }
        let lenient = Patience { freezes: false, ..PATIENCE };
        for (facts, want) in [
            (owes, Nothing),
            (Facts { step: Some(&noticed), ..owes }, Forget),
            (Facts { step: Some(&frozen), ..stopped }, Thaw),
            (Facts { step: Some(&frozen), ..barred }, Forget),
        ] {
            assert_eq!(next(&facts, 99 * HOUR, lenient), want, "{facts:?} without freezing");
        }
    }

    /// BIL-03: a period is renewed when it ends, and not again within a day, whatever the clock says.
    #[test]
    fn a_period_is_renewed_once_a_day_at_most() {
        let expired = Facts { may_renew: true, ..facts(Some(Charging::EXPIRED)) };
        assert_eq!(next(&expired, 0, PATIENCE), Action::Renew);
        let renewed = step(StepKind::Renewed, "EXPIRED");
        let again = Facts { step: Some(&renewed), ..expired };
        assert_eq!(next(&again, RENEWAL_PAUSE - 1, PATIENCE), Action::Nothing);
        assert_eq!(next(&again, RENEWAL_PAUSE, PATIENCE), Action::Renew);
        let cannot = Facts { may_renew: false, ..again };
        assert_eq!(next(&cannot, RENEWAL_PAUSE, PATIENCE), Action::Notice);
        let paid = Facts { debt: None, ..again };
        assert_eq!(next(&paid, RENEWAL_PAUSE - 1, PATIENCE), Action::Nothing);
        assert_eq!(next(&paid, RENEWAL_PAUSE, PATIENCE), Action::Forget);
        let lenient = Patience { freezes: false, ..PATIENCE };
        assert_eq!(next(&expired, 0, lenient), Action::Renew, "also where nothing freezes");
    }
}
