//! Metering by the hour: one row for each vault, and each image, and hour in which it was charged by use
//! (BIL-01, BIL-07).
//!
//! Hours are metered when they are over, each once over any number of nodes and restarts: the rows, what
//! they take from balances and how far it has come change in one transaction. Hours that nobody
//! was there to meter are caught up, with what the vaults were then.

use cbr_db::{MeteredHour, MeteringFilter, Tx};
use cbr_model::billing::{BalanceEntry, Charged, EntryKind, Money};
use cbr_model::query::Page;
use cbr_model::{DomainId, Timestamp};

use super::accounts::check_operator;
use super::service::Billing;
use crate::audit::Subject;
use crate::error::db;
use crate::{Access, Error, Result};

const DOING: &str = "metering";
/// The first hour that has not been metered.
const SETTING: &str = "billing.metered_until";
const HOUR_SECONDS: i64 = 60 * 60;
/// So many hours are caught up by themselves: 31 days. Beyond, a person says whether the clock is right.
const CATCH_UP_MAX: i64 = 31 * 24;
/// So many hours in one transaction: others wait for it.
const HOURS_AT_ONCE: i64 = 6;
/// How far metering has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MeteringState {
    /// The begin of the first hour that has not been metered; none: none has.
    pub until: Option<Timestamp>,
    /// Whether it waits for a person: the clock is too far from where metering stopped.
    pub is_held: bool,
}

impl Billing {
    /// Meters all hours that are over; says how many rows there are more.
    pub async fn meter(&self) -> Result<u64> {
        let mut rows = 0;
        loop {
            let mut tx = self.core.db.begin().await.map_err(db(DOING))?;
            let now = hour_of(tx.now());
            let Some(from) = metered_until(&mut tx).await? else {
                set_metered_until(&mut tx, now).await?;
                tx.commit().await.map_err(db(DOING))?;
                return Ok(rows);
            };
            if is_held(from, now) {
                tracing::warn!(
                    metered_until = from * HOUR_SECONDS,
                    "metering waits: it is far from where it stopped; see `cbr billing resume`"
                );
                return Ok(rows);
            }
            let until = now.min(from + HOURS_AT_ONCE);
            if until <= from {
                return Ok(rows);
            }
            for hour in from..until {
                rows += self.meter_hour(&mut tx, hour).await?;
            }
            set_metered_until(&mut tx, until).await?;
            tx.commit().await.map_err(db(DOING))?;
        }
    }

    async fn meter_hour(&self, tx: &mut Tx, hour: i64) -> Result<u64> {
        let billing = &self.core.billing;
        let mut rows = 0;
        for charged in Charged::ALL {
            let price = billing.prices.of_hour(charged);
            let currency = &billing.prices.currency;
            let metered = tx.metering().meter(hour, charged, price, currency).await;
            rows += metered.map_err(db(DOING))?;
        }
        if billing.driver.charges() {
            for (domain, used) in tx.metering().used(hour).await.map_err(db(DOING))? {
                charge(tx, domain, hour, used).await?;
            }
        }
        Ok(rows)
    }

    /// How far metering has come.
    pub async fn metering_state(&self) -> Result<MeteringState> {
        let mut tx = self.core.db.read().await.map_err(db(DOING))?;
        let (until, now) = (metered_until(&mut tx).await?, hour_of(tx.now()));
        Ok(MeteringState {
            until: until.map(begin_of),
            is_held: until.is_some_and(|until| is_held(until, now)),
        })
    }

    /// Goes on with the hour that is now, or the first that has not been metered by a clock that was
    /// ahead: no hour is charged twice. What lies between is never metered. For who runs the
    /// installation, when its clock was wrong, or it was off for longer than a month.
    pub async fn resume_metering(&self, access: &Access) -> Result<()> {
        let mut tx = self.core.change_account(access, DOING).await?;
        check_operator(&mut tx, access).await?;
        let now = hour_of(tx.now());
        let last = tx.metering().last_hour().await.map_err(db(DOING))?;
        set_metered_until(&mut tx, last.map_or(now, |last| now.max(last + 1))).await?;
        tx.commit(Subject::new("metering", "metering")).await
    }

    /// The hours of the project's vaults, oldest first; how many there are, and what they cost together in
    /// millionths of a minor unit.
    pub async fn metered(
        &self,
        access: &Access,
        filter: MeteringFilter,
        page: Page,
    ) -> Result<(Vec<MeteredHour>, u64, u64)> {
        let mut tx = self.core.db.read().await.map_err(db("listing metered hours"))?;
        let listed = tx.metering().list(access.project(), filter, &page).await;
        listed.map_err(db("listing metered hours"))
    }
}

/// Takes what was used in an hour from a balance.
async fn charge(tx: &mut Tx, domain: DomainId, hour: i64, used: u64) -> Result<()> {
    let before = tx.balances().find(domain).await.map_err(db(DOING))?;
    let (after, fell) = before.after(used);
    tx.balances().set(domain, after).await.map_err(db(DOING))?;
    if fell == Money(0) {
        return Ok(());
    }
    let entry = BalanceEntry {
        kind: EntryKind::Usage,
        reference: hour.to_string(),
        amount: Money(-fell.0),
        balance: after.whole,
        note: "use up to the end of an hour".to_owned(),
        at: tx.now(),
    };
    tx.balances().add_entry(domain, &entry).await.map_err(db(DOING))
}

/// Hours since 1970.
pub fn hour_of(at: Timestamp) -> i64 {
    at.seconds().div_euclid(HOUR_SECONDS)
}

/// When an hour begins.
pub(super) fn begin_of(hour: i64) -> Timestamp {
    Timestamp(0).plus_seconds(hour.saturating_mul(HOUR_SECONDS))
}

/// Also where the clock has gone back by more than an hour or two: those hours are metered already.
const fn is_held(until: i64, now: i64) -> bool {
    now - until > CATCH_UP_MAX || until - now > CATCH_UP_MAX
}

/// The first hour that has not been metered; none: nothing has.
pub(super) async fn metered_until(tx: &mut Tx) -> Result<Option<i64>> {
    let text = tx.settings().find(SETTING).await.map_err(db(DOING))?;
    text.map(|text| text.parse().map_err(Error::internal(DOING))).transpose()
}

async fn set_metered_until(tx: &mut Tx, hour: i64) -> Result<()> {
    tx.settings().set(SETTING, &hour.to_string()).await.map_err(db(DOING))
}
