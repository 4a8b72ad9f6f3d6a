//! Use cases of billing.

use std::sync::Arc;

use super::driver::BillingSettings;
use super::observed::Watch;
use crate::core::Core;

/// Use cases of billing.
#[derive(Debug)]
pub struct Billing {
    pub(super) core: Arc<Core>,
    pub(super) watch: Watch,
}

impl Billing {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        let watch = Watch::new(&*core.random);
        Self { core, watch }
    }

    /// How the operator has set it up.
    pub fn settings(&self) -> &BillingSettings {
        &self.core.billing
    }
}
