//! The numbers of the engine.

use std::time::Duration;

/// How the engine runs tasks.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name of this node: only it claims the tasks that name it.
    pub node: String,
    /// Tasks at work at the same time.
    pub workers: usize,
    /// How long a claim holds without being renewed. A dead worker's task is
    /// taken over after at most this time and one `poll`.
    pub lease: Duration,
    /// How often progress is saved and the lease is looked after.
    pub beat: Duration,
    /// How often the database is asked for due tasks when nobody wakes the engine.
    pub poll: Duration,
    /// First pause before a step runs again; each further one is twice as long.
    pub retry_first: Duration,
    /// Longest pause before a step runs again.
    pub retry_longest: Duration,
    /// How often a step is tried before the task unwinds.
    pub attempts: u32,
    /// How long a shutdown waits for steps to stop by themselves.
    pub grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            node: "node".to_owned(),
            workers: 4,
            lease: Duration::from_secs(30),
            beat: Duration::from_millis(500),
            poll: Duration::from_secs(1),
            retry_first: Duration::from_secs(1),
            retry_longest: Duration::from_mins(1),
            attempts: 8,
            grace: Duration::from_secs(20),
        }
    }
}

impl Options {
    /// How long after a renewal the next one is due.
    pub(crate) fn renew_after(&self) -> Duration {
        self.lease / 6
    }

    /// The pause before the try after `attempts` tries.
    pub(crate) fn pause(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(16);
        self.retry_first.saturating_mul(1 << doublings).min(self.retry_longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let options = Options::default();
        let pauses: Vec<u64> =
            [1, 2, 3, 4, 7, 8, u32::MAX].map(|n| options.pause(n).as_secs()).into();
        assert_eq!(pauses, [1, 2, 4, 8, 60, 60, 60]);
    }
}
