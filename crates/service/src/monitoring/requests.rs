//! What monitoring is asked.

use cbr_model::metric::{DataPoint, Filter, Metric};
use cbr_model::{Timestamp, VaultId};

/// How long what was measured is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MonitorOptions {
    /// Days for which every quarter of an hour is kept.
    pub slot_days: u32,
    /// Days for which every hour is kept.
    pub hour_days: u32,
    /// Days for which every day is kept.
    pub day_days: u32,
}

impl Default for MonitorOptions {
    fn default() -> Self {
        Self { slot_days: 30, hour_days: 155, day_days: 1825 }
    }
}

/// One metric of one vault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct MetricKey {
    /// The vault.
    pub vault: VaultId,
    /// What is measured of it.
    pub metric: Metric,
}

/// Which values are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MetricQuery {
    /// One value for so many seconds; one of [`cbr_model::metric::PERIODS`].
    pub period: u32,
    /// Which value of each period.
    pub filter: Filter,
    /// Not before this time.
    pub from: Timestamp,
    /// Not after this time.
    pub to: Timestamp,
}

/// Values of one metric of one vault.
#[derive(Clone, PartialEq, Debug)]
pub struct Series {
    /// Of what.
    pub key: MetricKey,
    /// In order of time; periods without any measurement are left out.
    pub points: Vec<DataPoint>,
}
