//! Who decides what is charged, and what follows when it is not paid: the operator's part (BIL-09).

use std::fmt;
use std::sync::Arc;

use cbr_model::billing::{Money, PriceList};
use cbr_model::vault::Vault;

use crate::rules::billing::{Observed, Patience};

const HOUR: Observed = 60 * 60 * 1_000_000;

/// What an operator decides about money. Hours are metered and orders kept whatever it says.
pub trait Driver: fmt::Debug + Send + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &'static str;
    /// Whether hours and orders are taken from the accounts' balances.
    fn charges(&self) -> bool;
    /// An account that has less is in arrears.
    fn least(&self) -> Money;
    /// Asked last of all, when everything else says that a frozen vault is to be deleted.
    fn may_release(&self, vault: &Vault) -> bool;
}

/// Shows what would have to be paid, and asks nobody for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Showback {
    /// Whether vaults whose period is over are deleted in the end.
    pub releases: bool,
}

/// Takes hours and orders from what the operator has credited.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Prepayment {
    /// What an account may owe without being in arrears, in minor units.
    pub credit_limit: u32,
    /// Whether vaults that are not paid for are deleted in the end.
    pub releases: bool,
}

impl Driver for Showback {
    fn name(&self) -> &'static str {
        "showback"
    }

    fn charges(&self) -> bool {
        false
    }

    fn least(&self) -> Money {
        Money(i64::MIN)
    }

    fn may_release(&self, _: &Vault) -> bool {
        self.releases
    }
}

impl Driver for Prepayment {
    fn name(&self) -> &'static str {
        "balance"
    }

    fn charges(&self) -> bool {
        true
    }

    fn least(&self) -> Money {
        Money(-i64::from(self.credit_limit))
    }

    fn may_release(&self, _: &Vault) -> bool {
        self.releases
    }
}

/// How the operator has set up billing.
#[derive(Clone, Debug)]
pub struct BillingSettings {
    /// Who decides.
    pub driver: Arc<dyn Driver>,
    /// What vaults cost.
    pub prices: PriceList,
    /// Whether vaults that are not paid for freeze.
    pub freezes: bool,
    /// For how many hours a debt is seen before they do.
    pub grace_hours: u32,
    /// For how many days they are frozen before they may be deleted (BIL-09).
    pub retention_days: u32,
    /// For how many days hours are kept after they were metered, if they were exported.
    pub history_days: u32,
    /// For how many if nobody has said that they were; at least as many.
    pub unexported_days: u32,
}

impl Default for BillingSettings {
    fn default() -> Self {
        Self {
            driver: Arc::new(Showback::default()),
            prices: PriceList::default(),
            freezes: false,
            grace_hours: 24,
            retention_days: 15,
            history_days: 3 * 366,
            unexported_days: 6 * 366,
        }
    }
}

impl BillingSettings {
    pub(crate) fn patience(&self) -> Patience {
        Patience {
            freezes: self.freezes,
            grace: u64::from(self.grace_hours) * HOUR,
            retention: u64::from(self.retention_days) * 24 * HOUR,
        }
    }
}
