//! How many write transactions per second a database gives: one row each, from
//! one caller and from eight at a time. `cargo run --release -p cbr-db --example
//! commit_rate -- sqlite:/tmp/rate.db`

#![expect(clippy::print_stdout, reason = "it is there to print")]

use std::sync::Arc;

use cbr_db::{Db, DbError};
use cbr_env::{Clock, SystemClock};

const COMMITS: u64 = 1600;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: commit_rate <database URL>")?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let db = Arc::new(Db::open(&url, Arc::clone(&clock)).await?);
    for callers in [1, 8] {
        let started = clock.monotonic_micros();
        let at_work: Vec<_> = (0..callers)
            .map(|n| tokio::spawn(write(Arc::clone(&db), n, COMMITS / callers)))
            .collect();
        for caller in at_work {
            caller.await??;
        }
        let seconds = (clock.monotonic_micros() - started) as f64 / 1e6;
        println!(
            "{} {callers} callers: {:.0} commits/s",
            db.engine_name(),
            COMMITS as f64 / seconds
        );
    }
    db.close().await?;
    Ok(())
}

async fn write(db: Arc<Db>, caller: u64, commits: u64) -> Result<(), DbError> {
    for n in 0..commits {
        let mut tx = db.begin().await?;
        tx.settings().set(&format!("rate {caller}"), &n.to_string()).await?;
        tx.commit().await?;
    }
    Ok(())
}
