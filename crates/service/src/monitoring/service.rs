//! What monitoring is made of, and its round.

use std::sync::Arc;
use std::time::Duration;

use cbr_model::metric::slot_at;
use tokio_util::sync::CancellationToken;

use super::gauges::Shown;
use super::requests::MonitorOptions;
use crate::core::Core;
use crate::{Alarms, Result};

/// How often it is looked whether there is something to do. Nothing depends on it: a slot is measured
/// once, however often somebody looks.
const EVERY: Duration = Duration::from_secs(5);
/// Of so many rounds, one shows numbers to Prometheus: every minute.
const SHOW_ROUNDS: u64 = 12;
/// Of so many rounds, one forgets what is too old: every hour.
const FORGET_ROUNDS: u64 = 720;

/// Monitoring.
#[derive(Debug)]
pub struct Monitoring {
    pub(super) core: Arc<Core>,
    alarms: Arc<Alarms>,
    pub(super) options: MonitorOptions,
    pub(super) shown: Shown,
}

impl Monitoring {
    pub(crate) fn new(core: Arc<Core>, alarms: Arc<Alarms>, options: MonitorOptions) -> Self {
        Self { core, alarms, options, shown: Shown::default() }
    }

    /// Works until `shutdown`.
    pub async fn run(&self, shutdown: CancellationToken) {
        tokio::select! {
            () = self.rounds(shutdown) => {}
            () = self.watch_pools() => {}
        }
    }

    async fn rounds(&self, shutdown: CancellationToken) {
        for round in 0_u64.. {
            // Decided is what has been measured: the same slot, and only if all of it was.
            let slot = slot_at(self.core.clock.now());
            let measured = self.sample(slot).await;
            let is_measured = measured.is_ok();
            report("measure", measured);
            if is_measured {
                report("alarms", self.alarms.evaluate(slot).await);
            }
            report("events", self.alarms.handle_events().await);
            if round % SHOW_ROUNDS == 0 {
                report("numbers", self.show().await);
            }
            if round % FORGET_ROUNDS == 0 {
                report("forget", self.forget_points().await);
                report("forget published", self.forget_published().await);
                report("forget history", self.alarms.forget().await);
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.core.clock.sleep(EVERY) => {}
            }
        }
    }
}

fn report(part: &'static str, result: Result<u64>) {
    match result {
        Ok(0) => {}
        Ok(count) => tracing::debug!(part, count, "monitoring"),
        Err(error) => {
            tracing::warn!(part, error = &error as &dyn std::error::Error, "monitoring failed");
        }
    }
}
