//! `[billing]`: what vaults cost, and what follows when nobody pays.

use std::sync::Arc;

use cbr_service::billing::{
    BillingSettings, Driver, Prepayment, Price, PriceList, Prices, Showback,
};
use serde::{Deserialize, Serialize};

use super::file::{ConfigError, check_range};

/// What vaults cost, and what follows when nobody pays.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BillingConfig {
    /// Who decides.
    pub(crate) driver: DriverName,
    /// Of all prices and balances.
    pub(crate) currency: String,
    /// What an account may owe, in minor units.
    pub(crate) credit_limit: u64,
    /// Whether vaults that are not paid for freeze.
    pub(crate) freeze: bool,
    /// Hours from a debt to that.
    pub(crate) grace_hours: u64,
    /// Days from that to where they may be deleted.
    pub(crate) retention_days: u64,
    /// Whether they are deleted then.
    pub(crate) release: bool,
    /// Days for which metered hours are kept that were exported.
    pub(crate) history_days: u64,
    /// Days for which those are kept that were not.
    pub(crate) unexported_days: u64,
    /// What vaults cost.
    pub(crate) prices: PricesConfig,
}

/// Who decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DriverName {
    /// Nothing is charged.
    #[default]
    Showback,
    /// Balances are charged.
    Balance,
}

/// What vaults of each specification cost.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PricesConfig {
    server: PriceConfig,
    database: PriceConfig,
    disk: PriceConfig,
    turbo: PriceConfig,
    file: PriceConfig,
    image: ImagePriceConfig,
}

/// What images cost: one GB for an hour, in minor units with up to six decimals.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ImagePriceConfig {
    hour: String,
}

impl Default for ImagePriceConfig {
    fn default() -> Self {
        Self { hour: "0".to_owned() }
    }
}

/// Prices of one GB, in minor units with up to six decimals.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PriceConfig {
    hour: String,
    month: String,
    year: String,
}

impl Default for PriceConfig {
    fn default() -> Self {
        let free = || "0".to_owned();
        Self { hour: free(), month: free(), year: free() }
    }
}

impl Default for BillingConfig {
    fn default() -> Self {
        Self {
            driver: DriverName::Showback,
            currency: "EUR".to_owned(),
            credit_limit: 0,
            freeze: false,
            grace_hours: 24,
            retention_days: 15,
            release: false,
            history_days: 3 * 366,
            unexported_days: 6 * 366,
            prices: PricesConfig::default(),
        }
    }
}

impl BillingConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let is_letter = |c: char| c.is_ascii_uppercase();
        if self.currency.len() != 3 || !self.currency.chars().all(is_letter) {
            return Err(ConfigError::invalid("billing.currency", "three letters, as in EUR"));
        }
        check_range("billing.credit_limit", self.credit_limit, 0..=1_000_000_000)?;
        check_range("billing.grace_hours", self.grace_hours, 1..=8_760)?;
        check_range("billing.retention_days", self.retention_days, 1..=3_650)?;
        check_range("billing.history_days", self.history_days, 62..=36_500)?;
        let unexported = self.history_days..=36_500;
        check_range("billing.unexported_days", self.unexported_days, unexported)?;
        if self.release && !self.freeze {
            let why = "needs freeze = true: only what was frozen for long enough is deleted";
            return Err(ConfigError::invalid("billing.release", why));
        }
        self.price_list().map(drop)
    }

    /// For the service.
    pub(crate) fn settings(&self) -> Result<BillingSettings, ConfigError> {
        // In range: see `validate`.
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let releases = self.release;
        let driver: Arc<dyn Driver> = match self.driver {
            DriverName::Showback => Arc::new(Showback { releases }),
            DriverName::Balance => {
                Arc::new(Prepayment { credit_limit: small(self.credit_limit), releases })
            }
        };
        Ok(BillingSettings {
            driver,
            prices: self.price_list()?,
            freezes: self.freeze,
            grace_hours: small(self.grace_hours),
            retention_days: small(self.retention_days),
            history_days: small(self.history_days),
            unexported_days: small(self.unexported_days),
        })
    }

    fn price_list(&self) -> Result<PriceList, ConfigError> {
        Ok(PriceList {
            currency: self.currency.clone(),
            server: self.prices.server.read("server")?,
            database: self.prices.database.read("database")?,
            disk: self.prices.disk.read("disk")?,
            turbo: self.prices.turbo.read("turbo")?,
            file: self.prices.file.read("file")?,
            image: price("image", "hour", &self.prices.image.hour)?,
        })
    }
}

impl PriceConfig {
    fn read(&self, of: &str) -> Result<Prices, ConfigError> {
        Ok(Prices {
            hour: price(of, "hour", &self.hour)?,
            month: price(of, "month", &self.month)?,
            year: price(of, "year", &self.year)?,
        })
    }
}

fn price(of: &str, name: &str, text: &str) -> Result<Price, ConfigError> {
    let key = format!("billing.prices.{of}.{name}");
    text.parse().map_err(|error| ConfigError::invalid(&key, format!("{error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BIL-09: nothing is charged, nothing freezes and nothing is deleted unless somebody says so.
    #[test]
    fn by_default_money_changes_nothing() {
        let config = BillingConfig::default();
        config.validate().unwrap();
        let settings = config.settings().unwrap();
        assert_eq!(settings.driver.name(), "showback");
        assert!(!settings.driver.charges() && !settings.freezes && !config.release);
        assert_eq!(settings.retention_days, 15);
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_name() {
        type Break = fn(&mut BillingConfig);
        let broken: [(&str, Break); 8] = [
            ("billing.currency", |config| config.currency = "euro".into()),
            ("billing.retention_days", |config| config.retention_days = 0),
            ("billing.history_days", |config| config.history_days = 61),
            ("billing.unexported_days", |config| config.unexported_days = config.history_days - 1),
            ("billing.release", |config| config.release = true),
            ("billing.prices.image.hour", |config| config.prices.image.hour = "-1".into()),
            ("billing.prices.disk.hour", |config| config.prices.disk.hour = "0,1".into()),
            ("billing.credit_limit", |config| config.credit_limit = u64::MAX),
        ];
        for (key, spoil) in broken {
            let mut config = BillingConfig::default();
            spoil(&mut config);
            let error = config.validate().unwrap_err().to_string();
            assert!(error.starts_with(key), "{error}");
        }
    }
}
