//! Orders: what was agreed about paying for vaults (BIL-01 … BIL-09).
//!
//! No money moves in an installation of one's own. An order is a record of what was agreed, complete
//! as soon as it is written; what it changes of a vault changes in the same transaction.

use crate::Timestamp;
use crate::id::{OrderId, ProjectId, UserId, VaultId};
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
    /// When it was ordered.
    pub created_at: Timestamp,
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
}
