//! Observed time: for how long somebody has watched that something is so (ADR 0022).
//!
//! Deleting what is not paid for waits for days, and a wall clock that jumps would make them minutes. So
//! what is counted is for how long one process has watched, by its monotonic clock, in steps of at most an
//! hour, each of which is written down. It stands still while nobody watches, and is never ahead.

use std::sync::{Mutex, PoisonError};

use cbr_db::{DbError, Tx};
use cbr_env::{Clock, Random, RandomExt};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Result;
use crate::error::db;
use crate::rules::billing::Observed;

const SETTING: &str = "billing.observed";
/// What one look adds at most.
const STEP_MAX: Observed = 60 * 60 * 1_000_000;
/// How long another process must have said nothing before this one watches in its place.
const SILENCE: Observed = 5 * 60 * 1_000_000;

/// What is written down.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// The process that watches.
    watcher: Uuid,
    /// How often it has looked; shows others that it is there.
    looks: u64,
    /// Microseconds.
    observed: Observed,
}

/// What this process knows.
#[derive(Debug)]
struct Own {
    /// Its name; a new one with every start.
    id: Uuid,
    /// When it looked last, by its monotonic clock.
    looked: Option<u64>,
    /// Another watcher's last look, and since when that has been the last one.
    other: Option<(Uuid, u64, u64)>,
}

/// Counts observed time.
#[derive(Debug)]
pub(super) struct Watch(Mutex<Own>);

impl Watch {
    pub(super) fn new(random: &dyn Random) -> Self {
        Self(Mutex::new(Own { id: random.uuid(), looked: None, other: None }))
    }

    /// Looks, and says how much time has been observed so far. What was added is lost if `tx` is not
    /// committed, never counted twice.
    pub(super) async fn look(&self, tx: &mut Tx, clock: &dyn Clock) -> Result<Observed> {
        let doing = "observing time";
        let text = tx.settings().find(SETTING).await.map_err(db(doing))?;
        // What cannot be read begins anew: that only makes somebody wait for longer.
        let mut kept: Kept =
            text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let is_watching = {
            let mut own = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            own.look(&mut kept, clock.monotonic_micros())
        };
        if is_watching {
            let text = serde_json::to_string(&kept).map_err(crate::Error::internal(doing))?;
            tx.settings().set(SETTING, &text).await.map_err(db(doing))?;
        }
        Ok(kept.observed)
    }
}

impl Own {
    /// Whether this process watches now.
    fn look(&mut self, kept: &mut Kept, now: u64) -> bool {
        let since = self.looked.map_or(0, |looked| now.saturating_sub(looked));
        if kept.watcher == self.id {
            kept.observed = kept.observed.saturating_add(since.min(STEP_MAX));
        } else {
            let is_silent = match self.other {
                Some((watcher, looks, from)) if (watcher, looks) == (kept.watcher, kept.looks) => {
                    now.saturating_sub(from) >= SILENCE
                }
                _ => {
                    self.other = Some((kept.watcher, kept.looks, now));
                    false
                }
            };
            if !is_silent && !kept.watcher.is_nil() {
                self.looked = Some(now);
                return false;
            }
            kept.watcher = self.id;
        }
        kept.looks = kept.looks.saturating_add(1);
        self.looked = Some(now);
        true
    }
}

/// How much time has been observed, as far as that is written down.
pub(crate) async fn observed_so_far(tx: &mut Tx) -> std::result::Result<Observed, DbError> {
    let text = tx.settings().find(SETTING).await?;
    let kept: Option<Kept> = text.and_then(|text| serde_json::from_str(&text).ok());
    Ok(kept.unwrap_or_default().observed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60 * 1_000_000;

    fn own(n: u128) -> Own {
        Own { id: Uuid::from_u128(n), looked: None, other: None }
    }

    #[test]
    fn time_is_counted_by_one_at_a_time_and_in_small_steps() {
        let (mut kept, mut first, mut second) = (Kept::default(), own(1), own(2));
        assert!(first.look(&mut kept, 1_000 * MINUTE), "nobody has watched");
        assert_eq!(kept.observed, 0, "what was before was not observed");
        assert!(first.look(&mut kept, 1_001 * MINUTE));
        assert!(!second.look(&mut kept, 50 * MINUTE), "one is enough");
        assert!(first.look(&mut kept, 1_002 * MINUTE));
        assert!(!second.look(&mut kept, 60 * MINUTE), "the other has looked since");
        assert_eq!(kept.observed, 2 * MINUTE);
        assert!(!second.look(&mut kept, 64 * MINUTE), "silent for four minutes");
        assert!(second.look(&mut kept, 65 * MINUTE));
        assert_eq!(kept.observed, 2 * MINUTE, "the silence counts for nothing");
        assert!(!first.look(&mut kept, 9_999 * MINUTE), "and the other has lost its place");
        assert_eq!(kept.observed, 2 * MINUTE);
        assert!(second.look(&mut kept, 66 * MINUTE));
        assert_eq!(kept.observed, 3 * MINUTE);
        // Ten years at once: an hour. Backwards: nothing.
        assert!(second.look(&mut kept, 66 * MINUTE + 10 * 365 * 24 * 60 * MINUTE));
        assert_eq!(kept.observed, 63 * MINUTE);
        assert!(second.look(&mut kept, MINUTE));
        assert_eq!(kept.observed, 63 * MINUTE);
    }
}
