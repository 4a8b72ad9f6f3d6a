//! The provider's disks as the store reads and writes them, and how far that is.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use cbr_provider::{DiskReader, DiskWriter};
use cbr_store::{BlockSource, BlockTarget, Job, Progress};
use cbr_task::TaskContext;

use super::pace::Pace;

/// A frozen disk, which is read at the pace of all.
pub(super) struct Source {
    pub(super) reader: Arc<dyn DiskReader>,
    pub(super) pace: Arc<Pace>,
}

/// A disk that is being overwritten.
pub(super) struct Target(pub(super) Arc<dyn DiskWriter>);

impl BlockSource for Source {
    fn size_bytes(&self) -> u64 {
        self.reader.size_bytes()
    }

    fn extents(&self) -> io::Result<Vec<Range<u64>>> {
        self.reader.allocated()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        // On a thread of the store's, which reads and does nothing else meanwhile.
        std::thread::sleep(self.pace.turn(into.len()));
        self.reader.read_at(offset, into)
    }
}

impl BlockTarget for Target {
    fn size_bytes(&self) -> u64 {
        self.0.size_bytes()
    }

    fn is_known_zero(&self) -> bool {
        self.0.is_known_zero()
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        self.0.zero(range)
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The part of a task's progress, in per cent, that one disk of several stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Share {
    from: u8,
    to: u8,
}

impl Share {
    /// The share of disk `index` of `sizes`, weighed by bytes, of the per cents `from` to `to`.
    pub(super) fn of(from: u8, to: u8, sizes: &[u64], index: usize) -> Self {
        let total: u128 = sizes.iter().map(|size| u128::from(*size)).sum::<u128>().max(1);
        let at = |count: usize| {
            let before: u128 = sizes.iter().take(count).map(|size| u128::from(*size)).sum();
            let part = u128::from(to.saturating_sub(from)) * before / total;
            from.saturating_add(u8::try_from(part).unwrap_or(u8::MAX)).min(to)
        };
        Self { from: at(index), to: at(index + 1) }
    }

    fn percent(self, done: u64, total: u64) -> u8 {
        let width = u128::from(self.to - self.from);
        let part = width * u128::from(done.min(total)) / u128::from(total.max(1));
        self.from + u8::try_from(part).unwrap_or(0)
    }

    /// The store's side of a call that reports to `run` and stops when it has to.
    pub(super) fn job(self, run: &TaskContext) -> Job {
        let told = run.clone();
        Job {
            progress: Arc::new(move |progress: Progress| {
                told.report_progress(self.percent(progress.done_bytes, progress.total_bytes));
            }),
            cancel: run.cancel_flag(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BAK-12: what is read for a backup takes its turn.
    #[test]
    fn reading_takes_turns() {
        #[derive(Debug)]
        struct Zeros;
        impl DiskReader for Zeros {
            fn size_bytes(&self) -> u64 {
                1 << 20
            }
            fn allocated(&self) -> io::Result<Vec<Range<u64>>> {
                Ok(vec![])
            }
            fn read_at(&self, _offset: u64, into: &mut [u8]) -> io::Result<()> {
                into.fill(0);
                Ok(())
            }
        }
        let clock = Arc::new(cbr_env::ManualClock::new(cbr_env::Timestamp(0)));
        let pace = Arc::new(Pace::new(1000, clock));
        let source = Source { reader: Arc::new(Zeros), pace: Arc::clone(&pace) };
        source.read_at(0, &mut [1; 700]).unwrap();
        assert_eq!(pace.turn(1).as_millis(), 700);
    }

    /// BAK-11: copying begins at 10 per cent; disks weigh what they hold.
    #[test]
    fn disks_share_the_progress_by_their_bytes_without_gaps() {
        let sizes = [30, 0, 60];
        let shares: Vec<Share> = (0..3).map(|i| Share::of(10, 100, &sizes, i)).collect();
        let want = [(10, 40), (40, 40), (40, 100)].map(|(from, to)| Share { from, to });
        assert_eq!(shares, want);
        assert_eq!(shares[0].percent(15, 30), 25);
        assert_eq!(shares[1].percent(0, 0), 40);
        assert_eq!(shares[2].percent(99, 60), 100);
        assert_eq!(Share::of(10, 95, &[u64::MAX, u64::MAX], 1), Share { from: 52, to: 95 });
    }
}
