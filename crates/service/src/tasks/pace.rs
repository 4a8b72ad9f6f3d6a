//! How fast all backups of this machine together read (BAK-12).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cbr_env::Clock;

/// Hands out turns to read: one after the other, each as long as its bytes take at the rate.
#[derive(Debug)]
pub(crate) struct Pace {
    /// None: as fast as the disks give it.
    bytes_per_second: Option<u64>,
    clock: Arc<dyn Clock>,
    /// When the last turn ends, in microseconds of the clock that never runs backwards.
    until: Mutex<u64>,
}

impl Pace {
    /// Not more than this; 0: as fast as the disks give it.
    pub(crate) fn new(bytes_per_second: u64, clock: Arc<dyn Clock>) -> Self {
        let bytes_per_second = (bytes_per_second > 0).then_some(bytes_per_second);
        Self { bytes_per_second, clock, until: Mutex::default() }
    }

    /// Takes a turn to read so many bytes: how long to wait before it.
    pub(crate) fn turn(&self, bytes: usize) -> Duration {
        let Some(rate) = self.bytes_per_second else { return Duration::ZERO };
        let now = self.clock.monotonic_micros();
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        // What was not used is over: nobody saves turns for later.
        let begin = now.max(*until);
        let micros = bytes as u128 * 1_000_000 / u128::from(rate);
        *until = begin.saturating_add(u64::try_from(micros).unwrap_or(u64::MAX));
        Duration::from_micros(begin - now)
    }
}

#[cfg(test)]
mod tests {
    use cbr_env::{ManualClock, Timestamp};

    use super::*;

    /// BAK-12: whoever reads at the same time waits for the others' turns, and a pause is no credit.
    #[test]
    fn all_readers_together_keep_the_pace() {
        let clock = ManualClock::new(Timestamp(0));
        let pace = Pace::new(1000, Arc::new(clock.clone()));
        let turns = [500, 250, 250].map(|bytes| pace.turn(bytes).as_millis());
        assert_eq!(turns, [0, 500, 750], "a second's worth of bytes");
        clock.advance(Duration::from_millis(400));
        assert_eq!(pace.turn(100).as_millis(), 600);
        clock.advance(Duration::from_mins(1));
        assert_eq!(pace.turn(2000).as_millis(), 0);
        assert_eq!(pace.turn(1).as_millis(), 2000, "not sooner for the minute before");
        let free = Pace::new(0, Arc::new(clock));
        assert_eq!([free.turn(usize::MAX), free.turn(1)], [Duration::ZERO; 2]);
    }
}
