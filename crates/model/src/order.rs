//! Orders: what was agreed about paying for vaults (BIL-01 … BIL-09).
//!
//! What an order changes of a vault changes in the transaction in which the order is completed: at once
//! where nothing is charged or the account has what it costs, otherwise when it is paid.

use crate::Timestamp;
use crate::billing::Money;
use crate::id::{OrderId, ProjectId, UserId, VaultId};
use crate::policy::retention::plus_months;
use crate::policy::zone::UtcOffset;
use crate::size::Gib;
use crate::vault::Consistency;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// The word for it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// What the word means.
            pub fn from_str_exact(text: &str) -> Option<Self> {
                match text { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words! {
    /// What an order does.
    OrderKind {
        /// Makes a prepaid vault.
        Create = "create",
        /// Changes capacity or specification of a prepaid vault.
        Change = "change",
        /// Makes vaults that are charged by use prepaid.
        ToPrepaid = "to_prepaid",
        /// Makes a prepaid vault's period begin anew (BIL-03).
        Renew = "renew",
    }
}

words! {
    /// How far an order is.
    OrderStatus {
        /// The account does not have what it costs, or nobody has said that it shall be paid.
        Unpaid = "unpaid",
        /// What it says has been done.
        Completed = "completed",
        /// It was given up before it was paid.
        Cancelled = "cancelled",
    }
}

words! {
    /// The unit of a prepaid period.
    PeriodUnit {
        /// Months.
        Month = "month",
        /// Years.
        Year = "year",
    }
}

/// How long a prepaid vault is ordered for (BIL-02).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Period {
    unit: PeriodUnit,
    count: u8,
}

impl Period {
    /// 1 to 9 months, or 1 to 5 years; nothing else is a period.
    pub fn new(unit: PeriodUnit, count: i64) -> Option<Self> {
        let most = match unit {
            PeriodUnit::Month => 9,
            PeriodUnit::Year => 5,
        };
        u8::try_from(count)
            .ok()
            .filter(|count| (1..=most).contains(count))
            .map(|count| Self { unit, count })
    }

    /// Months or years.
    pub const fn unit(self) -> PeriodUnit {
        self.unit
    }

    /// How many.
    pub const fn count(self) -> u8 {
        self.count
    }

    /// The same in months.
    pub const fn months(self) -> u32 {
        match self.unit {
            PeriodUnit::Month => self.count as u32,
            PeriodUnit::Year => self.count as u32 * 12,
        }
    }

    /// One month or one year: what a period is renewed by (BIL-03).
    pub const fn one(unit: PeriodUnit) -> Self {
        Self { unit, count: 1 }
    }
}

/// What was agreed about one vault. An order of several vaults has one of these for each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// Its id; the same for all vaults of one order.
    pub id: OrderId,
    /// Whose it is.
    pub project: ProjectId,
    /// Who ordered.
    pub user: UserId,
    /// The vault. It may be gone; the order stays.
    pub vault: VaultId,
    /// What it does.
    pub kind: OrderKind,
    /// Capacity that was ordered.
    pub size: Gib,
    /// Specification that was ordered.
    pub consistency: Consistency,
    /// What the caller calls the product; means nothing here.
    pub product: Option<String>,
    /// For how long; none: the period of the vault stays as it is.
    pub period: Option<Period>,
    /// Whether the period is to begin anew when it ends (BIL-03).
    pub auto_renew: bool,
    /// How far it is; the same for all vaults of one order.
    pub status: OrderStatus,
    /// What it costs, of this vault.
    pub amount: Money,
    /// When its period begins; none: it has none, or has not been completed.
    pub begins_at: Option<Timestamp>,
    /// When its period ends.
    pub ends_at: Option<Timestamp>,
    /// When it was ordered.
    pub created_at: Timestamp,
}

/// When a period of so many months ends that begins at `begins`, after the `periods` of the vault so far
/// (begin, end, months; oldest first). Periods that follow one another are counted from the begin of
/// the first, so that a vault that began on the 31st ends on the 31st wherever there is one.
pub fn end_of_period(
    periods: &[(Timestamp, Timestamp, u32)],
    begins: Timestamp,
    months: u32,
) -> Timestamp {
    let (mut anchor, mut total) = (begins, months);
    for (from, to, length) in periods.iter().rev() {
        if *to != anchor {
            break;
        }
        (anchor, total) = (*from, total.saturating_add(*length));
    }
    plus_months(anchor, total, UtcOffset::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BIL-02, Y.4: 1 month to 5 years; contract: `period_num` 1 to 9.
    #[test]
    fn periods_are_one_month_to_five_years() {
        let table = [
            (PeriodUnit::Month, 0, false),
            (PeriodUnit::Month, 1, true),
            (PeriodUnit::Month, 9, true),
            (PeriodUnit::Month, 10, false),
            (PeriodUnit::Year, 5, true),
            (PeriodUnit::Year, 6, false),
            (PeriodUnit::Year, -1, false),
        ];
        for (unit, count, is_good) in table {
            assert_eq!(Period::new(unit, count).is_some(), is_good, "{count} {unit:?}");
        }
    }

    /// BIL-02, BIL-03: months are the calendar's, and a chain of them does not drift.
    #[test]
    fn a_chain_of_months_ends_on_the_day_it_began() {
        let at = |text: &str| {
            let at = chrono::DateTime::parse_from_rfc3339(text).unwrap();
            Timestamp(at.timestamp_micros())
        };
        let mut begins = at("2025-01-31T10:00:00Z");
        let mut periods = Vec::new();
        for want in ["2025-02-28T10:00:00Z", "2025-03-31T10:00:00Z", "2025-04-30T10:00:00Z"] {
            let ends = end_of_period(&periods, begins, 1);
            assert_eq!(ends, at(want));
            periods.push((begins, ends, 1));
            begins = ends;
        }
        assert_eq!(end_of_period(&periods, begins, 12), at("2026-04-30T10:00:00Z"));
        // A gap begins a chain of its own.
        let later = at("2025-06-15T00:00:00Z");
        assert_eq!(end_of_period(&periods, later, 1), at("2025-07-15T00:00:00Z"));
        assert_eq!(Period::new(PeriodUnit::Year, 5).unwrap().months(), 60);
        assert_eq!(Period::one(PeriodUnit::Month).months(), 1);
    }
}
