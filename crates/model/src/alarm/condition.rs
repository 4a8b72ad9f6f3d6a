//! One condition of an alarm: what is compared with what, and how often it must hold.

use serde::{Deserialize, Serialize};

use crate::custom_metric::CustomMetric;
use crate::event::EventKind;
use crate::metric::{Filter, Metric, NAMESPACE, PERIODS};

/// Seconds after which an alarm that goes on is told again; 0: never (contract F.6).
const SUPPRESS: [u32; 10] = [0, 300, 600, 900, 1800, 3600, 10_800, 21_600, 43_200, 86_400];
/// Most periods in a row.
const COUNT_MAX: u32 = 180;
/// Most seconds that the periods of a condition may reach back: what is kept by hour covers them.
const REACH_MAX: u64 = 5 * 86_400;

/// How a value is compared with the threshold.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Comparison {
    /// Greater.
    #[serde(rename = ">")]
    Greater,
    /// Greater or equal.
    #[serde(rename = ">=")]
    AtLeast,
    /// Less.
    #[serde(rename = "<")]
    Less,
    /// Less or equal.
    #[serde(rename = "<=")]
    AtMost,
    /// Equal.
    #[serde(rename = "=")]
    Equal,
    /// Different.
    #[serde(rename = "!=")]
    Different,
}

impl Comparison {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Greater, Self::AtLeast, Self::Less, Self::AtMost, Self::Equal, Self::Different];

    /// The contract's sign.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Greater => ">",
            Self::AtLeast => ">=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Equal => "=",
            Self::Different => "!=",
        }
    }

    /// What the contract's sign means.
    pub fn from_str_exact(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }

    /// Whether it holds.
    #[expect(clippy::float_cmp, reason = "a rule that says `=` means exactly that")]
    pub fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Greater => value > threshold,
            Self::AtLeast => value >= threshold,
            Self::Less => value < threshold,
            Self::AtMost => value <= threshold,
            Self::Equal => value == threshold,
            Self::Different => value != threshold,
        }
    }
}

/// What a condition is about.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Values of a metric of vaults.
    Metric(Metric),
    /// Values that the project publishes itself (contract F.6).
    Published {
        /// `service.item`.
        namespace: String,
        /// Its name there.
        name: String,
        /// What it counts in, for show.
        unit: String,
    },
    /// Something that happens (MON-08).
    Event(EventKind),
}

impl What {
    /// The contract's `metric_name`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Metric(metric) => metric.as_str(),
            Self::Published { name, .. } => name,
            Self::Event(kind) => kind.as_str(),
        }
    }

    /// The unit of its values; of events: none.
    pub fn unit(&self) -> &str {
        match self {
            Self::Metric(metric) => metric.unit(),
            Self::Published { unit, .. } => unit,
            Self::Event(_) => "",
        }
    }

    /// The contract's `namespace`.
    pub fn namespace(&self) -> &str {
        match self {
            Self::Metric(_) | Self::Event(_) => NAMESPACE,
            Self::Published { namespace, .. } => namespace,
        }
    }
}

/// One condition of an alarm.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Condition {
    /// What is looked at.
    pub what: What,
    /// Seconds of one value.
    pub period: u32,
    /// Which value of the period.
    pub filter: Filter,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub threshold: f64,
    /// In how many periods in a row it must hold.
    pub count: u32,
    /// Seconds after which an alarm that goes on is told again; 0: it is told once.
    pub suppress: u32,
    /// 1 critical, 2 major, 3 minor, 4 informational.
    pub level: u8,
}

/// A value of a condition that breaks its rule.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{key}: {why}")]
pub struct InvalidCondition {
    /// The contract's name of the value.
    pub key: &'static str,
    /// What is wrong with it.
    pub why: String,
}

impl Condition {
    /// Refuses what cannot be decided.
    pub fn check(&self) -> Result<(), InvalidCondition> {
        let refused = |key, why: &str| Err(InvalidCondition { key, why: why.to_owned() });
        if !self.threshold.is_finite() {
            return refused("value", "must be a number");
        }
        if !(1..=4).contains(&self.level) {
            return refused("level", "1 (critical) to 4 (informational)");
        }
        if !SUPPRESS.contains(&self.suppress) {
            let why = "0, 300, 600, 900, 1800, 3600, 10800, 21600, 43200 or 86400 seconds";
            return refused("suppress_duration", why);
        }
        if let What::Published { namespace, name, unit } = &self.what {
            let named = CustomMetric::check_names(namespace, name);
            let named = named.and_then(|()| CustomMetric::check_unit(unit));
            named.map_err(|wrong| InvalidCondition { key: wrong.field, why: wrong.why.into() })?;
        }
        if let What::Event(_) = self.what {
            // Somebody who wants to be told of the third failure only would not be.
            if self.period > 1 || self.count > 1 {
                return refused("period", "events are told as they happen: period 0, count 1");
            }
            return Ok(());
        }
        if !PERIODS.contains(&self.period) {
            return refused("period", "1, 300, 1200, 3600, 14400 or 86400 seconds");
        }
        if !(1..=COUNT_MAX).contains(&self.count) {
            return refused("count", "1 to 180");
        }
        if self.step() * u64::from(self.count) > REACH_MAX {
            return refused("count", "the periods together may not be longer than five days");
        }
        Ok(())
    }

    /// Seconds between values: a vault is measured every 15 minutes and not more often, and what is
    /// published meanwhile is joined.
    pub fn step(&self) -> u64 {
        u64::from(self.period.max(900))
    }

    /// Whether a value is one that the rule is about.
    pub fn holds(&self, value: f64) -> bool {
        self.comparison.holds(value, self.threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition() -> Condition {
        Condition {
            what: What::Metric(Metric::VaultUtil),
            period: 1,
            filter: Filter::Average,
            comparison: Comparison::AtLeast,
            threshold: 80.0,
            count: 3,
            suppress: 0,
            level: 2,
        }
    }

    /// Contract F.6: comparisons by their signs.
    #[test]
    fn comparisons_mean_what_their_signs_say() {
        #[rustfmt::skip]
        let table = [
            (">",  [false, false, true]),
            (">=", [false, true,  true]),
            ("<",  [true,  false, false]),
            ("<=", [true,  true,  false]),
            ("=",  [false, true,  false]),
            ("!=", [true,  false, true]),
        ];
        for (sign, holds) in table {
            let comparison = Comparison::from_str_exact(sign).unwrap();
            assert_eq!([1.0, 2.0, 3.0].map(|value| comparison.holds(value, 2.0)), holds, "{sign}");
            assert_eq!(comparison.as_str(), sign);
        }
        assert_eq!(Comparison::from_str_exact("=>"), None);
    }

    /// MON-06: what cannot be decided is refused by the name of its value.
    #[test]
    fn what_cannot_be_decided_is_refused() {
        type Break = fn(&mut Condition);
        condition().check().unwrap();
        let cases: [(&str, Break); 8] = [
            ("value", |it| it.threshold = f64::NAN),
            ("level", |it| it.level = 0),
            ("level", |it| it.level = 5),
            ("suppress_duration", |it| it.suppress = 17),
            ("period", |it| it.period = 900),
            ("count", |it| it.count = 0),
            ("count", |it| it.count = 181),
            ("count", |it| (it.period, it.count) = (86_400, 6)),
        ];
        for (key, break_it) in cases {
            let mut broken = condition();
            break_it(&mut broken);
            assert_eq!(broken.check().unwrap_err().key, key);
        }
        let published = |namespace: &str, name: &str, unit: &str| Condition {
            what: What::Published {
                namespace: namespace.into(),
                name: name.into(),
                unit: unit.into(),
            },
            ..condition()
        };
        published("shop.orders", "open", "orders").check().unwrap();
        let long = "x".repeat(33);
        for (bad, key) in [
            (published("SYS.ECS", "open", ""), "namespace"),
            (published("shop", "open", ""), "namespace"),
            (published("shop.orders", "1", ""), "metric_name"),
            (published("shop.orders", "open", &long), "unit"),
        ] {
            assert_eq!(bad.check().unwrap_err().key, key);
        }
        let event = Condition {
            what: What::Event(EventKind::BackupFailed),
            period: 0,
            count: 0,
            ..condition()
        };
        event.check().unwrap();
    }
}
