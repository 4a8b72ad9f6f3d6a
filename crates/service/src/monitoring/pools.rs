//! Which pools of this node can be read (RGN-07). A look of its own: a file system that hangs holds up whoever asks
//! for pools, and neither measuring nor alarms may wait for that.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use cbr_env::Clock;
use cbr_provider::Pool;

use super::service::Monitoring;

/// How often. A look writes to each pool, to see whether it has reflinks.
const EVERY: Duration = Duration::from_mins(5);
/// Pools that do not answer for so long are not to be read.
const ANSWER_MAX: Duration = Duration::from_secs(30);

impl Monitoring {
    /// Looks again and again; never ends.
    pub(super) async fn watch_pools(&self) {
        let show = |pool: &str, is_readable: bool| {
            metrics::gauge!("cbr_pool_readable", "pool" => pool.to_owned())
                .set(f64::from(u8::from(is_readable)));
        };
        let (clock, mut known) = (&*self.core.clock, BTreeSet::new());
        loop {
            look(clock, self.core.resources.provider().inventory().pools(), &mut known, show).await;
            clock.sleep(EVERY).await;
        }
    }
}

/// One look. It goes on until there is an answer, so that no second one waits behind it; meanwhile none of the
/// `known` pools is to be read.
async fn look(
    clock: &dyn Clock,
    answer: impl Future<Output = cbr_provider::Result<Vec<Pool>>>,
    known: &mut BTreeSet<String>,
    show: impl Fn(&str, bool),
) {
    let mut answer = pin!(answer);
    let pools = tokio::select! {
        pools = &mut answer => pools,
        () = clock.sleep(ANSWER_MAX) => {
            tracing::error!("the pools do not answer: a file system may hang, and lists of disks with it");
            show_none(known, &show);
            answer.await
        }
    };
    match pools {
        Ok(pools) => {
            for pool in &pools {
                show(&pool.name, pool.problem.is_none());
            }
            *known = pools.into_iter().map(|pool| pool.name).collect();
        }
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the pools cannot be listed");
            show_none(known, &show);
        }
    }
}

/// None of these is to be read.
fn show_none(pools: &BTreeSet<String>, show: impl Fn(&str, bool)) {
    for pool in pools {
        show(pool, false);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::Mutex;

    use cbr_env::{ManualClock, Timestamp};
    use tokio::sync::oneshot;

    use super::*;

    fn pool(name: &str, problem: Option<&str>) -> Pool {
        Pool {
            name: name.into(),
            availability_zone: "az".into(),
            total_bytes: 1,
            free_bytes: 1,
            can_snapshot: false,
            problem: problem.map(Into::into),
        }
    }

    /// Whether it ends if it is asked once more.
    async fn is_over(looking: Pin<&mut impl Future<Output = ()>>) -> bool {
        tokio::select! {
            biased;
            () = looking => true,
            () = std::future::ready(()) => false,
        }
    }

    /// RGN-07: what hangs is told while it hangs, and what is told then is taken back when it answers.
    #[tokio::test]
    async fn pools_that_hang_are_not_to_be_read_until_they_answer() {
        let (clock, shown) = (ManualClock::new(Timestamp(0)), Mutex::new(Vec::new()));
        let show =
            |name: &str, is_readable| shown.lock().unwrap().push((name.to_owned(), is_readable));
        let told = || std::mem::take(&mut *shown.lock().unwrap());
        let mut known = BTreeSet::new();
        let both = vec![pool("a", None), pool("b", Some("gone"))];
        look(&clock, async { Ok(both.clone()) }, &mut known, show).await;
        assert_eq!(told(), [("a".to_owned(), true), ("b".to_owned(), false)]);

        let (answer, hanging) = oneshot::channel();
        let hanging = async { hanging.await.unwrap() };
        {
            let mut looking = pin!(look(&clock, hanging, &mut known, show));
            assert!(!is_over(looking.as_mut()).await);
            assert_eq!(told(), []);
            clock.advance(ANSWER_MAX);
            assert!(!is_over(looking.as_mut()).await);
            assert_eq!(told(), [("a".to_owned(), false), ("b".to_owned(), false)]);
            answer.send(Ok(vec![pool("a", None)])).unwrap();
            looking.await;
        }
        assert_eq!(told(), [("a".to_owned(), true)]);
    }
}
